/*
** neap.sim.core.
*/

#ifndef SIM_LIBRARY_H
#define SIM_LIBRARY_H

#include <lua.h>

#include "sim/node.h"
#include "sim/run.h"

/* Register the module; a subsystem's open. */
int sim_library_open(lua_State *L);

/* The run that L directs; raises where it directs none. */
run *run_check(lua_State *L);

/* The node of that number at the index: 0 is the director itself.  Raises. */
node *node_check(lua_State *L, run *r, int index);

/* Add to the module on top: what changes links (library_link.c). */
void library_link_open(lua_State *L);

#endif
