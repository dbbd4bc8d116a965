/*
** Nudging: how the thread in which Lua runs is got out of a system call.
**
** A signal restarts the call that it comes in, for what runs may be shielded.  So
** what is to be ended is nudged, by another signal, which restarts none; and again
** and again, until somebody has heard, for one may come just before the call.
*/

#ifndef UV_NUDGE_H
#define UV_NUDGE_H

#include "host/host.h"
#include "sched/world.h"

/* This host's Lua runs in this thread, until nudge_leave. */
void nudge_home(host *h);
void nudge_leave(host *h);

/* From a signal's handler, in that thread: preempt what runs (sched/task.h), and nudge
 * it, where that is allowed.  In other threads nothing happens. */
void nudge_press(bool interrupts);

/* world.alarm */
void nudge_alarm(void *w, enum world_alarm which, uint64_t ns);

/* A reminder: sched/watchdog.h. */
int nudge_remind(void *w, uint64_t ns);

/* Nudge what runs if it goes on for a while; and no more. */
void nudge_begin(void *w);
void nudge_end(void *w);

#endif
