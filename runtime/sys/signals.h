/*
** Signals: the seam below neap.signal (sys/system.h).
*/

#ifndef SYS_SIGNALS_H
#define SYS_SIGNALS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"
#include "sched/wait.h"

/* Interest in signals: one bit for each, see signal_bit.  Its memory is the
 * owner's, who calls unwatch before it goes. */
typedef struct subscription {
  struct subscription *next;
  uint64_t wanted;
  uint64_t caught; /* have come, and were not taken yet */
  waitq waiters;
} subscription;

static inline uint64_t signal_bit(int n) {
  return UINT64_C(1) << (n - 1);
}

struct signals {
  /* Collect the wanted signals in w->caught from now on, and wake its waiters.
   * Watching SIGINT or SIGTERM suspends neap's own answer to it. */
  int (*watch)(host *h, subscription *w);

  /* Stop.  What w->caught still holds passes on: to the next watch of that
   * signal, or to neap's own answer. */
  void (*unwatch)(host *h, subscription *w);

  /* A signal of the wanted that came after its last watch had ended, and is
   * taken by this; 0 when there is none. */
  int (*missed)(host *h, uint64_t wanted);

  /* What a signal does while nobody watches it: nothing (ignore), or what it
   * did when neap began.  -EBUSY while it is watched. */
  int (*dispose)(host *h, int signal, bool ignore);

  int (*raise)(host *h, int signal); /* at this process itself */
};

/* Push "SIGHUP" for 1; false, and nothing, for a number without a name. */
bool signal_push(lua_State *L, int n);

/* The signal named by the string at arg.  Raises an argument error. */
int signal_check(lua_State *L, int arg);

int luaopen_neap_signal(lua_State *L);

#endif
