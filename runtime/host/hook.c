#include "host/hook.h"

#include <lualib.h>


/* Key of the registry: a table with weak keys, coroutine -> {function, mask, count}. */
static const char hooks;

enum { FUNCTION = 1, MASK, COUNT };


/* Push the coroutine's entry; false, and nothing is pushed, when it has none. */
static bool push_entry(lua_State *L, lua_State *co) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks);
  lua_pushthread(co);
  if (co != L)
    lua_xmove(co, L, 1);
  bool found = lua_rawget(L, -2) == LUA_TTABLE;
  lua_remove(L, -2);
  if (!found)
    lua_pop(L, 1);
  return found;
}


static void on_event(lua_State *L, lua_Debug *ar) {
  static const char *const names[] = {"call", "return", "line", "count",
                                      "tail call"};
  if (!push_entry(L, L))
    return;
  lua_rawgeti(L, -1, FUNCTION);
  lua_pushstring(L, names[ar->event]);
  if (ar->currentline >= 0)
    lua_pushinteger(L, ar->currentline);
  else
    lua_pushnil(L);
  lua_call(L, 2, 0);
  lua_pop(L, 1);
}


void hook_put(lua_State *L) {
  const host *h = host_of(L);
  if (h->hooked && push_entry(L, L)) {
    lua_rawgeti(L, -1, MASK);
    lua_rawgeti(L, -2, COUNT);
    lua_sethook(L, on_event, (int)lua_tointeger(L, -2),
                (int)lua_tointeger(L, -1));
    lua_pop(L, 3);
  } else {
    lua_sethook(L, h->on_line, h->on_line != NULL ? LUA_MASKLINE : 0, 0);
  }
}


/* Set the coroutine's entry to the table on top, or nil, which is popped. */
static void set_entry(lua_State *L, lua_State *co) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks);
  lua_pushthread(co);
  if (co != L)
    lua_xmove(co, L, 1);
  lua_rotate(L, -3, 2);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}


void hook_inherit(lua_State *L, lua_State *co) {
  host *h = host_of(L);
  if (!h->hooked)
    return;
  luaL_checkstack(L, 6, NULL);
  bool other = h->base != NULL && h->base != L && lua_checkstack(h->base, 1);
  if (push_entry(L, L) || (other && push_entry(L, h->base))) {
    set_entry(L, co);
    hook_put(co);
  }
}


/*
** debug.sethook([thread,] hook, mask [, count]) and debug.gethook([thread]), as
** Lua's own
*/

static lua_State *subject(lua_State *L, int *arg) {
  *arg = lua_isthread(L, 1) ? 1 : 0;
  return *arg == 1 ? lua_tothread(L, 1) : L;
}


static int mask_of(const char *text, lua_Integer count) {
  int mask = count > 0 ? LUA_MASKCOUNT : 0;
  for (; *text != '\0'; text++)
    mask |= *text == 'c'   ? LUA_MASKCALL
            : *text == 'r' ? LUA_MASKRET
            : *text == 'l' ? LUA_MASKLINE
                           : 0;
  return mask;
}


static void push_new(lua_State *L, int arg) {
  const char *text = luaL_checkstring(L, arg + 2);
  luaL_checktype(L, arg + 1, LUA_TFUNCTION);
  lua_Integer count = luaL_optinteger(L, arg + 3, 0);
  lua_createtable(L, COUNT, 0);
  lua_pushvalue(L, arg + 1);
  lua_rawseti(L, -2, FUNCTION);
  lua_pushinteger(L, mask_of(text, count));
  lua_rawseti(L, -2, MASK);
  lua_pushinteger(L, count);
  lua_rawseti(L, -2, COUNT);
}


static void make_table(host *h, lua_State *L) {
  if (h->hooked)
    return;
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &hooks);
  h->hooked = true;
}


static int l_sethook(lua_State *L) {
  host *h = host_of(L);
  int arg;
  lua_State *co = subject(L, &arg);
  if (lua_isnoneornil(L, arg + 1)) {
    lua_pushnil(L);
  } else {
    push_new(L, arg);
    make_table(h, L);
  }
  if (!lua_checkstack(co, LUA_MINSTACK))
    return luaL_error(L, "stack overflow");
  if (h->hooked)
    set_entry(L, co);
  hook_put(co);
  if ((h->preempt_due || h->held) && h->watch != NULL && co == h->running)
    h->watch(h, co);
  return 0;
}


static int l_gethook(lua_State *L) {
  int arg;
  char text[4];
  int n = 0;
  lua_State *co = subject(L, &arg);
  if (!lua_checkstack(co, 1))
    return luaL_error(L, "stack overflow");
  if (!host_of(L)->hooked || !push_entry(L, co)) {
    luaL_pushfail(L);
    return 1;
  }
  lua_rawgeti(L, -1, MASK);
  int mask = (int)lua_tointeger(L, -1);
  if (mask & LUA_MASKCALL)
    text[n++] = 'c';
  if (mask & LUA_MASKRET)
    text[n++] = 'r';
  if (mask & LUA_MASKLINE)
    text[n++] = 'l';
  lua_rawgeti(L, -2, FUNCTION);
  lua_pushlstring(L, text, (size_t)n);
  lua_rawgeti(L, -4, COUNT);
  return 3;
}


void hook_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"sethook", l_sethook}, {"gethook", l_gethook}, {NULL, NULL}};
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_DBLIBNAME);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 2);
}
