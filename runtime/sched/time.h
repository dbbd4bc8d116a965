/*
** neap.time: the clocks, and a steady beat.
*/

#ifndef SCHED_TIME_H
#define SCHED_TIME_H

#include <lua.h>

int luaopen_neap_time(lua_State *L);

#endif
