/*
** Classes of userdata, as C opens them, and the selves of methods in Lua.
*/

#ifndef HOST_CLASS_H
#define HOST_CLASS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Make the class with its metamethods and methods, unless it is there.  `index` is
 * its __index, which has the table of methods for its first upvalue, or NULL: that
 * table is; a class without methods has neither. */
void class_open(lua_State *L, const char *class, const luaL_Reg *metamethods,
                const luaL_Reg *methods, lua_CFunction index);

/* A class whose objects only end, by the same function when they are closed and
 * when they are collected. */
void class_open_closing(lua_State *L, const char *class, lua_CFunction close);

/* How many functions are in a list: room for a table of them. */
int class_count(const luaL_Reg *list);

/* A __concat, of both as texts. */
int class_concat(lua_State *L);

/* The module neap.class.core. */
int luaopen_neap_class_core(lua_State *L);

/* In such an __index: push the method of that name, or nil and return false. */
static inline bool class_method(lua_State *L) {
  lua_pushvalue(L, 2);
  return lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL;
}

#endif
