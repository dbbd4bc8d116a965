/*
** The watchdog: who keeps all others waiting is named while he does.
*/

#ifndef SCHED_WATCHDOG_H
#define SCHED_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"

/* Of a world: in so many ns, once, call sched_reminded from a signal's handler, in the
 * thread that drives the host, and from which this is called.  It ends no system call.
 * Callable from that handler, too.  0 or -errno. */
typedef int reminder(void *w, uint64_t ns);

/* From now on say on stderr which task has been running for `after` ns, without giving
 * way to others, and where it is, and again after each so many; and end the process
 * once that has gone on for `end` ns; 0: never.  For the host's thread.  0 or -errno. */
int watchdog_begin(host *h, reminder *remind, uint64_t after, uint64_t end);

/* So much a pipe takes at once, if it takes anything. */
enum { WATCHDOG_TEXT = 4096 };

typedef struct watchdog_words {
  char text[WATCHDOG_TEXT];
  size_t n;
} watchdog_words;

/* For reminders.  still: Lua stands still, in a function of C that has called the system.
 * What is to be written on stderr it leaves in *out.  False: the process is to end, at
 * once. */
bool sched_reminded(host *h, bool still, watchdog_words *out);

#endif
