#include "host/arguments.h"

#include <lauxlib.h>
#include <string.h>

#include "host/nearest.h"
#include "host/quote.h"


/*
** Names
*/

static int refuse(lua_State *L, int arg, const char *what, const char *text,
                  size_t n, const char *const names[]) {
  nearest meant = {.written = text};
  char quoted[QUOTE];
  quote(quoted, text, n);
  for (; strlen(text) == n && *names != NULL; names++)
    nearest_try(&meant, *names);
  if (meant.name != NULL)
    lua_pushfstring(L, "unknown %s '%s' (did you mean '%s'?)", what, quoted,
                    meant.name);
  else
    lua_pushfstring(L, "unknown %s '%s'", what, quoted);
  return luaL_argerror(L, arg, lua_tostring(L, -1));
}


static int find(const char *text, size_t n, const char *const names[]) {
  for (int i = 0; names[i] != NULL; i++)
    if (strlen(names[i]) == n && memcmp(text, names[i], n) == 0)
      return i;
  return -1;
}


int argument_choice(lua_State *L, int arg, const char *what, const char *text,
                    size_t n, const char *const names[]) {
  int i = find(text, n, names);
  return i >= 0 ? i : refuse(L, arg, what, text, n, names);
}


/* Of several that are unknown, the first in the alphabet: always the same. */
static void check_names(lua_State *L, int arg, const char *const names[]) {
  const char *worst = NULL;
  size_t n, length = 0;
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pushfstring(L, "an option's name is a string, got a %s",
                      luaL_typename(L, -2));
      luaL_argerror(L, arg, lua_tostring(L, -1));
    }
    const char *name = lua_tolstring(L, -2, &n);
    if (find(name, n, names) >= 0 ||
        (worst != NULL && strcmp(name, worst) >= 0))
      continue;
    worst = name;
    length = n;
  }
  if (worst != NULL)
    refuse(L, arg, "option", worst, length, names);
}


bool options_check(lua_State *L, int arg, const char *const names[]) {
  if (lua_isnoneornil(L, arg))
    return false;
  luaL_checktype(L, arg, LUA_TTABLE);
  check_names(L, arg, names);
  return true;
}


/*
** Values
*/

/* Push it, nil where there is no table. */
static int push(lua_State *L, int arg, const char *name) {
  if (!lua_istable(L, arg)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  lua_pushstring(L, name);
  return lua_rawget(L, arg);
}


static int wrong(lua_State *L, int arg, const char *name,
                 const char *expected) {
  const char *got = lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1);
  lua_pushfstring(L, "option '%s': %s expected, got %s", name, expected, got);
  return luaL_argerror(L, arg, lua_tostring(L, -1));
}


const char *option_string(lua_State *L, int arg, const char *name, size_t *n) {
  int type = push(L, arg, name);
  if (type != LUA_TSTRING && type != LUA_TNIL)
    wrong(L, arg, name, "a string");
  return lua_tolstring(L, -1, n);
}


const char *option_needed(lua_State *L, int arg, const char *name, size_t *n) {
  if (push(L, arg, name) != LUA_TSTRING)
    wrong(L, arg, name, "a string");
  return lua_tolstring(L, -1, n);
}


static int out_of_bounds(lua_State *L, int arg, const char *before,
                         lua_Integer low, lua_Integer high) {
  lua_pushfstring(L, "%san integer from %I to %I expected", before,
                  (LUAI_UACINT)low, (LUAI_UACINT)high);
  return luaL_argerror(L, arg, lua_tostring(L, -1));
}


lua_Integer option_integer(lua_State *L, int arg, const char *name,
                           lua_Integer low, lua_Integer high,
                           lua_Integer otherwise) {
  int type = push(L, arg, name);
  int is = 1;
  lua_Integer n = otherwise;
  if (type != LUA_TNIL) {
    if (type != LUA_TNUMBER)
      wrong(L, arg, name, "an integer");
    n = lua_tointegerx(L, -1, &is);
  }
  lua_pop(L, 1);
  if (type != LUA_TNIL && (!is || n < low || n > high)) {
    lua_pushfstring(L, "option '%s': ", name);
    out_of_bounds(L, arg, lua_tostring(L, -1), low, high);
  }
  return n;
}


bool option_flag(lua_State *L, int arg, const char *name, bool otherwise) {
  int type = push(L, arg, name);
  if (type != LUA_TBOOLEAN && type != LUA_TNIL)
    wrong(L, arg, name, "a boolean");
  bool is = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}


lua_Integer argument_integer(lua_State *L, int arg, lua_Integer low,
                             lua_Integer high) {
  lua_Integer n = luaL_checkinteger(L, arg);
  if (n < low || n > high)
    out_of_bounds(L, arg, "", low, high);
  return n;
}
