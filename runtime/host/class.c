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
