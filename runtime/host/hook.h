/*
** Hooks: who is called by Lua's own while code runs.
**
** A coroutine of Lua's has one hook, and three want it: the script (debug.sethook), the
** scheduler for a short while (sched/preempt.c), and who counts lines, for all that has
** no other.  So what a coroutine is to have is noted apart, and put back.
*/

#ifndef HOST_HOOK_H
#define HOST_HOOK_H

#include "host/host.h"

/* Give the coroutine the hook that it is to have, or none.  Raises nothing. */
void hook_put(lua_State *L);

/* A new coroutine of a task gets the hook of the script's code that spawns it. */
void hook_inherit(lua_State *L, lua_State *co);

/* Replace sethook and gethook of the library `debug`. */
void hook_open(lua_State *L);

#endif
