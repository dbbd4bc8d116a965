/*
** Code from files and built-in modules: replaces loadfile, dofile, require
** and two of require's searchers.  Raises on lack of memory.
*/

#ifndef HOST_LOAD_H
#define HOST_LOAD_H

#include <lua.h>

void load_open(lua_State *L);

/* source(name) : text of a built-in module in Lua, or of annotations | nil */
int load_source(lua_State *L);

/* modules() : the names of the built-in modules, a list */
int load_modules(lua_State *L);

#endif
