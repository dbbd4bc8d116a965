/*
** How often lines have run, of the files that Lua was loaded from.
*/

#ifndef HOST_LINES_H
#define HOST_LINES_H

#include "host/host.h"

void lines_free(host *h);

/* neap.lines.core: start(), counts() */
int luaopen_neap_lines(lua_State *L);

#endif
