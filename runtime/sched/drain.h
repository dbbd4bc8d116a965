/*
** Draining: how a program that serves ends well.
**
** It takes nobody new, and lets what it serves come to its end; then it is
** interrupted, as any other program is at once.  What is served is counted, by who
** serves; who accepts is told by a hook; and waits that are idle (task.idle) end.
*/

#ifndef SCHED_DRAIN_H
#define SCHED_DRAIN_H

#include "host/host.h"

/* Begin it; the program is to end with this status, for this reason, which is static.
 * At once (sched_interrupt) where nothing is served, and where it drains already. */
void sched_drain(host *h, int exit_status, const char *reason);

/* The script answers by itself to what asks for its end: the next sched_drain is not for
 * it. */
void sched_spare(host *h);

/* Would sched_drain let anything go on?  Callable from a signal's handler. */
bool sched_may_drain(const host *h);

bool sched_drains(const host *h);

/* The socket layer's hook: whoever accepts takes nobody new.  Set once. */
void sched_on_drain(host *h, void (*stop)(host *h));

#endif
