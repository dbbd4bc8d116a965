#include "uv/timer.h"

#include <stddef.h>

#include "sched/world.h"
#include "uv/loop.h"


static uint64_t now(const loop *l) {
  return l->host->world->now(l->host->outside);
}


void loop_timer_start(loop *l, loop_timer *t, uint64_t ns,
                      void (*call)(loop_timer *t)) {
  uint64_t at = now(l) + ns;
  t->call = call;
  if (t->place == 0)
    heap_add(&l->timers, at, &t->place);
  else
    heap_move(&l->timers, t->place, at);
}


void loop_timer_stop(loop *l, loop_timer *t) {
  if (t->place != 0)
    heap_remove(&l->timers, &t->place);
}


uint64_t timers_next(const loop *l) {
  return l->timers.count > 0 ? heap_first(&l->timers)->at : NEVER;
}


static loop_timer *first(const loop *l) {
  return (loop_timer *)((char *)heap_first(&l->timers)->of -
                        offsetof(loop_timer, place));
}


/* One that its call starts anew is for another time. */
bool timers_call(loop *l) {
  if (l->timers.count == 0)
    return false;
  uint64_t time = now(l);
  bool any = false;
  for (; timers_next(l) <= time; any = true) {
    loop_timer *t = first(l);
    loop_timer_stop(l, t);
    t->call(t);
  }
  return any;
}
