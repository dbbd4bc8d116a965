/*
** neap.log.core: where the lines of a log go, and a write that never waits.
*/

#ifndef SYS_LOG_H
#define SYS_LOG_H

#include <lua.h>

int luaopen_neap_log_core(lua_State *L);

#endif
