/*
** A profile: samples of the stacks of what Lua runs, each with a weight: timer ticks of
** the thread's processor time, or bytes that were allocated.  One at a time in a host.
**
** Who samples calls profile_sample, from a signal's handler or from Lua's allocator,
** neither of which may look at the stack.  So it sets a hook on the coroutine that runs
** (preempt.c), and that walks the stack at the next instruction, or as a C function
** returns.
*/

#ifndef SCHED_PROFILE_H
#define SCHED_PROFILE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct host host;

/* Callable from a signal's handler; only while host.profile is set. */
void profile_sample(host *h, size_t weight);

/* Is there a sample to be taken?  Then profile_take does, in a hook. */
bool profile_is_due(const host *h);
void profile_take(lua_State *L);

/* Begin one of the whole program, by processor time, which is written to a file when its
 * last task has ended: neap.repl.profile does.  0 or -errno. */
int profile_whole(host *h, const char *path);

/* The last task has ended, and the lua_State is still there. */
void profile_over(host *h);

/* The host ends. */
void profile_close(host *h);

/* neap.profile.core */
int luaopen_neap_profile_core(lua_State *L);

#endif
