#include "sys/spawn_option.h"

#include <lauxlib.h>


int spawn_bad(lua_State *L, const char *what, const char *expected) {
  return luaL_argerror(L, OPTIONS,
                       lua_pushfstring(L, "%s: %s expected", what, expected));
}


int spawn_unknown(lua_State *L, const char *before, int index) {
  const char *name = luaL_tolstring(L, index, NULL);
  return luaL_argerror(
      L, OPTIONS, lua_pushfstring(L, "unknown option '%s%s'", before, name));
}


void spawn_keep(lua_State *L) {
  lua_rawseti(L, KEPT, (lua_Integer)lua_rawlen(L, KEPT) + 1);
}


void *spawn_room(lua_State *L, size_t n, size_t size) {
  void *room = lua_newuserdatauv(L, n * size, 0);
  spawn_keep(L);
  return room;
}


bool spawn_table(lua_State *L, const char *name, const char *expected) {
  lua_pushstring(L, name);
  int type = lua_rawget(L, OPTIONS);
  if (type == LUA_TNIL)
    lua_pop(L, 1);
  else if (type != LUA_TTABLE)
    spawn_bad(L, name, expected);
  return type != LUA_TNIL;
}


size_t spawn_count(lua_State *L) {
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
    n++;
  return n;
}
