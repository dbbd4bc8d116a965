/*
** How long the collector waits between two cycles.
**
** A share of what is alive, as Lua has it, is too little for a small program: one
** that holds 100 KB and moves messages of 16 KiB would be traversed after each
** dozen of them.  So it waits for a growth of ROOM at least.
*/

#ifndef HOST_PACE_H
#define HOST_PACE_H

#include <lua.h>

/* Set the pause, and from now on after each cycle, until the script sets it
 * (collectgarbage "setpause", "incremental"). */
void pace_open(lua_State *L);

#endif
