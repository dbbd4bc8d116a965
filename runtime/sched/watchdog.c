/*
** Who keeps all others waiting.
**
** A turn that goes on for too long is found by a timer, in a signal's handler: by the
** ticks of its beginning, so what is not watched pays nothing, and what is watched
** nothing between two looks.  The task says where it is by itself, when the hook that
** the handler has set stops it between two instructions.  It cannot in C.  Inside a
** system call Lua stands still, and the handler reads the stack; in a long computation
** it does not, and only the task is named.
*/

#include "sched/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "host/harmless.h"
#include "sched/sched.h"
#include "sched/where.h"

#define MILLISECONDS UINT64_C(1000000)

/* How long the hook is waited for, and how often it is set anew: for another coroutine
 * may go on meanwhile. */
#define TRY (20 * MILLISECONDS)
enum { TRIES = 10 };

/* So much a pipe takes at once, if it takes anything. */
enum { TEXT = 4096 };


static uint64_t now(const host *h) {
  return h->world->now(h->outside);
}


static uint64_t ticks(const host *h) {
  return h->world->ticks(h->outside);
}


/* How long the turn has been going on, ns.  How long a tick is, the watchdog's life
 * tells. */
static uint64_t age(const host *h) {
  const struct sched *s = h->sched;
  uint64_t at = ticks(h);
  double all = (double)(at - s->watchdog.ticks);
  double ns = (double)(now(h) - s->watchdog.born);
  if (at <= s->began || all <= 0)
    return 0;
  return (uint64_t)((double)(at - s->began) / all * ns);
}


static bool runs(const host *h) {
  const struct sched *s = h->sched;
  return s != NULL && s->phase == RUNS && s->current != NULL &&
         h->running != NULL;
}


static void note(struct sched *s, uint64_t ns) {
  s->watchdog.turn = s->began;
  s->watchdog.told = ns;
  s->watchdog.tries = 0;
  s->watchdog.stalled = 0;
}


static void add(char *line, size_t *n, const char *words) {
  while (*words != '\0' && *n < TEXT)
    line[(*n)++] = *words++;
}


/* Others may have named what the text tells of, and here nothing can be written but as
 * it is. */
static void make_harmless(char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (text[i] != '\n' && text[i] != '\t' && (text[i] < ' ' || text[i] > '~'))
      text[i] = '?';
}


/* In the handler.  It waits for nobody who reads stderr: that may be this thread. */
static void write_all(const char *text, size_t n) {
  struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
  if (poll(&output, 1, 0) != 1 || (output.revents & POLLOUT) == 0)
    return;
  ssize_t told = write(STDERR_FILENO, text, n);
  (void)told;
}


static void say(const host *h, bool still, uint64_t ns) {
  char text[TEXT];
  size_t n = 0;
  add(text, &n, h->label);
  add(text, &n, ": watchdog: ");
  n += sched_where_stalled(h, still, ns, text + n, sizeof text - n);
  make_harmless(text, n);
  write_all(text, n);
}


void watchdog_hear(lua_State *L) {
  host *h = host_of(L);
  char text[TEXT];
  uint64_t ns = age(h);
  h->sched->watchdog.stalled = 0;
  if (!runs(h) || ns < h->sched->watchdog.after)
    return;
  size_t n = sched_where_stalled(h, true, ns, text, sizeof text - 1);
  text[n] = '\0';
  fflush(stdout);
  fprintf(stderr, "%s: watchdog: ", h->label);
  harmless_text(stderr, text);
  fflush(stderr);
  note(h->sched, ns);
}


/* True: it is told, or no longer waited for that it tells by itself. */
static bool tell(host *h, bool still, uint64_t ns) {
  struct sched *s = h->sched;
  if (!still && s->watchdog.tries++ < TRIES) {
    s->watchdog.stalled = 1;
    preempt_look_closely(h->running);
    return false;
  }
  say(h, still, ns);
  note(s, ns);
  return true;
}


/* How long until the next look. */
static uint64_t look(host *h, bool still, uint64_t ns) {
  struct sched *s = h->sched;
  uint64_t told = s->watchdog.turn == s->began ? s->watchdog.told : 0;
  uint64_t due = told + s->watchdog.after;
  if (ns >= due && !tell(h, still, ns))
    return TRY;
  if (ns >= due)
    due = ns + s->watchdog.after;
  if (s->watchdog.end > 0 && s->watchdog.end < due)
    due = s->watchdog.end;
  return due > ns ? due - ns : TRY;
}


static void say_end(const host *h) {
  char text[TEXT];
  size_t n = 0;
  add(text, &n, h->label);
  add(text, &n, ": watchdog: that was too long: the process ends\n");
  write_all(text, n);
}


bool sched_reminded(host *h, bool still) {
  int kept = errno;
  struct sched *s = h->sched;
  uint64_t next = s->watchdog.after, ns = runs(h) ? age(h) : 0;
  bool ends = s->watchdog.end > 0 && ns >= s->watchdog.end;
  if (ends) {
    say(h, still, ns);
    say_end(h);
  } else if (ns > 0) {
    next = look(h, still, ns);
  }
  s->watchdog.remind(h->outside, next);
  errno = kept;
  return !ends;
}


int watchdog_begin(host *h, reminder *remind, uint64_t after, uint64_t end) {
  struct sched *s = h->sched;
  s->watchdog.remind = remind;
  s->watchdog.after = after;
  s->watchdog.end = end;
  s->watchdog.born = now(h);
  s->watchdog.ticks = ticks(h);
  return remind(h->outside, after);
}


/*
** Where a host's time is counted, what has no end is found out by that
*/

void sched_overrun(host *h) {
  struct sched *s = h->sched;
  if (s->current == NULL || h->running == NULL)
    return;
  report_overrun(h->running, s->current);
  sched_interrupt(h, 1, "computes without end");
  sched_insist(h);
}
