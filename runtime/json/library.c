/*
** The module neap.json.core.
*/

#include <lauxlib.h>

#include "host/host.h"
#include "json/json.h"


static bool is_array(lua_State *L, int index) {
  bool is = lua_getmetatable(L, index) != 0 &&
            lua_rawequal(L, -1, lua_upvalueindex(1));
  lua_settop(L, 1);
  return is;
}


/*
** array(table?) : table
*/

static int l_array(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  if (is_array(L, 1))
    return 1;
  luaL_argcheck(L, !lua_getmetatable(L, 1), 1,
                "a table without a metatable expected");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 1);
  return 1;
}


/*
** isarray(value) : boolean
*/

static int l_isarray(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_pushboolean(L, lua_istable(L, 1) && is_array(L, 1));
  return 1;
}


static const luaL_Reg functions[] = {{"encode", json_encode},
                                     {"decode", json_decode},
                                     {"array", l_array},
                                     {"isarray", l_isarray},
                                     {NULL, NULL}};


static int open_core(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "neap.json.Array");
  lua_setfield(L, -2, "__name");
  luaL_setfuncs(L, functions, 1);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}


int json_open(lua_State *L) {
  host_module(L, "neap.json.core", open_core);
  return 0;
}
