/*
** Children that are not ours.  Process 1 of a container becomes the parent of all whose
** own has ended, and reaps them.
**
** It can ask for any child's end only, also those that somebody here waits for: so the
** ends of these are kept for him.  A process that is not number 1 pays nothing.
*/

#ifndef UV_ORPHANS_H
#define UV_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

#include "uv/spawn.h"

/* Is this process number 1?  Asked for once, before there are threads.  Then
 * SIGCHLD is to call orphans_reap. */
bool orphans_begin(void);
void orphans_reap(void);

/* As spawn_start, fork(2) and waitpid(2) of one child, which belongs to whoever asked
 * for it until it was waited for. */
int orphans_start(const spawning *s, spawn_failure *why);
pid_t orphans_fork(void);
pid_t orphans_wait(pid_t pid, int *status, int flags);

/* Nobody will wait for it.  False: nobody reaps it here. */
bool orphans_leave(pid_t pid);

#endif
