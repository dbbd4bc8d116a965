/*
** The libuv backend, as main.c and embedders see it.
*/

#ifndef UV_WORLD_H
#define UV_WORLD_H

#include <signal.h>

#include "host/host.h"
#include "sched/world.h"

extern const world uv_world;

/* The same for a host that has a thread of a process, not the process. */
extern const world uv_thread_world;

/* Create the loop of a host (fills host.world and host.outside); 0 or -errno. */
int uv_world_open(host *h);

/* From now on an abort() is explained on stderr.  libuv makes one where it cannot
 * go on, without a word. */
void uv_world_explain(void);

/* Close everything that is left, check that no handle is, free the loop. */
void uv_world_close(host *h);

/* Let this process use the whole hard limit of descriptors.  Its children get
 * the limit that it was started with. */
void uv_world_descriptors(void);

/* End the process: as exit(3) or (now) _exit(2) do, or, with a status of -n, of
 * signal n. */
_Noreturn void uv_world_exit(int status, bool now);

/* Let SIGINT and SIGTERM cancel this host's root scope (exit status -n);
 * the second one ends the process at once.  Signals that the parent has left
 * blocked are so no more.  One host in a process at a time. */
int uv_world_signals(host *h);

/* Let SIGATTACH summon (sched/task.h): another process asks for a place to
 * attach to. */
int uv_world_attach(host *h);
#define SIGATTACH (SIGRTMIN + 6)

/* Would exit() pull the ground from under a thread?  Then leave by _exit. */
bool uv_world_busy(host *h);

#endif
