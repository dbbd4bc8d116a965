/*
** What a process has besides sockets: children, signals, a terminal.
**
** The seam below sys/, as net/backend.h is the one below net/: functions return 0 or
** a negative errno, and callbacks note what happened, wake those who wait, and touch
** no lua_State.
*/

#ifndef SYS_SYSTEM_H
#define SYS_SYSTEM_H

#include "host/host.h"

/* A world's, world.sys, has all three, and they have all their functions: sys_open
 * (sys.h) checks it. */
struct system {
  const struct processes *processes; /* sys/process.h */
  const struct signals *signals;     /* sys/signals.h */
  const struct terminals *terminals; /* sys/terminal.h */
};

/* That of the host's world; raises where there is none, and `what` is lacking. */
const struct system *sys_check(lua_State *L, const char *what);

#endif
