/*
** The program, started anew as a process that gets all that this one holds
** (uv/holding.h).
*/

#ifndef UV_RESTART_H
#define UV_RESTART_H

#include "host/host.h"

/* *ready is the end of a pipe, on which a byte comes when it has settled; *pid is its.
 * 0 or -errno. */
int restart_begin(host *h, int *ready, int *pid);

/* It has settled: what this process holds is the successor's.  Or it is to end. */
void restart_end(int pid, bool well);

#endif
