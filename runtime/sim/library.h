/*
** neap.sim.core: simulated worlds, for who runs them, and for who directs one.
*/

#ifndef SIM_LIBRARY_H
#define SIM_LIBRARY_H

#include <lua.h>

struct run;

/* Register the module; a subsystem's open. */
int sim_library_open(lua_State *L);

/* Set in the module on top what changes the links (library_links.c), and what decides
 * about messages (library_rules.c). */
void library_links_set(lua_State *L);
void library_rules_set(lua_State *L);

/* Push what has happened in a run, which forgets it (library_history.c). */
int library_take_history(lua_State *L, struct run *r);
void library_history_open(lua_State *L);

#endif
