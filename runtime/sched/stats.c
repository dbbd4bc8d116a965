/*
** neap.host: what a host tells of itself.  The tasks as plain tables, taken
** from what the scheduler has anyway; net/stats.c adds the sockets.
*/

#include <limits.h>
#include <string.h>

#include "host/carried.h"
#include "host/error.h"
#include "host/harmless.h"
#include "host/load.h"
#include "host/nearest.h"
#include "host/quota.h"
#include "host/traceback.h"
#include "sched/sched.h"


/*
** host.stats() : {tasks=, streams=, listeners=, datagrams=,
**                  handles=, descriptors=}
*/

static void set_count(lua_State *L, const char *key, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}


static void set_seconds(lua_State *L, const char *key, uint64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, key);
}


static int l_stats(lua_State *L) {
  const host *h = host_of(L);
  lua_createtable(L, 0, 7);
  set_count(L, "tasks", sched_live(h));
  set_count(L, "streams", h->streams);
  set_count(L, "listeners", h->listeners);
  set_count(L, "datagrams", h->datagrams);
  set_count(L, "handles", h->handles);
  set_count(L, "descriptors", h->world->descriptors(h->outside));
  size_t most = quota_limit(L);
  if (most > 0)
    set_count(L, "memory_limit", (lua_Integer)most);
  return 1;
}


/*
** host.load(top?) : {turns=, busy=, longest=}, in seconds, as world.h has it | nil;
**   top: its longest is that of `neap top`, which takes it from no one else
*/

static int l_load(lua_State *L) {
  const host *h = host_of(L);
  load now;
  if (h->world->load == NULL)
    return 0;
  h->world->load(h->outside, lua_toboolean(L, 1) ? LOAD_TOP : LOAD_METRICS,
                 &now);
  lua_createtable(L, 0, 3);
  set_count(L, "turns", (lua_Integer)now.turns);
  set_seconds(L, "busy", now.busy);
  set_seconds(L, "longest", now.longest);
  return 1;
}


/*
** host.tasks(most?, wanted?) : those that have not ended, so many at most, and if
**   there is a table `wanted` those whose ids are its keys: a list of
**   {id=, task=, name=, status=, background=, site=, parent=, op=, place=, since=,
**    limit=, joiners=, home=}
** host.task(task) : such a table
** host.serving() : what tasks serve, a table: the userdata as a pointer -> id
*/

/* Room for all is made first: making it may run finalizers, which may wake
 * tasks. */
void sched_push_waiters(lua_State *L, const waitq *q) {
  int room = 0, n = 0;
  for (const waiter *w = q->head; w != NULL; w = w->next)
    room++;
  if (room == 0) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, room, 0);
  for (const waiter *w = q->head; w != NULL && n < room; w = w->next) {
    lua_pushinteger(L, waiter_task(w)->serial);
    lua_rawseti(L, -2, ++n);
  }
}


static void set_wait(lua_State *L, const task *t) {
  const host *h = host_of(L);
  uint64_t now = h->world->now(h->outside);
  uint32_t ticks = (uint32_t)(now / TICK) - t->since;
  lua_pushstring(L, t->op);
  lua_setfield(L, -2, "op");
  set_seconds(L, "since", ticks * TICK);
  if (t->deadline != NEVER)
    set_seconds(L, "limit", t->deadline > now ? t->deadline - now : 0);
  if (report_push_place(L, t->parked))
    lua_setfield(L, -2, "place");
}


/* What it computes, and since when. */
static void set_computing(lua_State *L, const task *t) {
  const host *h = host_of(L);
  uint64_t now = h->world->now(h->outside);
  uint32_t ticks = (uint32_t)(now / TICK) - t->since;
  set_seconds(L, "since", ticks * TICK);
  if (report_push_place(L, t->parked))
    lua_setfield(L, -2, "place");
}


/* Of the Task at index. */
static void set_values(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_setfield(L, -2, "task");
  if (report_push_name(L, index))
    lua_setfield(L, -2, "name");
  else
    lua_pop(L, 1);
}


static void push_row(lua_State *L, int index) {
  const task *t = lua_touserdata(L, index);
  const struct sched *s = host_of(L)->sched;
  index = lua_absindex(L, index);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_createtable(L, 0, 13);
  set_count(L, "id", t->serial);
  lua_pushstring(L, t->aside ? "computing" : task_status(t));
  lua_setfield(L, -2, "status");
  if (t->site != 0) {
    lua_pushfstring(L, "%s:%d", s->sites[t->site], t->line);
    lua_setfield(L, -2, "site");
  }
  if (t->state != ENDED && t->scope->cancel_scope.task != NULL)
    set_count(L, "parent", t->scope->cancel_scope.task->serial);
  if (s->homes.count > 0 && t->state != ENDED)
    set_count(L, "home", (lua_Integer)home_of(s, t)->home);
  lua_pushboolean(L, t->daemon);
  lua_setfield(L, -2, "background");
  if (t->state == WAITING)
    set_wait(L, t);
  else if (t->aside)
    set_computing(L, t);
  sched_push_waiters(L, &t->joiners);
  lua_setfield(L, -2, "joiners");
  set_values(L, index);
}


static int l_task(lua_State *L) {
  task_check(L, 1);
  push_row(L, 1);
  return 1;
}


/* Push the next Task from slot *i on. */
static bool next_task(lua_State *L, int *i) {
  const struct sched *s = host_of(L)->sched;
  while (*i < s->slot_count) {
    slot_push(L, s, (*i)++);
    if (lua_isuserdata(L, -1))
      return true;
    lua_pop(L, 1);
  }
  return false;
}


static bool is_wanted(lua_State *L, int wanted, const task *t) {
  if (lua_isnil(L, wanted))
    return true;
  lua_rawgeti(L, wanted, t->serial);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}


/* task.get(id) : Task that has not ended | nil */
int task_get(lua_State *L) {
  lua_Integer id = luaL_checkinteger(L, 1);
  lua_settop(L, 1);
  for (int i = 0; next_task(L, &i); lua_settop(L, 1)) {
    const task *t = lua_touserdata(L, 2);
    if (t->serial == id)
      return 1;
  }
  lua_pushnil(L);
  return 1;
}


/*
** host.stack(task) : the traceback of the innermost coroutine, and that of its first
**   one, a text | nil: it has ended
*/

static int l_stack(lua_State *L) {
  const task *t = task_check(L, 1);
  lua_settop(L, 1);
  if (t->state == ENDED)
    return 0;
  if (t == task_current(L)) {
    traceback_push(L, L, 1);
    return 1;
  }
  bool nested = t->parked != NULL && t->parked != t->co;
  traceback_push(L, nested ? t->parked : t->co, 0);
  if (!nested)
    return 1;
  lua_pushliteral(L, "\nwhich a coroutine runs in:\n");
  traceback_push(L, t->co, 0);
  lua_concat(L, 3);
  return 1;
}


static int l_tasks(lua_State *L) {
  enum { WANTED = 1, LIST, TASK };
  lua_Integer most = luaL_optinteger(L, 1, INT_MAX), n = 0;
  int i = 0;
  lua_settop(L, 2);
  if (!lua_isnil(L, 2))
    luaL_checktype(L, 2, LUA_TTABLE);
  lua_remove(L, 1);
  lua_newtable(L);
  for (; n < most && next_task(L, &i); lua_settop(L, LIST)) {
    if (!is_wanted(L, WANTED, lua_touserdata(L, TASK)))
      continue;
    push_row(L, TASK);
    lua_rawseti(L, LIST, ++n);
  }
  return 1;
}


static int l_serving(lua_State *L) {
  int i = 0;
  lua_settop(L, 0);
  lua_newtable(L);
  for (; next_task(L, &i); lua_settop(L, 1)) {
    const task *t = lua_touserdata(L, 2);
    if (t->served && lua_getiuservalue(L, 2, SERVED) == LUA_TUSERDATA) {
      lua_pushinteger(L, t->serial);
      lua_rawsetp(L, 1, lua_touserdata(L, 3));
    }
  }
  return 1;
}


/*
** host.list(path) : {name, ...}, in a folder, in no order; a folder's name ends
**                   in / | nil, error.  As many as fit into FOLDER bytes.
*/

enum { FOLDER = 256 * 1024 };


static int l_list(lua_State *L) {
  host *h = host_of(L);
  const char *path = luaL_checkstring(L, 1);
  char *names = lua_newuserdatauv(L, FOLDER, 0);
  ssize_t used = h->world->list(h->outside, path, names, FOLDER);
  if (used < 0)
    return fail(L, (int)used, "list", path);
  lua_newtable(L);
  lua_Integer n = 0;
  for (const char *p = names; p < names + used; p += strlen(p) + 1) {
    lua_pushfstring(L, p[0] == '/' ? "%s/" : "%s", p + 1);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}


/*
** host.source(name) : text | nil, of a module of neap in Lua
** host.modules() : {name}, of those that are built in
** host.harmless(text, colours?) : text, as harmless.h has it
** host.carried(path?), as carried.h has it
** host.script() : path | nil, of the program's script
** host.nearest(written, {name}) : name | nil, as nearest.h has it
*/

static int l_script(lua_State *L) {
  lua_pushstring(L, host_of(L)->script);
  return 1;
}


static const luaL_Reg functions[] = {
    {"stats", l_stats},
    {"load", l_load},
    {"tasks", l_tasks},
    {"task", l_task},
    {"stack", l_stack},
    {"serving", l_serving},
    {"list", l_list},
    {"source", load_source},
    {"modules", load_modules},
    {"harmless", harmless_lua},
    {"words", error_words_lua},
    {"nearest", nearest_lua},
    {"carried", carried_lua},
    {"script", l_script},
    {NULL, NULL},
};


int luaopen_neap_host(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
