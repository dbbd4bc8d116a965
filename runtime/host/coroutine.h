/*
** coroutine.*, so that a wait inside a script's own coroutine suspends the
** task and not the script.
**
** A wait yields one value that no script can make: the mark.  Where resume or
** wrap gets it, the coroutine is *parked*: the caller yields the mark in its
** turn, down to the scheduler, and the whole chain is entered again on
** wake-up.  What the script yields itself passes as ever.
*/

#ifndef HOST_COROUTINE_H
#define HOST_COROUTINE_H

#include <lua.h>
#include <stdbool.h>

/* Push the value to yield with, from a wait. */
void coroutine_push_mark(lua_State *L);

/* Is co suspended inside a wait?  Then the mark is on top of its stack, and
 * whoever resumes it takes it off first. */
bool coroutine_parked(lua_State *co);

int luaopen_neap_coroutine(lua_State *L); /* the table `coroutine` */

#endif
