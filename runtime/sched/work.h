/*
** Work: what takes long, in a thread, while only the task waits that wants it.
**
** Some is made, filled with copies of all that it needs, and run:
**
**   work *w = work_new(L, &kind, gate);   -- leaves its box on the stack
**   ...fill...
**   return work_run(L, w, it_takes_long); -- as the caller's results
**
** What does not take long, and where no thread can be had, is done on the spot.
** Nothing can stop a thread: who gives up lets it work on, and what it found is
** dropped.  A *gate* bounds how much is done at a time, that included.
*/

#ifndef SCHED_WORK_H
#define SCHED_WORK_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "host/host.h"
#include "sched/wait.h"

typedef struct work work;

typedef struct work_kind {
  const char *op; /* for who waits, and of errors */
  size_t size;    /* of the kind's struct, which begins with a work */

  void (*run)(work *w);               /* in any thread, without Lua */
  int (*push)(lua_State *L, work *w); /* its results, once */
  void (*clear)(work *w);             /* free what it holds */
  bool stays; /* the program's end waits for it, for some seconds */
} work_kind;

/* It outlives what passed it. */
typedef struct work_gate {
  unsigned most, running; /* at a time */
  waitq waiting;          /* those that wait for a place */
} work_gate;

struct work {
  const work_kind *kind;
  host *host;
  work_gate *gate;
  waitq waiters;
  enum { WORK_NEW, WORK_RUNNING, WORK_ENDED } state;
  atomic_bool dropped; /* nobody wants it any more */
};

/* Zeroed but for the work itself.  The gate may be set later. */
work *work_new(lua_State *L, const work_kind *kind, work_gate *gate);

/* To be returned, with the work on top: what the kind pushes. */
int work_run(lua_State *L, work *w, bool is_long);

void work_open(lua_State *L);

#endif
