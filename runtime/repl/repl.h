/*
** The prompt's C side, for main.c: the module neap.repl.core.  Policy is in
** lua/neap/repl/.
*/

#ifndef REPL_REPL_H
#define REPL_REPL_H

#include "host/host.h"

/* Register the module; call it through host_call. */
int repl_open(lua_State *L);

/* What a knock opens, for sched_on_summon: the place to attach to. */
int repl_summoned(lua_State *L);

/* The console (console.c). */
int console_open(lua_State *L); /* push a new one: core.console() */
void console_class(lua_State *L);

#endif
