/*
** The life of a host, for who drives it: the process, a worker's thread, a test,
** a simulation.
**
**   host h = {0};
**   if (life_open(&h, uv_world_open, subsystems) == 0) {
**     if (life_start(&h, start, about)) -- start spawns the first task
**       life_run(&h);                   -- or life_turn, again and again
**     life_close(&h);
**   }                                   -- h.exit_status says how it went
**
** Who drives many hosts in one thread gives each a turn, takes the earliest of the
** times at which they want to go on, has their worlds deliver what happens until
** then, and begins again.  Nothing of a host runs but in its turns, in its world's
** poll, in life_start, and in life_end or life_close.
*/

#ifndef SCHED_LIFE_H
#define SCHED_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"
#include "sched/turn.h"

/* A part of a host above its scheduler; any function may be NULL.  A host's are a
 * list, constant, that ends with one of which all are.  They are opened in its
 * order, and ended and closed in the other one; also those that were not opened,
 * where the start failed before. */
typedef struct subsystem {
  lua_CFunction open;     /* before the first task */
  void (*end)(host *h);   /* the lua_State is closed; the world still turns */
  void (*close)(host *h); /* the world is closed */
} subsystem;

/* Create the world and the lua_State of a zeroed host.  `make` fills host.world
 * and host.outside, and returns 0 or -errno.  0; or -errno, and there is nothing
 * to close. */
int life_open(host *h, int (*make)(host *h), const subsystem *all);

/* Open the scheduler and the subsystems, and call start(about), which gets a light
 * userdata, and is to spawn the first task.  False: one of them raised, which was
 * told; then only life_end and life_close may follow. */
bool life_start(host *h, lua_CFunction start, void *about);

/* Run what is ready, for some ms of the world at most.  `time` is when the world
 * was asked for news last, before it delivered any: what was to be done by then is
 * done.  0: no deadline has passed since the turn before, or this is the first.
 * *next is 0 when tasks are ready or stuck: then the world is asked without waiting.
 * NEVER: only the world can wake it, and when that will never, call life_deadlock; or
 * it has ended. */
enum turn life_turn(host *h, uint64_t time, uint64_t *next);

/* By who knows that nothing will ever happen to this host: tell who waits for what,
 * and cancel all; the second time, end it whoever waits. */
void life_deadlock(host *h);

/* Tell who waits for what; or only of the eldest task, in a line that is malloc'ed: NULL:
 * none waits. */
void life_waiting(host *h);
char *life_eldest(host *h);

/* Give it turns, and let its world wait between them, until it has ended; returns
 * its exit status. */
int life_run(host *h);

/* Let what sockets accepted go out, for some seconds at most, now; no Lua runs
 * from then on.  For os.exit: life_turn does the same. */
void life_drain(host *h);

/* The same for what another part of the host waits for in its end: ask the world
 * while more(h), and until the deadline. */
void life_linger(host *h, bool (*more)(host *h), uint64_t deadline);

/* Close the lua_State, and end the subsystems.  Once; life_close does it where it
 * was not done. */
void life_end(host *h);

/* Behind life_end: would life_close wait for a thread?  Who ends the process can
 * leave by _exit instead. */
bool life_is_busy(host *h);

/* Close what is left, and the world. */
void life_close(host *h);

#endif
