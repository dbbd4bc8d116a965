#include "host/pace.h"

#include <lauxlib.h>

#include "host/host.h"

#define CLASS "neap.Pace"

/* Growth in per cent of what is alive: starting a million tasks takes a quarter
 * less time than with Lua's own 100 (bench/tasks.lua), and 10,000 idle
 * connections cost the same.  And in KB, in what LONGEST allows: half of what
 * today's processors have as second cache. */
enum { SHARE = 200, ROOM = 512, LONGEST = 1000 };


static int pause_for(int size) {
  int growth = size > 0 ? ROOM * 100 / size : LONGEST;
  if (growth < SHARE)
    growth = SHARE;
  int pause = 100 + growth < LONGEST ? 100 + growth : LONGEST;
  return pause / 4 * 4; /* as Lua keeps it */
}


/* Of this a cycle finds one that nobody has. */
static void arm(lua_State *L, int pause) {
  int *set = lua_newuserdatauv(L, sizeof *set, 0);
  *set = pause;
  luaL_setmetatable(L, CLASS);
  lua_pop(L, 1);
}


static int on_cycle(lua_State *L) {
  const int *set = luaL_checkudata(L, 1, CLASS);
  int pause = pause_for(lua_gc(L, LUA_GCCOUNT));
  int before = lua_gc(L, LUA_GCSETPAUSE, pause);
  if (before != *set)
    lua_gc(L, LUA_GCSETPAUSE, before);
  else if (!host_of(L)->ended)
    arm(L, pause);
  return 0;
}


void pace_open(lua_State *L) {
  int pause = pause_for(lua_gc(L, LUA_GCCOUNT));
  luaL_newmetatable(L, CLASS);
  lua_pushcfunction(L, on_cycle);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_gc(L, LUA_GCINC, pause, 0, 0);
  arm(L, pause);
}
