#include "host/class.h"


int class_count(const luaL_Reg *list) {
  int n = 0;
  while (list[n].name != NULL)
    n++;
  return n;
}


/* Push the metatable. */
static void make(lua_State *L, const char *class, const luaL_Reg *metamethods,
                 const luaL_Reg *methods, lua_CFunction index) {
  lua_createtable(L, 0, class_count(metamethods) + 2);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushstring(L, class);
  lua_setfield(L, -2, "__name");
  if (methods == NULL)
    return;
  lua_createtable(L, 0, class_count(methods));
  luaL_setfuncs(L, methods, 0);
  if (index != NULL)
    lua_pushcclosure(L, index, 1);
  lua_setfield(L, -2, "__index");
}


/* Registered when it is whole: one that lacks memory half way is made anew. */
void class_open(lua_State *L, const char *class, const luaL_Reg *metamethods,
                const luaL_Reg *methods, lua_CFunction index) {
  bool is_there = luaL_getmetatable(L, class) != LUA_TNIL;
  lua_pop(L, 1);
  if (is_there)
    return;
  make(L, class, metamethods, methods, index);
  lua_setfield(L, LUA_REGISTRYINDEX, class);
}


void class_open_closing(lua_State *L, const char *class, lua_CFunction close) {
  const luaL_Reg both[] = {{"__close", close}, {"__gc", close}, {NULL, NULL}};
  class_open(L, class, both, NULL, NULL);
}


int class_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}


/*
** {== check_self(self, class, name) : a method in Lua asks whether its self is an object
** of the class, a metatable or the name of one of C's.
*/

static int refuse_self(lua_State *L) {
  lua_pushliteral(L, "__name");
  lua_rawget(L, 2);
  const char *class = lua_tostring(L, -1);
  const char *name = lua_tostring(L, 3), *got = luaL_typename(L, 1);
  luaL_where(L, 2); /* who has called the method */
  lua_pushfstring(L, "bad argument #1 to '%s' (%s expected, got %s)", name,
                  class, got);
  lua_concat(L, 2);
  return lua_error(L);
}

static int l_check_self(lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    luaL_getmetatable(L, lua_tostring(L, 2));
    lua_replace(L, 2);
  }
  if (lua_getmetatable(L, 1) && lua_rawequal(L, -1, 2))
    return 0;
  lua_settop(L, 3);
  return refuse_self(L);
}

/* ==} */

int luaopen_neap_class_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"check_self", l_check_self},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
