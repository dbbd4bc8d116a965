/*
** The module neap.json.core.
*/

#include <lauxlib.h>

#include "host/host.h"
#include "json/json.h"


static const char mark[] = "neap.json.Array";


bool json_is_array(lua_State *L, int index) {
  int top = lua_gettop(L);
  bool is = lua_getmetatable(L, index) && luaL_getmetatable(L, mark) &&
            lua_rawequal(L, -1, -2);
  lua_settop(L, top);
  return is;
}


void json_mark_array(lua_State *L) {
  luaL_newmetatable(L, mark);
  lua_setmetatable(L, -2);
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
  bool has_one = lua_getmetatable(L, 1);
  luaL_argcheck(L, !has_one || json_is_array(L, 1), 1,
                "a table without a metatable expected");
  lua_settop(L, 1);
  json_mark_array(L);
  return 1;
}


/*
** isarray(value) : boolean
*/

static int l_isarray(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, lua_istable(L, 1) && json_is_array(L, 1));
  return 1;
}


static const luaL_Reg functions[] = {{"encode", json_encode},
                                     {"decode", json_decode},
                                     {"array", l_array},
                                     {"isarray", l_isarray},
                                     {NULL, NULL}};


static int open_core(lua_State *L) {
  lua_newtable(L);
  luaL_newmetatable(L, mark);
  luaL_setfuncs(L, functions, 1);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}


int json_open(lua_State *L) {
  host_module(L, "neap.json.core", open_core);
  return 0;
}
