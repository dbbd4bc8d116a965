/*
** coroutine.*, so that a wait inside a script's own coroutine suspends the
** task and not the script.
**
** A wait yields the mark: two values, the second one such that no script can
** make it.  Where resume or wrap gets it, the coroutine is *parked*: the caller
** yields the mark in its turn, down to the scheduler, and the whole chain is
** entered again on wake-up.  What the script yields itself passes as ever.
*/

#ifndef HOST_COROUTINE_H
#define HOST_COROUTINE_H

#include <lua.h>
#include <stdbool.h>

/* Push the values to yield with from a wait, for which the stack has room. */
enum { COROUTINE_MARK = 2 };
void coroutine_push_mark(lua_State *L);

/* Is co suspended inside a wait?  Then the mark is on top of its stack, and
 * whoever resumes it takes it off first. */
bool coroutine_parked(lua_State *co);

/* The task's own coroutine (host.base) whose wait a parked co is in. */
const void *coroutine_base(lua_State *co);

/* The coroutine that co has resumed and that has not come back, or NULL. */
lua_State *coroutine_within(lua_State *co);

int luaopen_neap_coroutine(lua_State *L); /* the table `coroutine` */

#endif
