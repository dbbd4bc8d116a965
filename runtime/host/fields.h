/*
** Fields of the table on top of the stack.
*/

#ifndef HOST_FIELDS_H
#define HOST_FIELDS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* None for NULL. */
static inline void set_text(lua_State *L, const char *key, const char *text) {
  if (text == NULL)
    return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static inline void set_integer(lua_State *L, const char *key, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}

static inline void set_number(lua_State *L, const char *key, lua_Number n) {
  lua_pushnumber(L, n);
  lua_setfield(L, -2, key);
}

static inline void set_flag(lua_State *L, const char *key, bool is) {
  lua_pushboolean(L, is);
  lua_setfield(L, -2, key);
}

#endif
