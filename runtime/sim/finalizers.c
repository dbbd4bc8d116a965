#include "sim/finalizers.h"

#include <lualib.h>

/* Key of the registry: a table with weak keys, of metatables. */
static const char noted;


static void note(lua_State *L, int mt) {
  if (lua_type(L, mt) != LUA_TTABLE)
    return;
  lua_pushliteral(L, "__gc");
  bool any = lua_rawget(L, mt) != LUA_TNIL && !lua_iscfunction(L, -1);
  lua_pop(L, 1);
  if (!any)
    return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &noted);
  lua_pushvalue(L, mt);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}


/* setmetatable and debug.setmetatable, as Lua's own. */
static int l_setmetatable(lua_State *L) {
  note(L, 2);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}


/* In the table on top. */
static void wrap(lua_State *L) {
  lua_getfield(L, -1, "setmetatable");
  lua_pushcclosure(L, l_setmetatable, 1);
  lua_setfield(L, -2, "setmetatable");
  lua_pop(L, 1);
}


int finalizers_open(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted);
  lua_pushglobaltable(L);
  wrap(L);
  lua_getglobal(L, LUA_DBLIBNAME);
  wrap(L);
  return 0;
}


static int forget(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &noted);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    lua_pushliteral(L, "__gc");
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  return 0;
}


void finalizers_forget(host *h) {
  lua_pushcfunction(h->L, forget);
  if (!host_call(h, 0, 0))
    lua_settop(h->L, 0);
}
