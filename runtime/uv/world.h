/*
** The libuv backend, as main.c and embedders see it.
*/

#ifndef UV_WORLD_H
#define UV_WORLD_H

#include <signal.h>
#include <stdio.h>

#include "host/host.h"

/* For life_open (sched/life.h): the real world.  One host in a process may be the
 * one that ends it; the others have a thread, or a part of one. */
int uv_world_open(host *h);
int uv_world_open_thread(host *h);

/* From now on an abort() is explained on stderr.  libuv makes one where it cannot
 * go on, without a word. */
void uv_world_explain(void);

/* Let this process use the whole hard limit of descriptors.  Its children get
 * the limit that it was started with. */
void uv_world_descriptors(void);

/* Standard input and outputs block, whatever others have set them to. */
void uv_world_standard(void);

/* Of libuv and c-ares, a line each, as they tell themselves. */
void uv_world_versions(FILE *to);

/* End the process: as exit(3) or (now) _exit(2) do, or, with a status of -n, of
 * signal n. */
_Noreturn void uv_world_exit(int status, bool now);

/* Let SIGINT and SIGTERM cancel this host's root scope (exit status -n);
 * the second one ends the process at once.  Signals that the parent has left
 * blocked are so no more.  One host in a process at a time. */
int uv_world_signals(host *h);

/* Take over what a process that started this one anew has left it (process.restart):
 * this host is the one that settles, host.settled. */
void uv_world_inherit(host *h);

/* Let SIGATTACH summon (sched/task.h): another process asks for a place to
 * attach to. */
int uv_world_attach(host *h);
#define SIGATTACH (SIGRTMIN + 6)

#endif
