#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/memory.h"
#include "sched/drain.h"
#include "sched/world.h"
#include "uv/process.h"
#include "uv/station.h"
#include "uv/thread.h"


static uint64_t watched(void) {
  uint64_t all = atomic_load(&station.own.wanted);
  pthread_mutex_lock(&station.lock);
  for (branch *b = station.branches; b != NULL; b = b->next)
    all |= atomic_load(&b->wanted);
  pthread_mutex_unlock(&station.lock);
  return all;
}


void station_update_ending(void) {
  atomic_store(&station.ending, station.ends & ~watched());
}


/*
** Giving
*/

static bool give(branch *b, int n) {
  bool taken = false;
  for (subscription *w = b->list; w != NULL; w = w->next) {
    if ((w->wanted & signal_bit(n)) != 0) {
      w->caught |= signal_bit(n);
      wait_wake_all(&w->waiters, 0);
      taken = true;
    }
  }
  return taken;
}


static unsigned give_others(int n) {
  unsigned taken = 0;
  pthread_mutex_lock(&station.lock);
  for (branch *b = station.branches; b != NULL; b = b->next) {
    if ((atomic_load(&b->wanted) & signal_bit(n)) != 0) {
      atomic_fetch_or(&b->come, signal_bit(n));
      thread_ring(b->host->outside);
      taken++;
    }
  }
  pthread_mutex_unlock(&station.lock);
  return taken;
}


/* What the workers of a script wait for is theirs, and not the supervisor's; but where
 * only some of them wait for what ends the program, the others are to end. */
bool station_offer(host *h, int n) {
  unsigned others = give_others(n);
  bool ends = (station.ends & signal_bit(n)) != 0;
  if (others == 0 || !h->supervises)
    return give(&station.own, n) || others > 0;
  return !ends || others >= loop_of(h)->threads;
}


/* By a host that was to have them: to whom else wants them. */
static void pass_on(host *h, uint64_t left) {
  if (left == 0)
    return;
  if (station.owner != h) {
    atomic_fetch_or(&station.noted, left);
    station_ring();
    return;
  }
  for (int n = 1; n <= SIGNALS; n++)
    if ((left & signal_bit(n)) != 0)
      station_unwatched(h, n);
}


void station_hear(host *h) {
  branch *b = loop_of(h)->branch;
  uint64_t bits = b != NULL ? atomic_exchange(&b->come, 0) : 0;
  uint64_t left = 0;
  for (int n = 1; bits != 0 && n <= SIGNALS; n++)
    if ((bits & signal_bit(n)) != 0 && !give(b, n))
      left |= signal_bit(n);
  if ((bits & ~left & station.ends) != 0)
    sched_spare(h);
  pass_on(h, left);
}


/*
** Branches
*/

static branch *branch_of(host *h) {
  return station.owner == h ? &station.own : loop_of(h)->branch;
}


/* Only who has a bell can be told of anything. */
static int join(host *h) {
  loop *l = loop_of(h);
  int status = station_open(h);
  if (status != -EBUSY || l->branch != NULL)
    return l->branch != NULL ? 0 : status;
  if (l->bell == NULL)
    return status;
  branch *b = memory_new(sizeof *b);
  b->host = h;
  pthread_mutex_lock(&station.lock);
  b->next = station.branches;
  station.branches = b;
  pthread_mutex_unlock(&station.lock);
  l->branch = b;
  return 0;
}


void station_leave(host *h) {
  branch *own = loop_of(h)->branch;
  if (own == NULL)
    return;
  pthread_mutex_lock(&station.lock);
  branch **at = &station.branches;
  while (*at != own)
    at = &(*at)->next;
  *at = own->next;
  pthread_mutex_unlock(&station.lock);
  station_update_ending();
  pass_on(h, atomic_load(&own->come));
  free(own);
  loop_of(h)->branch = NULL;
}


/*
** Watching
*/

/* Handle all the wanted; what did not work is undone by nobody: a handler that
 * nobody needs only notes. */
static int handle(uint64_t wanted) {
  int status = 0;
  for (int n = 1; n <= SIGNALS && status == 0; n++)
    if ((wanted & signal_bit(n)) != 0)
      status = station_set(n, station_on_signal);
  return status;
}


/* By its list. */
static void update(branch *b) {
  uint64_t all = 0;
  for (const subscription *w = b->list; w != NULL; w = w->next)
    all |= w->wanted;
  atomic_store(&b->wanted, all);
  station_update_ending();
}


static void take(uint64_t wanted) {
  pthread_mutex_lock(&station.lock);
  station.taken |= wanted;
  pthread_mutex_unlock(&station.lock);
}


static void untake(int n) {
  pthread_mutex_lock(&station.lock);
  station.taken &= ~signal_bit(n);
  pthread_mutex_unlock(&station.lock);
}


int signals_watch(host *h, subscription *w) {
  int status = join(h);
  if (status == 0)
    status = handle(w->wanted);
  if (status < 0)
    return status;
  branch *b = branch_of(h);
  w->next = b->list;
  b->list = w;
  take(w->wanted);
  update(b);
  return 0;
}


void signals_unwatch(host *h, subscription *w) {
  branch *b = branch_of(h);
  subscription **at = b != NULL ? &b->list : NULL;
  while (at != NULL && *at != NULL && *at != w)
    at = &(*at)->next;
  if (at == NULL || *at == NULL)
    return;
  *at = w->next;
  update(b);
  uint64_t left = w->caught & ~watched();
  w->caught = 0;
  pass_on(h, left);
}


int signals_missed(host *h, uint64_t wanted) {
  uint64_t found = atomic_load(&station.missed) & wanted;
  (void)h;
  for (int n = 1; found != 0 && n <= SIGNALS; n++) {
    uint64_t one = signal_bit(n);
    if ((found & one) != 0 &&
        (atomic_fetch_and(&station.missed, ~one) & one) != 0)
      return n;
  }
  return 0;
}


int signals_dispose(host *h, int n, bool ignore) {
  int status = station_open(h);
  if (status < 0)
    return status;
  if ((watched() & signal_bit(n)) != 0)
    return -EBUSY;
  ignore = ignore || station_is_ignored(n);
  bool ends = !ignore && (n == SIGINT || n == SIGTERM);
  if (ends)
    status = station_set(n, station_on_signal);
  else if (!ignore && n == SIGPIPE)
    status = station_set(n, station_on_pipe);
  else
    status = station_set_action(
        n, (struct sigaction){.sa_handler = ignore ? SIG_IGN : SIG_DFL});
  if (status < 0)
    return status;
  atomic_fetch_and(&station.noted, ~signal_bit(n));
  atomic_fetch_and(&station.missed, ~signal_bit(n));
  untake(n);
  station.ends &= ~signal_bit(n);
  if (ends)
    station.ends |= signal_bit(n);
  station_update_ending();
  return 0;
}


int signals_raise(host *h, int n) {
  (void)h;
  return kill(getpid(), n) < 0 ? -errno : 0;
}
