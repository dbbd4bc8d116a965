#include "trace/tracer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/harmless.h"
#include "host/memory.h"
#include "sched/task.h"
#include "sched/world.h"
#include "trace/trace.h"

/* How long what was traced may wait to be written. */
#define PAUSE (UINT64_C(100) * 1000000)

/* All of a host.  It is there from the first tracer on until the host ends. */
typedef struct tracers {
  struct tap tap; /* first: it is how `see` finds the rest */
  host *host;
  tracer *list;
  unsigned count;
  bool armed; /* the alarm will flush */
} tracers;

/*
** What is lost
*/

static void tell_failure(tracer *t) {
  t->told = true;
  fprintf(stderr, "%s: trace ", t->host->label);
  harmless_text(stderr, t->path != NULL ? t->path : "to stderr");
  fprintf(stderr, ": %s; the trace ends here\n", error_code(t->out.error));
}


static void check_sink(tracer *t) {
  if (t->out.error != 0 && !t->told)
    tell_failure(t);
}


void tracer_drop(tracer *t) {
  t->dropped++;
  t->untold++;
}


void tracer_ready(tracer *t) {
  wait_wake(&t->readers, 0);
}


/*
** Seeing
*/

static flow *find_flow(const tracer *t, unsigned serial) {
  return (flow *)table_find(&t->flows, serial);
}


/* What is no socket is seen where a filter names it. */
static bool is_socket(const flow *f) {
  return strcmp(f->own, "tty") != 0 && strcmp(f->own, "file") != 0;
}


static bool lets_through(const tracer *t, const flow *f, const address *peer) {
  for (unsigned i = 0; i < t->filter_count; i++)
    if (filter_takes(&t->filters[i], f, peer))
      return true;
  return t->filter_count == 0 && is_socket(f);
}


static flow *add_flow(tracer *t, const trace_event *e) {
  flow *f = flow_new(e);
  f->wanted = lets_through(t, f, NULL);
  table_add(&t->flows, &f->entry, f->serial);
  return f;
}


static void remove_flow(tracer *t, flow *f) {
  if (t->form->forget != NULL)
    t->form->forget(t, f);
  table_remove(&t->flows, &f->entry);
  flow_free(f);
}


static bool is_last(const trace_event *e) {
  return e->kind == TRACE_CLOSED || e->kind == TRACE_RESET;
}


/* Of an accepted socket, and of one that is connected now, the addresses are
 * those that count. */
static void renew(tracer *t, flow *f, const trace_event *e) {
  bool is_connected = e->kind == TRACE_CONNECTED || e->kind == TRACE_ACCEPT;
  bool is_another = flow_look(f, e);
  if (!is_connected && !is_another)
    return;
  if (is_connected)
    flow_ask(f, e);
  f->wanted = f->wanted || lets_through(t, f, NULL);
}


static bool is_wanted(const tracer *t, const seen *x) {
  if (x->f == NULL)
    return t->filter_count == 0;
  if (x->f->wanted || x->peer == NULL)
    return x->f->wanted;
  return x->f->is_message && lets_through(t, x->f, x->peer);
}


static void count_bytes(flow *f, const trace_event *e) {
  if (e->kind == TRACE_READ)
    f->in += e->size;
  if (e->kind == TRACE_WRITE)
    f->out += e->size;
}


static void lose(tracer *t, const seen *x) {
  tracer_drop(t);
  if (t->form->lost != NULL)
    t->form->lost(t, x);
}


static void show(tracer *t, const seen *x) {
  t->count++;
  if (sink_takes(&t->out))
    t->form->event(t, x);
  else
    lose(t, x);
  if (t->out.prompt)
    sink_flush(&t->out);
  check_sink(t);
}


/* That an accepted socket is open, too, is no news. */
static void tracer_see(tracer *t, seen *x) {
  unsigned serial = flow_serial(x->e);
  flow *f = serial != 0 ? find_flow(t, serial) : NULL;
  if (f != NULL && x->e->kind == TRACE_OPEN)
    return;
  if (f != NULL)
    renew(t, f, x->e);
  else if (serial != 0)
    f = add_flow(t, x->e);
  x->f = f;
  if (f != NULL)
    count_bytes(f, x->e);
  if (is_wanted(t, x))
    show(t, x);
  if (f != NULL && is_last(x->e))
    remove_flow(t, f);
}


static bool is_hidden(const trace_event *e) {
  return (e->stream != NULL && e->stream->hidden) ||
         (e->datagram != NULL && e->datagram->hidden) ||
         (e->listener != NULL && e->listener->hidden);
}


static const address *copy_address(address *to, const struct sockaddr *from,
                                   socklen_t n) {
  if (from == NULL || n > sizeof to->u)
    return NULL;
  memcpy(&to->u, from, n);
  to->length = n;
  address_normalise(to);
  return to;
}


/* True when nothing is left to be written. */
static bool flush_all(tracers *all) {
  bool clear = true;
  for (tracer *t = all->list; t != NULL; t = t->next) {
    sink_flush(&t->out);
    check_sink(t);
    clear = clear && (t->out.fd < 0 || t->out.used == 0);
  }
  return clear;
}


static void arm(tracers *all, uint64_t now);

static void on_alarm(host *h, uint64_t now) {
  tracers *all = (tracers *)h->tap;
  sched_alarm(h, ALARM_TRACE, NEVER, on_alarm);
  if (all == NULL)
    return;
  all->armed = false;
  if (!flush_all(all))
    arm(all, now);
}


static void arm(tracers *all, uint64_t now) {
  if (!all->armed)
    sched_alarm(all->host, ALARM_TRACE, now + PAUSE, on_alarm);
  all->armed = true;
}


static void see(struct tap *w, const trace_event *e) {
  tracers *all = (tracers *)w;
  const host *h = all->host;
  address peer, local;
  seen x = {.e = e};
  if (is_hidden(e))
    return;
  x.now = h->world->now(h->outside);
  x.peer = copy_address(&peer, e->peer, e->peer_size);
  if (e->local != NULL)
    x.local = copy_address(&local, &e->local->u.any, e->local->length);
  for (tracer *t = all->list; t != NULL; t = t->next)
    tracer_see(t, &x);
  arm(all, x.now);
}


static void end(struct tap *w) {
  flush_all((tracers *)w);
}


/*
** Beginning and ending
*/

static tracers *open_tracers(host *h) {
  tracers *all = (tracers *)h->tap;
  if (all == NULL) {
    all = memory_new(sizeof *all);
    all->tap = (struct tap){see, end};
    all->host = h;
    h->tap = &all->tap;
  }
  return all;
}


tracer *tracer_first(const host *h) {
  return h->tap != NULL ? ((tracers *)h->tap)->list : NULL;
}


static int free_id(const tracers *all) {
  int id = 1;
  for (const tracer *t = all->list; t != NULL;)
    if (t->id == id) {
      id++;
      t = all->list;
    } else {
      t = t->next;
    }
  return id;
}


int tracer_start(host *h, tracer *t) {
  const tracers *now = (tracers *)h->tap;
  if (now != NULL && now->count == TRACERS)
    return -EBUSY;
  tracers *all = open_tracers(h);
  t->host = h;
  t->id = free_id(all);
  t->began = h->world->now(h->outside);
  t->epoch = h->world->wall(h->outside) - (int64_t)t->began;
  t->next = all->list;
  all->list = t;
  all->count++;
  if (t->form->begin != NULL)
    t->form->begin(t);
  if (t->out.fd >= 0)
    sink_flush(&t->out); /* whoever looks at the file finds a whole one */
  check_sink(t);
  return 0;
}


static void forget_flows(tracer *t) {
  for (entry *l; (l = table_any(&t->flows)) != NULL;)
    remove_flow(t, (flow *)l);
  table_clear(&t->flows);
}


/* The hook is one branch again when the last one has gone. */
static void leave_list(tracer *t) {
  tracers *all = (tracers *)t->host->tap;
  tracer **at = &all->list;
  while (*at != t)
    at = &(*at)->next;
  *at = t->next;
  if (--all->count > 0)
    return;
  sched_alarm(t->host, ALARM_TRACE, NEVER, on_alarm);
  t->host->tap = NULL;
  free(all);
}


int tracer_stop(tracer *t) {
  if (t->stopped)
    return t->out.error;
  t->stopped = true;
  leave_list(t);
  forget_flows(t);
  if (t->form->end != NULL)
    t->form->end(t);
  if (t->out.fd >= 0)
    sink_close(&t->out);
  check_sink(t);
  wait_wake_all(&t->readers, 0);
  return t->out.error;
}


void tracer_free(tracer *t) {
  notes_clear(t);
  sink_close(&t->out);
  free(t->path);
  free(t);
}


bool tracer_starved(host *h) {
  const tracers *all = (tracers *)h->tap;
  bool any = false;
  for (tracer *t = all != NULL ? all->list : NULL, *next; t != NULL; t = next) {
    next = t->next;
    if (wait_idle(&t->readers))
      continue;
    any = true;
    tracer_stop(t);
  }
  return any;
}


void trace_close(host *h) {
  while (h->tap != NULL) {
    tracer *t = ((tracers *)h->tap)->list;
    tracer_stop(t);
    tracer_free(t);
  }
}
