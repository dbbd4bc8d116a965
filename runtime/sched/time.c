/*
** neap.time: the world's clocks, and a steady beat.
**
** A beat's ticks lie on a grid: tick n is due n periods after it began,
** however long the loop's body takes.  Ticks that pass meanwhile are not made
** up for; the number of the next one tells how many they were.
*/

#include "sched/time.h"

#include <errno.h>
#include <math.h>

#include "host/host.h"
#include "sched/wait.h"
#include "sched/world.h"

#define CLASS "neap.beat"
#define SECOND 1e9

typedef struct beat {
  uint64_t start;
  double period; /* ns */
  uint64_t tick; /* the last one given */
} beat;


static uint64_t now(lua_State *L) {
  const host *h = host_of(L);
  return h->world->now(h->outside);
}


static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)now(L) / SECOND);
  return 1;
}


static int l_wall(lua_State *L) {
  const host *h = host_of(L);
  lua_pushnumber(L, (lua_Number)h->world->wall(h->outside) / SECOND);
  return 1;
}


/*
** for tick in time.every(seconds)
*/

/* When is tick n due?  Computed from the start each time, so that rounding
 * does not add up. */
static uint64_t due(const beat *b, uint64_t n) {
  double after = ceil((double)n * b->period);
  return after < (double)(NEVER / 2 - b->start) ? b->start + (uint64_t)after
                                                : NEVER;
}


/* The last tick that is due by now, at least the next one. */
static uint64_t reached(const beat *b, uint64_t at) {
  uint64_t n = (uint64_t)((double)(at - b->start) / b->period);
  return n > b->tick ? n : b->tick + 1;
}


static int next_k(lua_State *L, int yielded, lua_KContext ctx) {
  beat *b = lua_touserdata(L, 1);
  if (yielded != LUA_YIELD || wait_status(L) != -ETIMEDOUT) {
    const waiting how = {"wait for a tick", due(b, b->tick + 1), true};
    return wait_park(L, NULL, &how, ctx, next_k);
  }
  b->tick = reached(b, now(L));
  lua_pushinteger(L, (lua_Integer)b->tick);
  return 1;
}


static int l_next(lua_State *L) {
  luaL_checkudata(L, 1, CLASS);
  wait_enter(L, "wait for a tick");
  return next_k(L, LUA_OK, 0);
}


static int l_every(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds * SECOND >= 1, 1,
                "a number of seconds above 0 expected");
  lua_pushcfunction(L, l_next);
  beat *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (beat){.start = now(L), .period = seconds * SECOND};
  luaL_setmetatable(L, CLASS);
  return 2;
}


static const luaL_Reg functions[] = {
    {"now", l_now}, {"wall", l_wall}, {"every", l_every}, {NULL, NULL}};


int luaopen_neap_time(lua_State *L) {
  luaL_newmetatable(L, CLASS);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
