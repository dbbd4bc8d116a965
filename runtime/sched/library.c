/*
** neap.task.core: the primitives on which lua/neap/task.lua builds channels,
** semaphores, mutexes, events, all and race.
*/

#include <errno.h>
#include <string.h>

#include "host/class.h"
#include "host/error.h"
#include "sched/sched.h"


/*
** spawn(f, ...) : Task
*/

static int l_spawn(lua_State *L) {
  luaL_checkany(L, 1);
  task_spawn(L, NULL, lua_gettop(L) - 1);
  return 1;
}


/* background(f, ...) : Task, that the program does not wait for */
static int l_background(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  luaL_checkany(L, 1);
  task *t = task_spawn(L, home_lasting(s), lua_gettop(L) - 1);
  s->daemon += !t->daemon;
  t->daemon = true;
  return 1;
}


/*
** current() : Task
*/

static int l_current(lua_State *L) {
  const task *t = task_current(L);
  if (t != NULL)
    task_push(L, t);
  else
    lua_pushnil(L);
  return 1;
}


/*
** sleep(seconds) / yield()
*/

static int woken_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  wait_status(L);
  return 0;
}


static int l_yield(lua_State *L) {
  wait_enter(L, "yield");
  return wait_yield(L, 0, woken_k);
}


static int l_sleep(lua_State *L) {
  waiting how = {"sleep", NEVER, true};
  how.deadline = wait_deadline(L, luaL_checknumber(L, 1));
  wait_enter(L, "sleep");
  if (lua_tonumber(L, 1) <= 0)
    return wait_yield(L, 0, woken_k);
  return wait_park(L, NULL, &how, 0, woken_k);
}


/*
** Task
*/

static int push_results(lua_State *L, const task *t) {
  lua_getiuservalue(L, 1, 1);
  if (t->results <= 1)
    return t->results;
  luaL_checkstack(L, t->results, "too many results");
  for (int i = 1; i <= t->results; i++)
    lua_rawgeti(L, 2, i);
  return t->results;
}


static int join_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting waits = {"join", NEVER, false};
  task *t = task_check(L, 1);
  if (status == LUA_YIELD)
    wait_status(L);
  lua_settop(L, 1);
  if (t->state != ENDED)
    return wait_park(L, &t->joiners, &waits, ctx, join_k);
  if (t->failed) {
    wait_enter(L, "join"); /* that failure may be what ends this task, too */
    lua_getiuservalue(L, 1, 1);
    return lua_error(L);
  }
  if (!t->cancelled)
    return push_results(L, t);
  lua_pushnil(L);
  lua_getiuservalue(L, 1, 1);
  return 2;
}


static int l_join(lua_State *L) {
  task *t = task_check(L, 1);
  if (t == task_current(L))
    return luaL_error(L, "a task cannot join itself");
  wait_enter(L, "join");
  if (wait_spent(L))
    return wait_yield(L, 0, join_k);
  return join_k(L, LUA_OK, 0);
}


/* t:cancel(reason?): the reason becomes the message of what is raised */
static int l_cancel(lua_State *L) {
  task *t = task_check(L, 1);
  const char *reason = luaL_optstring(L, 2, NULL);
  if (t->state == ENDED || t->cancelled)
    return 0;
  if (reason != NULL) {
    error_push_message(L, -ECANCELED, NULL, NULL, reason);
    lua_rawsetp(L, LUA_REGISTRYINDEX, t);
  }
  task_cancel(t);
  return 0;
}


const char *task_status(const task *t) {
  static const char *const texts[] = {"ready", "running", "waiting"};
  if (t->state != ENDED)
    return texts[t->state];
  return t->failed ? "failed" : t->cancelled ? "cancelled" : "done";
}


static int l_index(lua_State *L) {
  task *t = task_check(L, 1);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "status") == 0) {
    lua_pushstring(L, task_status(t));
  } else if (strcmp(key, "name") == 0) {
    if (!report_push_name(L, 1))
      lua_pushfstring(L, "task %d", (int)t->serial);
  } else if (strcmp(key, "id") == 0) {
    lua_pushinteger(L, t->serial);
  } else {
    lua_getfield(L, lua_upvalueindex(1), key);
  }
  return 1;
}


static int l_newindex(lua_State *L) {
  task_check(L, 1);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "name") != 0)
    return luaL_error(L, "a Task has no field '%s' to set", key);
  luaL_checkstring(L, 3);
  report_set_name(L, 1, 3);
  return 0;
}


static int l_tostring(lua_State *L) {
  task *t = task_check(L, 1);
  lua_pushfstring(L, "task %d (%s)", (int)t->serial, task_status(t));
  return 1;
}


static const luaL_Reg task_methods[] = {
    {"join", l_join}, {"cancel", l_cancel}, {NULL, NULL}};

static const luaL_Reg task_metamethods[] = {
    {"__newindex", l_newindex}, {"__tostring", l_tostring}, {NULL, NULL}};


static int take_turn(lua_State *L) {
  return wait_spent(L) ? wait_yield(L, 0, woken_k) : 0;
}


/* What a wait does that ends at once: raise if the running task is interrupted,
 * and let others come first when it is their turn. */
static int l_check(lua_State *L) {
  wait_enter(L, luaL_optstring(L, 1, "wait"));
  return take_turn(L);
}


/* The same of a put. */
static int l_check_put(lua_State *L) {
  wait_enter_put(L, luaL_checkstring(L, 1));
  return take_turn(L);
}


static int l_interrupted(lua_State *L) {
  lua_pushboolean(L, wait_interrupted(L));
  return 1;
}


void library_open(lua_State *L) {
  class_open(L, TASK_CLASS, task_metamethods, task_methods, l_index);
  queue_open(L);
}


static const luaL_Reg functions[] = {
    {"spawn", l_spawn},
    {"background", l_background},
    {"current", l_current},
    {"get", task_get},
    {"sleep", l_sleep},
    {"yield", l_yield},
    {"queue", queue_new},
    {"choose", queue_choose},
    {"scope", scope_run},
    {"onfailure", scope_onfailure},
    {"timeout", cancel_scope_timeout},
    {"idle", cancel_scope_idle},
    {"shield", cancel_scope_shield},
    {"serving", drain_serving},
    {"draining", drain_draining},
    {"drained", drain_wait},
    {"check", l_check},
    {"check_put", l_check_put},
    {"serve", scope_serve},
    {"interrupted", l_interrupted},
    {NULL, NULL},
};


int luaopen_neap_task_core(lua_State *L) {
  luaL_newlib(L, functions);
  queue_push_case_class(L);
  lua_setfield(L, -2, "Case");
  return 1;
}
