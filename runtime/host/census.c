#include "host/census.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/fields.h"
#include "host/memory.h"

#define CLASS "neap.census"

/* What Lua's objects take. */
enum {
  STRING = 25,
  TABLE = 56,
  SLOT = 16, /* of an array, a stack, a C function's upvalues */
  NODE = 24, /* of a hash */
  FUNCTION = 32,
  UPVALUE = 8 + 40,
  USERDATA = 40,
  THREAD = 208 + 45 * SLOT,
  CALL = 62
};

enum { KINDS = 6, NAME = 48, CLASSES = 400 };

/* Calls of a stack that are looked into, the innermost ones. */
enum { LEVELS = 2000 };

typedef struct kind {
  char name[NAME];
  uint64_t count, bytes;
} kind;

typedef struct census {
  const void **seen; /* found by their addresses, or behind them */
  size_t room, used;
  lua_Integer
      waiting; /* of the list in the user value: seen, not looked into */
  int kinds;
  kind all[KINDS + CLASSES]; /* the first ones as in `names`; then classes */
} census;

enum { STRINGS, TABLES, FUNCTIONS, C_FUNCTIONS, THREADS, OTHERS };

static const char *const names[KINDS] = {"string",     "table",  "function",
                                         "C function", "thread", "userdata"};

/* On the stack of a step. */
enum { SELF = 1, MOST, LIST, VALUE };


/*
** What was seen
*/

static size_t place(const census *c, const void *p) {
  size_t i = (size_t)(((uintptr_t)p >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> 20);
  for (i %= c->room; c->seen[i] != NULL && c->seen[i] != p;)
    i = i + 1 < c->room ? i + 1 : 0;
  return i;
}


static void grow(census *c) {
  const void **before = c->seen;
  size_t room = c->room;
  c->room = room == 0 ? 4096 : room * 2;
  c->seen = memory_new(c->room * sizeof *c->seen);
  for (size_t i = 0; i < room; i++)
    if (before[i] != NULL)
      c->seen[place(c, before[i])] = before[i];
  free(before);
}


static bool is_new(census *c, const void *p) {
  if (c->used >= c->room / 2)
    grow(c);
  size_t i = place(c, p);
  if (c->seen[i] != NULL)
    return false;
  c->seen[i] = p;
  c->used++;
  return true;
}


static void count(census *c, int which, size_t bytes) {
  c->all[which].count++;
  c->all[which].bytes += bytes;
}


/* One of C without upvalues is no object. */
static bool is_light(lua_State *L) {
  if (!lua_iscfunction(L, -1) || lua_getupvalue(L, -1, 1) == NULL)
    return lua_iscfunction(L, -1);
  lua_pop(L, 1);
  return false;
}


/* Take the value off the top, which is to be looked into, or counted right away. */
static void add(lua_State *L, census *c) {
  int type = lua_type(L, -1);
  bool any = type == LUA_TSTRING || type == LUA_TTABLE ||
             type == LUA_TUSERDATA || type == LUA_TTHREAD ||
             (type == LUA_TFUNCTION && !is_light(L));
  if (!any || !is_new(c, lua_topointer(L, -1))) {
    lua_pop(L, 1);
  } else if (type == LUA_TSTRING) {
    count(c, STRINGS, STRING + lua_rawlen(L, -1));
    lua_pop(L, 1);
  } else {
    lua_rawseti(L, LIST, ++c->waiting);
  }
}


/*
** Looking into the value on top, which stays
*/

static void add_metatable(lua_State *L, census *c) {
  if (lua_getmetatable(L, VALUE))
    add(L, c);
}


static bool is_weak(lua_State *L, char what) {
  if (!lua_getmetatable(L, VALUE))
    return false;
  lua_pushliteral(L, "__mode");
  lua_rawget(L, -2);
  const char *mode = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  bool weak = strchr(mode, what) != NULL;
  lua_pop(L, 2);
  return weak;
}


/* The list itself is none of the program's. */
static void look_into_table(lua_State *L, census *c) {
  bool weak_keys = is_weak(L, 'k'), weak_values = is_weak(L, 'v');
  size_t list = lua_rawlen(L, VALUE), others = 0, nodes = 1;
  if (lua_rawequal(L, VALUE, LIST))
    return;
  lua_pushnil(L);
  while (lua_next(L, VALUE)) {
    bool in_list = lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0 &&
                   (size_t)lua_tointeger(L, -2) <= list;
    others += !in_list;
    if (weak_values)
      lua_pop(L, 1);
    else
      add(L, c);
    if (!weak_keys) {
      lua_pushvalue(L, -1);
      add(L, c);
    }
  }
  while (nodes < others)
    nodes *= 2;
  count(c, TABLES, TABLE + list * SLOT + (others > 0 ? nodes * NODE : 0));
  add_metatable(L, c);
}


static void look_into_function(lua_State *L, census *c) {
  int n = 0;
  bool in_c = lua_iscfunction(L, VALUE);
  while (lua_getupvalue(L, VALUE, n + 1) != NULL) {
    add(L, c);
    n++;
  }
  count(c, in_c ? C_FUNCTIONS : FUNCTIONS,
        FUNCTION + (size_t)n * (in_c ? SLOT : UPVALUE));
}


/* The index of the class that the metatable names. */
static int class_of(lua_State *L, census *c) {
  int which = OTHERS;
  if (!lua_getmetatable(L, VALUE))
    return which;
  lua_pushliteral(L, "__name");
  lua_rawget(L, -2);
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *name = lua_tostring(L, -1);
    for (which = KINDS; which < c->kinds; which++)
      if (strncmp(c->all[which].name, name, NAME - 1) == 0)
        break;
    if (which == KINDS + CLASSES)
      which = OTHERS;
    else if (which == c->kinds)
      strncpy(c->all[c->kinds++].name, name, NAME - 1);
  }
  lua_pop(L, 2);
  return which;
}


static void look_into_userdata(lua_State *L, census *c) {
  int n = 0;
  while (lua_getiuservalue(L, VALUE, n + 1) != LUA_TNONE) {
    add(L, c);
    n++;
  }
  lua_pop(L, 1);
  count(c, class_of(L, c), USERDATA + lua_rawlen(L, VALUE) + (size_t)n * SLOT);
  add_metatable(L, c);
}


/* Take the value off the top of another coroutine. */
static void add_from(lua_State *L, lua_State *co, census *c) {
  lua_xmove(co, L, 1);
  add(L, c);
}


static void look_into_call(lua_State *L, lua_State *co, lua_Debug *ar,
                           census *c) {
  lua_getinfo(co, "f", ar);
  add_from(L, co, c);
  for (int i = 1; lua_getlocal(co, ar, i) != NULL; i++)
    add_from(L, co, c);
  for (int i = -1; lua_getlocal(co, ar, i) != NULL; i--)
    add_from(L, co, c);
}


/* Lua counts to each level anew: all of a deep recursion would take time by the square
 * of it. */
static void look_into_thread(lua_State *L, census *c) {
  lua_State *co = lua_tothread(L, VALUE);
  lua_Debug ar;
  int level = co == L; /* who counts is none of the program's */
  if (!lua_checkstack(co, 3))
    luaL_error(L, "stack overflow");
  while (level < LEVELS && lua_getstack(co, level, &ar)) {
    look_into_call(L, co, &ar, c);
    level++;
  }
  for (int i = level == 0 ? lua_gettop(co) : 0; i > 0; i--) {
    lua_pushvalue(co, i);
    add_from(L, co, c);
  }
  count(c, THREADS, THREAD + (size_t)level * CALL);
}


static void look_into(lua_State *L, census *c) {
  switch (lua_type(L, VALUE)) {
  case LUA_TTABLE:
    look_into_table(L, c);
    break;
  case LUA_TFUNCTION:
    look_into_function(L, c);
    break;
  case LUA_TUSERDATA:
    look_into_userdata(L, c);
    break;
  default:
    look_into_thread(L, c);
  }
}


/*
** neap.census.core
**
** new() : census
** census:step(n) : boolean   look into so many values more; are there others?
** census:result() : {{name=, count=, bytes=}}
*/

static census *check(lua_State *L) {
  return luaL_checkudata(L, SELF, CLASS);
}


static int l_new(lua_State *L) {
  census *c = lua_newuserdatauv(L, sizeof *c, 1);
  *c = (census){.kinds = KINDS};
  for (int i = 0; i < KINDS; i++)
    strncpy(c->all[i].name, names[i], NAME - 1);
  luaL_setmetatable(L, CLASS);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  lua_rawseti(L, -2, ++c->waiting);
  lua_setiuservalue(L, -2, 1);
  return 1;
}


static int l_step(lua_State *L) {
  census *c = check(L);
  lua_Integer n = luaL_checkinteger(L, MOST);
  lua_settop(L, MOST);
  lua_getiuservalue(L, SELF, 1);
  for (; n > 0 && c->waiting > 0; n--) {
    lua_rawgeti(L, LIST, c->waiting);
    lua_pushnil(L);
    lua_rawseti(L, LIST, c->waiting--);
    look_into(L, c);
    lua_settop(L, LIST);
  }
  lua_pushboolean(L, c->waiting > 0);
  return 1;
}


static int l_result(lua_State *L) {
  const census *c = check(L);
  lua_createtable(L, c->kinds, 0);
  for (int i = 0; i < c->kinds; i++) {
    lua_createtable(L, 0, 3);
    set_text(L, "name", c->all[i].name);
    set_integer(L, "count", (lua_Integer)c->all[i].count);
    set_integer(L, "bytes", (lua_Integer)c->all[i].bytes);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}


static int l_gc(lua_State *L) {
  census *c = check(L);
  free(c->seen);
  c->seen = NULL;
  c->room = c->used = 0;
  c->waiting = 0;
  return 0;
}


static const luaL_Reg methods[] = {
    {"step", l_step}, {"result", l_result}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", l_gc}, {"__close", l_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};


int luaopen_neap_census_core(lua_State *L) {
  luaL_newmetatable(L, CLASS);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
