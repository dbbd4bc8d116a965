/*
** Where a host's thread is, told from a signal's handler.
*/

#ifndef SCHED_WHERE_H
#define SCHED_WHERE_H

#include <stdbool.h>
#include <stddef.h>

#include "host/host.h"

/* Write, at most n bytes of it, which task runs and for how long; returns how many.
 * still: Lua stands still, in a function of C that has called the system.  Then also
 * which function that is, the stacks of all tasks, and what the others wait for: a line
 * a task, behind each its stack in lines that begin with a tab. */
size_t sched_where(host *h, bool still, char *text, size_t n);

/* The same of a task that has kept all others waiting for so long: its name, and where it
 * stands still its stack. */
size_t sched_where_stalled(const host *h, bool still, uint64_t ns, char *text,
                           size_t n);

#endif
