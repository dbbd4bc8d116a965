/*
** neap.stdio: the process's own input and outputs as streams.
*/

#ifndef SYS_STDIO_H
#define SYS_STDIO_H

#include <lua.h>

int luaopen_neap_stdio(lua_State *L);

#endif
