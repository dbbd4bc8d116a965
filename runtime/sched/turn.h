/*
** A turn of a host, of which its life is made (life.h).
*/

#ifndef SCHED_TURN_H
#define SCHED_TURN_H

#include <stdint.h>

struct sched;

/* What a host is at behind a turn. */
enum turn {
  TURN_WAITS,  /* for its world; it wants to go on at *next at the latest */
  TURN_STUCK,  /* its tasks wait for each other: call life_deadlock */
  TURN_DRAINS, /* no Lua runs any more, and what its sockets accepted goes out;
                  *next as above.  Who does not want to wait stops here */
  TURN_ENDED
};

/* As life_turn, while the program runs (run.c). */
enum turn sched_turn(struct sched *s, uint64_t time, uint64_t *next);

#endif
