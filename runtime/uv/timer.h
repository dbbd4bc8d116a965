/*
** Timers of the loop: a call from it, when a time has come.
*/

#ifndef UV_TIMER_H
#define UV_TIMER_H

#include <stdbool.h>

#include "host/heap.h"

struct loop;
typedef struct loop_timer loop_timer;

/* Embedded in its owner, zeroed, who finds himself by it, and stops it before he
 * goes.  A stopped one is nobody's: it needs no closing. */
struct loop_timer {
  heap_place place;
  void (*call)(loop_timer *t);
};

/* Have call(t) made once, from the loop, when so many ns are over; also if it was
 * to be made at another time. */
void loop_timer_start(struct loop *l, loop_timer *t, uint64_t ns,
                      void (*call)(loop_timer *t));

/* Not any more. */
void loop_timer_stop(struct loop *l, loop_timer *t);

static inline bool loop_timer_runs(const loop_timer *t) {
  return t->place != 0;
}

/* For the loop: when the first is due, by world.now, or NEVER; and make the calls
 * that are.  False: there were none. */
uint64_t timers_next(const struct loop *l);
bool timers_call(struct loop *l);

#endif
