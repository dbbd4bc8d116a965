/*
** Reminding: a timer that looks at what runs, and disturbs nothing.
*/

#ifndef UV_REMIND_H
#define UV_REMIND_H

#include "host/host.h"

/* A reminder: sched/watchdog.h. */
int remind_set(void *w, uint64_t ns);

/* The host's loop closes: no signal of it comes any more. */
void remind_leave(host *h);

#endif
