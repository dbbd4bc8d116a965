/*
** os.time, os.clock, os.date, os.exit and the seed of math.random, by the
** world: so that a script runs the same in a simulated one.  And print.
*/

#include <stdio.h>
#include <stdlib.h>

#include "sched/life.h"
#include "sched/sched.h"


static lua_Integer seconds_now(const host *h) {
  return (lua_Integer)(h->world->wall(h->outside) / 1000000000);
}


/* Go on as Lua's own function, upvalue 2, with its upvalue, 1: by a plain call,
 * so that its errors tell the name by which the script has called. */
static int original(lua_State *L) {
  return lua_tocfunction(L, lua_upvalueindex(2))(L);
}


static int l_time(lua_State *L) {
  if (!lua_isnoneornil(L, 1))
    return original(L);
  lua_pushinteger(L, seconds_now(host_of(L)));
  return 1;
}


static int l_date(lua_State *L) {
  luaL_optstring(L, 1, "%c");
  lua_settop(L, 2);
  if (lua_isnil(L, 1)) {
    lua_pushliteral(L, "%c");
    lua_replace(L, 1);
  }
  if (lua_isnil(L, 2)) {
    lua_pushinteger(L, seconds_now(host_of(L)));
    lua_replace(L, 2);
  }
  return original(L);
}


static int l_clock(lua_State *L) {
  const host *h = host_of(L);
  lua_pushnumber(L, (lua_Number)h->world->cpu(h->outside) / 1e9);
  return 1;
}


static void leave(host *h, int status, bool close) {
  life_drain(h);
  if (close)
    host_close(h);
  if (h->tap != NULL)
    h->tap->end(h->tap);
  h->world->leave(h->outside, host_flush(status));
}


/* As Lua's: a status true, false or a number; close the state when asked.  Lua
 * then closes what the main thread has left open, and so do all tasks here; but a
 * coroutine cannot be closed while it runs. */
static int l_exit(lua_State *L) {
  host *h = host_of(L);
  int status = EXIT_SUCCESS;
  if (lua_isboolean(L, 1))
    status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else
    status = (int)(luaL_optinteger(L, 1, EXIT_SUCCESS) & 0xff);
  bool close = lua_toboolean(L, 2) || h->world->leave == NULL;
  if (h->world->leave == NULL && !host_suspends(L))
    return luaL_error(L, "os.exit: a worker cannot end from here");
  if (!close || h->sched->current == NULL || !host_suspends(L))
    leave(h, status, close);
  h->exit_status = status;
  h->sched->closing = lua_toboolean(L, 2) && h->sched->leaver == NULL;
  return task_leave(L);
}


static void close_variables(const struct sched *s, const task *t) {
  s->host->stuck++;
  lua_resetthread(t->co);
  s->host->stuck--;
}


/* Those that the program would not wait for are not waited for here, either. */
static bool is_last(const struct sched *s, const task *t) {
  return s->live - s->daemon <= (t->daemon ? 0U : 1U);
}


/* The others are cancelled; and what it has open is closed when they have ended. */
void os_leave(struct sched *s, task *t) {
  s->leaving = false;
  if (s->closing && !is_last(s, t)) {
    s->leaver = t;
    sched_interrupt(s->host, s->host->exit_status, "the program ends");
    return;
  }
  close_variables(s, t);
  s->stopped = true;
  if (s->host->world->leave != NULL)
    leave(s->host, s->host->exit_status, true);
}


/* Whoever is left then waits for it: what it was spawned in. */
bool os_has_left(struct sched *s, bool stuck) {
  task *t = s->leaver;
  if (!stuck && !is_last(s, t))
    return false;
  s->leaver = NULL;
  close_variables(s, t);
  task_end(s, t);
  return true;
}


static int l_randomseed(lua_State *L) {
  const host *h = host_of(L);
  if (lua_isnone(L, 1)) {
    lua_Integer seed[2];
    h->world->random(h->outside, seed, sizeof seed);
    lua_pushinteger(L, seed[0]);
    lua_pushinteger(L, seed[1]);
  }
  return original(L);
}


/* As Lua's, in one piece: so the lines of several threads do not mix. */
static int l_print(lua_State *L) {
  int n = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1)
      luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, '\n');
  fwrite(luaL_buffaddr(&b), 1, luaL_bufflen(&b), stdout);
  fflush(stdout);
  return 0;
}


/* Wrap the field of the table on top. */
static void wrap(lua_State *L, const char *name, lua_CFunction f) {
  lua_getfield(L, -1, name);
  if (lua_getupvalue(L, -1, 1) == NULL)
    lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushcclosure(L, f, 2);
  lua_setfield(L, -2, name);
}


void os_open(lua_State *L) {
  lua_register(L, "print", l_print);
  lua_getglobal(L, "os");
  wrap(L, "time", l_time);
  wrap(L, "date", l_date);
  wrap(L, "clock", l_clock);
  wrap(L, "exit", l_exit);
  lua_getglobal(L, "math");
  wrap(L, "randomseed", l_randomseed);
  lua_getfield(L, -1, "randomseed");
  lua_call(L, 0, 0);
  lua_pop(L, 2);
}
