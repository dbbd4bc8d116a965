#include "sim/run.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "host/memory.h"
#include "sim/world.h"

enum { REASON = 512 }; /* bytes */


void run_add(run_text *t, const void *bytes, size_t n) {
  if (t->n + n > t->room) {
    t->room = 2 * (t->n + n);
    t->bytes = memory_grow(t->bytes, t->room);
  }
  if (n > 0)
    memcpy(t->bytes + t->n, bytes, n);
  t->n += n;
}


static void add_text(run_text *t, const char *text) {
  run_add(t, text, strlen(text));
}


/*
** What is printed
**
** While a thread drives a simulation, C's stdout and stderr are files of ours: so print,
** io, reports of tasks and the printf of a C module all arrive here.  What other threads
** print meanwhile goes where it went before; and as one of them may be about to write,
** the files stay once they are made.
*/

static struct {
  atomic_flag busy; /* for some instructions */
  unsigned drivers; /* so many threads drive a run just now */
  FILE *ours[2], *theirs[2];
} files = {.busy = ATOMIC_FLAG_INIT};

static _Thread_local run *driven;


static void lock_files(void) {
  while (atomic_flag_test_and_set(&files.busy))
    continue;
}


static void unlock_files(void) {
  atomic_flag_clear(&files.busy);
}


static void begin_line(run *r, const node *who) {
  char stamp[32];
  if (r->stamps) {
    snprintf(stamp, sizeof stamp, "%+.6fs ",
             (double)(r->sim.now - SIM_START) / 1e9);
    add_text(&r->output, stamp);
  }
  if (who != NULL && who != r->director) {
    add_text(&r->output, who->name);
    add_text(&r->output, ": ");
  }
}


/* What a host says of itself begins with its label, which is its name. */
static bool is_labelled(const node *who, const char *bytes, size_t n) {
  size_t length = who != NULL ? strlen(who->name) : 0;
  return length > 0 && n > length + 1 &&
         memcmp(bytes, who->name, length) == 0 && bytes[length] == ':';
}


static void add_output(run *r, const char *bytes, size_t n) {
  const node *who = r->sim.current;
  size_t left = n;
  if (r->midline && who != r->who) {
    add_text(&r->output, "\n");
    r->midline = false;
  }
  r->who = who;
  while (left > 0) {
    const char *newline = memchr(bytes, '\n', left);
    size_t part = newline != NULL ? (size_t)(newline - bytes) + 1 : left;
    if (!r->midline && !(is_labelled(who, bytes, left) && !r->stamps))
      begin_line(r, who);
    run_add(&r->output, bytes, part);
    r->midline = newline == NULL;
    bytes += part;
    left -= part;
  }
}


static ssize_t on_output(void *cookie, const char *bytes, size_t n) {
  FILE **theirs = cookie;
  if (driven == NULL)
    return (ssize_t)fwrite(bytes, 1, n, *theirs);
  add_output(driven, bytes, n);
  return (ssize_t)n;
}


static bool open_files(void) {
  cookie_io_functions_t functions = {.write = on_output};
  bool all = true;
  lock_files();
  for (int i = 0; i < 2; i++) {
    if (files.ours[i] == NULL)
      files.ours[i] = fopencookie(&files.theirs[i], "w", functions);
    if (files.ours[i] == NULL)
      all = false;
    else
      setvbuf(files.ours[i], NULL, _IONBF, 0);
  }
  unlock_files();
  return all;
}


static void enter(run *r) {
  fflush(stdout);
  driven = r;
  lock_files();
  if (files.drivers++ == 0) {
    files.theirs[0] = stdout;
    files.theirs[1] = stderr;
    stdout = files.ours[0];
    stderr = files.ours[1];
  }
  unlock_files();
}


/* A script may have set a buffer. */
static void leave(void) {
  fflush(files.ours[0]);
  fflush(files.ours[1]);
  lock_files();
  if (--files.drivers == 0) {
    stdout = files.theirs[0];
    stderr = files.theirs[1];
  }
  unlock_files();
  driven = NULL;
}


/*
** What happens
*/

static run *owner(const node *n) {
  return n->sim->owner;
}


/* The tasks of a director that goes are nobody's. */
static void on_changed(sim *s, node *n, int change) {
  run *r = s->owner;
  if (n != r->director) {
    if (wait_wake_all(&r->changed, 0) > 0)
      node_delivered(r->director);
    return;
  }
  if (change == NODE_CRASHES || change == NODE_HAS_ENDED)
    r->changed = r->undecided = r->limited = (waitq){NULL};
}


run *run_of(lua_State *L) {
  const host *h = host_of(L);
  if (h->world != &sim_world)
    return NULL;
  node *n = node_of(h);
  run *r = owner(n);
  return n == r->director ? r : NULL;
}


void run_fail(run *r, const char *why, bool who) {
  if (r->failed == NULL) {
    r->failed = memory_text(why, strlen(why));
    r->tells = who;
  }
  r->over = true;
}


void run_report(run *r, const char *kind, const char *text) {
  run_add(&r->reports, kind, strlen(kind) + 1);
  run_add(&r->reports, text, strlen(text) + 1);
  if (r->stamps && strcmp(kind, "wanted") != 0) {
    add_output(r, kind, strlen(kind));
    add_output(r, ": ", 2);
    add_output(r, text, strlen(text));
    add_output(r, "\n", 1);
  }
}


/*
** Its life
*/

int run_open(run *r, uint64_t seed, const struct subsystem *subsystems,
             program *p) {
  r->programs = p;
  sim_open(&r->sim, seed, subsystems);
  r->sim.owner = r;
  if (r->keeps)
    history_keep(&r->sim.history);
  r->sim.fifo = r->fifo;
  r->sim.whole = r->whole;
  r->sim.outside.changed = on_changed;
  chance_seed(&r->chance, seed, "world", 0);
  r->director = node_new(&r->sim, "director");
  r->printing = open_files();
  if (!r->printing)
    return -ENOMEM;
  enter(r);
  int status = node_start(r->director, program_start, p);
  leave();
  return status;
}


void run_close(run *r) {
  if (r->director != NULL) {
    if (r->printing)
      enter(r);
    sim_close(&r->sim);
    if (r->printing)
      leave();
    r->director = NULL;
  }
  while (r->programs != NULL) {
    program *p = r->programs;
    r->programs = p->next;
    program_free(p);
  }
  free(r->failed);
  free(r->keep);
  free(r->output.bytes);
  free(r->reports.bytes);
  free(r->passages.bytes);
  *r = (run){.over = true};
}


static void fail_by_director(run *r) {
  char why[64];
  const node *d = r->director;
  snprintf(why, sizeof why, "the run has failed, with status %d",
           d->host.exit_status);
  run_fail(r, d->told != NULL ? d->told : why, false);
}


/* Of those who wait the last one is more of a client than the others. */
static void fail_by_deadlock(run *r) {
  char why[REASON] = "a deadlock: nothing will ever happen";
  sim_deadlock(&r->sim);
  for (unsigned i = r->sim.node_count; i-- > 0;) {
    const node *n = r->sim.nodes[i];
    if (node_lives(n) && n->host.told != NULL) {
      snprintf(why, sizeof why, "a %s, of %s", n->host.told, n->name);
      break;
    }
  }
  run_fail(r, why, false);
}


/* The director decides whether it has failed; without a limit it has. */
static void stand_still(run *r, bool idle) {
  sim *s = &r->sim;
  r->idle = idle;
  if (!idle && s->limit > s->now)
    s->now = s->limit;
  s->limit = NEVER;
  r->stuck = wait_wake_all(&r->limited, 0) == 0;
  if (!r->stuck)
    node_delivered(r->director);
}


/* The director's end is the run's. */
static void look(run *r, enum sim_step step) {
  if (r->director->state == NODE_ENDED) {
    if (r->director->host.exit_status != 0)
      fail_by_director(r);
    r->over = true;
  } else if (step != SIM_RAN) {
    stand_still(r, step == SIM_IDLE);
  }
  if (r->stuck)
    fail_by_deadlock(r);
}


bool run_is_later(const run *r, uint64_t until) {
  const sim_event *next = sim_next(&r->sim);
  return next != NULL && next->at > until;
}


bool run_step(run *r, lua_Integer events, uint64_t until) {
  if (r->over)
    return false;
  enter(r);
  while (events-- > 0 && !r->over && !run_is_later(r, until))
    look(r, sim_step(&r->sim));
  if (!r->over && run_is_later(r, until) && r->sim.now < until)
    r->sim.now = until;
  if (r->tells)
    sim_waiting(&r->sim);
  r->tells = false;
  leave();
  return !r->over;
}
