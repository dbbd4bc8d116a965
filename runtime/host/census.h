/*
** A census: how many values of each type there are, and about how many bytes they take.
**
** It goes from the registry to all that can be reached, in steps, between which the
** program may run on: what that makes or drops meanwhile is counted or not.  Lua tells no
** sizes, so these are reckoned from what its objects are made of on 64 bit.  Not counted
** are the code of functions, garbage, and what only the outer calls of a recursion hold
** that is thousands of calls deep.
*/

#ifndef HOST_CENSUS_H
#define HOST_CENSUS_H

#include <lua.h>

/* neap.census.core */
int luaopen_neap_census_core(lua_State *L);

#endif
