#include "sim/signals.h"

#include <errno.h>
#include <signal.h>

#include "sched/drain.h"
#include "sched/task.h"

#define SECOND UINT64_C(1000000000)


/*
** The end
*/

static node *node_of_overdue(sim_event *e) {
  return (node *)((char *)e - offsetof(node, overdue));
}


static const char *reason(int n) {
  return n == SIGINT ? "interrupted" : "terminated";
}


/* The drain has taken too long; and then what does not end. */
static void on_overdue(sim_event *e) {
  node *n = node_of_overdue(e);
  if (sched_is_interrupted(&n->host))
    sched_insist(&n->host);
  else
    sched_interrupt(&n->host, -n->ending, reason(n->ending));
  sim_schedule(n->sim, e, n->sim->now + SECOND);
  node_delivered(n);
}


static void begin_end(node *n, int signal) {
  host *h = &n->host;
  n->ending = signal;
  n->overdue.fire = on_overdue;
  if (h->drain > 0 && sched_may_drain(h)) {
    sched_drain(h, -signal, reason(signal));
    sim_schedule(n->sim, &n->overdue, n->sim->now + h->drain);
  } else {
    sched_interrupt(h, -signal, reason(signal));
  }
}


static void die(node *n, int signal) {
  n->host.exit_status = -signal;
  node_crash(n, false);
}


/* A second one does not wait. */
static void end_by(node *n, int signal) {
  if (n->ending != 0)
    die(n, signal);
  else if (!n->host.quiet)
    begin_end(n, signal);
}


/*
** Giving
*/

static bool give(node *n, int signal) {
  bool taken = false;
  for (subscription *w = n->watches; w != NULL; w = w->next) {
    if ((w->wanted & signal_bit(signal)) == 0)
      continue;
    w->caught |= signal_bit(signal);
    wait_wake_all(&w->waiters, 0);
    taken = true;
  }
  return taken;
}


/* Nobody watches it. */
static void answer(node *n, int signal) {
  static const uint64_t harmless =
      UINT64_C(1) << (SIGCHLD - 1) | UINT64_C(1) << (SIGCONT - 1) |
      UINT64_C(1) << (SIGURG - 1) | UINT64_C(1) << (SIGWINCH - 1) |
      UINT64_C(1) << (SIGPIPE - 1);
  uint64_t bit = signal_bit(signal);
  if ((n->taken & bit) != 0)
    n->missed |= bit;
  else if ((n->ignored & bit) != 0 || (harmless & bit) != 0)
    return;
  else if (signal == SIGINT || signal == SIGTERM)
    end_by(n, signal);
  else
    die(n, signal);
}


void node_signal(node *n, int signal) {
  if (!node_lives(n))
    return;
  if (signal == SIGKILL)
    die(n, signal);
  else if (signal == SIGSTOP)
    node_pause(n);
  else if (signal == SIGCONT && n->state == NODE_PAUSED)
    node_resume(n);
  else if (!give(n, signal))
    answer(n, signal);
  node_delivered(n);
}


void signals_drop(node *n) {
  n->watches = NULL;
  n->taken = n->missed = n->ignored = 0;
  n->ending = 0;
  sim_cancel(n->sim, &n->overdue);
}


/*
** The table
*/

static int watch(host *h, subscription *w) {
  node *n = node_of(h);
  w->next = n->watches;
  n->watches = w;
  n->taken |= w->wanted;
  return 0;
}


static uint64_t watched(const node *n) {
  uint64_t all = 0;
  for (const subscription *w = n->watches; w != NULL; w = w->next)
    all |= w->wanted;
  return all;
}


/* SIGINT and SIGTERM end the program again where nobody watches them. */
static void pass_on(node *n, uint64_t left) {
  n->taken &= ~((signal_bit(SIGINT) | signal_bit(SIGTERM)) & ~watched(n));
  for (int i = 1; left != 0 && i <= 64; i++)
    if ((left & signal_bit(i)) != 0 && !n->host.ended)
      answer(n, i);
}


static void unwatch(host *h, subscription *w) {
  node *n = node_of(h);
  subscription **at = &n->watches;
  while (*at != NULL && *at != w)
    at = &(*at)->next;
  if (*at == NULL)
    return;
  *at = w->next;
  uint64_t left = w->caught & ~watched(n);
  w->caught = 0;
  pass_on(n, left);
}


static int missed(host *h, uint64_t wanted) {
  node *n = node_of(h);
  for (int i = 1; i <= 64; i++) {
    if ((n->missed & wanted & signal_bit(i)) == 0)
      continue;
    n->missed &= ~signal_bit(i);
    return i;
  }
  return 0;
}


static int dispose(host *h, int signal, bool ignore) {
  node *n = node_of(h);
  uint64_t bit = signal_bit(signal);
  if ((watched(n) & bit) != 0)
    return -EBUSY;
  n->missed &= ~bit;
  n->taken &= ~bit;
  n->ignored = ignore ? n->ignored | bit : n->ignored & ~bit;
  return 0;
}


static int raise_it(host *h, int signal) {
  node_signal(node_of(h), signal);
  return 0;
}


const struct signals sim_signals = {
    .watch = watch,
    .unwatch = unwatch,
    .missed = missed,
    .dispose = dispose,
    .raise = raise_it,
};
