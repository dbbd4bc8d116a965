#include "sched/world.h"

#include "host/whole.h"

_Thread_local world_draws world_chance;

/* What may be NULL, as world.h says. */
static const size_t optional[] = {
    offsetof(world, pick),    offsetof(world, poll),   offsetof(world, leave),
    offsetof(world, thread),  offsetof(world, bell),   offsetof(world, ring),
    offsetof(world, preempt), offsetof(world, visit),  offsetof(world, sys),
    offsetof(world, load),    offsetof(world, sample), offsetof(world, alarm),
};


void world_check(const world *w) {
  bool threads = w->thread != NULL;
  whole_check(w, sizeof *w, "the world", optional,
              sizeof optional / sizeof *optional);
  if ((w->bell != NULL) != threads || (w->ring != NULL) != threads ||
      (w->preempt != NULL) != threads || (w->visit != NULL) != threads)
    whole_wrong("the world",
                "threads need thread, bell, ring, preempt and visit");
  if (w->poll == NULL && (threads || w->leave != NULL))
    whole_wrong("the world", "without poll there is no leave and no thread");
}
