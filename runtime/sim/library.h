/*
** neap.sim.core: simulated worlds, for who runs them, and for who directs one.
*/

#ifndef SIM_LIBRARY_H
#define SIM_LIBRARY_H

#include <lua.h>

struct node;
struct passage;
struct run;
struct sim;

/* Register the module; a subsystem's open. */
int sim_library_open(lua_State *L);

/* Set in the module on top what changes the links (library_links.c), and what decides
 * about messages (library_messages.c). */
void library_links_set(lua_State *L);
void library_rules_set(lua_State *L);

/* Of the former what is a method of Runs, too. */
void library_changes_set(lua_State *L);

/* The Run that is the first argument; and set in the table on top those of its methods that a
 * prompt needs (library_prompt.c). */
struct run *library_run(lua_State *L);
void library_prompt_set(lua_State *L);

/* The node of a Run whose name is at the index; or raises. */
struct node *library_node(lua_State *L, struct run *r, int index);

/* Keep what passes, as sim_outside.passes; and push it, a list that begins anew then. */
void library_note_passage(struct sim *s, const struct passage *p);
int library_take_passages(lua_State *L, struct run *r);

/* Push what has happened in a run, which forgets it (library_history.c). */
int library_take_history(lua_State *L, struct run *r);
void library_history_open(lua_State *L);

#endif
