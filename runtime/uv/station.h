/*
** The station of signals within: what came (signal.c), and who waits for it
** (signal_watch.c).
**
** What a signal does is the process's, so this is the one place with state that is not
** a host's.  It belongs to one host, its *owner*, whose loop hears of the signals.  Each
** other host that has a thread may wait for some, too: it has a *branch*, to which the
** owner hands them.
*/

#ifndef UV_STATION_H
#define UV_STATION_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "sys/signals.h"
#include "uv/loop.h"

enum { SIGNALS = 64 };

typedef struct branch {
  struct branch *next; /* of the station's; under its lock */
  host *host;
  subscription *list;           /* of the host's thread */
  atomic_uint_least64_t wanted; /* by these */
  atomic_uint_least64_t come;   /* and not heard by the host yet */
} branch;

struct station {
  pthread_mutex_t lock;
  _Atomic(host *) owner;
  atomic_uint_least64_t noted;  /* come, not delivered yet */
  atomic_uint_least64_t ending; /* those that end the program */
  atomic_uint_least64_t missed; /* came while nobody watched */
  branch own;                   /* the owner's */
  watch watch;                  /* of the eventfd */
  atomic_uint_least64_t
      ends;      /* SIGINT and SIGTERM, where they end the program */
  timer_t drain; /* where a drain is timed */
  bool timed;

  /* Under the lock. */
  branch *branches; /* of others */
  uint64_t ours;    /* signals that we have set */
  uint64_t taken;   /* of these, those that a watch has wanted */
  struct sigaction before[SIGNALS];
};

extern struct station station;


/*
** signal.c
*/

/* Make h the owner, if there is none; -EBUSY: another host is. */
int station_open(host *h);

/* Have the owner look at `noted`.  Callable from a handler. */
void station_ring(void);

typedef void station_handler(int n, siginfo_t *info, void *context);

/* Set what a signal does; what it did before neap is kept. */
int station_set(int n, station_handler *f);
int station_set_action(int n, struct sigaction action);
void station_on_signal(int n, siginfo_t *info, void *context);
void station_on_pipe(int n, siginfo_t *info, void *context);

/* Leave the terminal as it was, and die of a signal.  Process 1 of a container does not:
 * then by a status that says the same.  Callable from a handler. */
_Noreturn void station_die(int n);

/* What it did before neap began.  Where it was ignored (nohup, a shell's
 * background job) who started neap wants that. */
bool station_is_ignored(int n);

/* Signals do again what they did before neap.  For a child of fork(2) only. */
void station_give_back(void);

/* Nobody wants it. */
void station_unwatched(host *h, int n);


/*
** signal_watch.c
*/

/* Give a signal to those who wait for it; false: nobody does. */
bool station_offer(host *h, int n);

/* What the owner has handed to the branch of this host. */
void station_hear(host *h);

void station_leave(host *h); /* it has a branch */

/* Some signals are wanted, or not any more. */
void station_update_ending(void);

#endif
