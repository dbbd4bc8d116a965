/*
** neap.process.core: children, as Lua objects.
**
** A Process is a box (process.h) whose user values are its streams: of its pipes,
** and of its terminal.  What a script asks for is checked (spawnspec.c) before anything is
** acquired; what the system refuses is returned.
*/

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard.h"
#include "host/class.h"
#include "host/error.h"
#include "host/fields.h"
#include "host/memory.h"
#include "net/state.h"
#include "net/stream.h"
#include "net/stream_methods.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/process.h"
#include "sys/signals.h"
#include "sys/system.h"

#define CLASS "neap.Process"

/* Where a new Process lies on the stack of spawn, behind what spawnspec.c
 * needs. */
enum { BOX = 3 };


static const processes *table_of(lua_State *L) {
  return sys_check(L, "processes")->processes;
}


static process *check(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}


/*
** core.spawn{command, argument..., stdin=, ...} : Process | nil, err
*/

static const char *const stream_names[PROCESS_STREAMS] = {"stdin", "stdout",
                                                          "stderr", "pty"};


/* Hand the streams over to Lua, as user values of the box. */
static void push_streams(lua_State *L, process *p, const char *command) {
  for (int i = 0; i < PROCESS_STREAMS; i++) {
    stream *s = p->io[i];
    if (s == NULL)
      continue;
    if (stream_where(s) == NULL) {
      const char *where =
          lua_pushfstring(L, "%s of %s", stream_names[i], command);
      stream_name(s, where, strlen(where));
      lua_pop(L, 1);
    }
    p->io[i] = NULL;
    stream_push(L, s);
    lua_setiuservalue(L, BOX, i + 1);
  }
}


static int l_spawn(lua_State *L) {
  const processes *table = table_of(L);
  if (guard_run() < 0)
    return fail(L, guard_run(), "spawn", NULL);
  spawnspec spec = spawnspec_check(L);
  process *p = host_box(L, CLASS, sizeof *p, PROCESS_STREAMS);
  if (p == NULL)
    return lua_error(L);
  *p = (process){.host = host_of(L), .detached = spec.detached};
  spawnspec_take(L, &spec);
  net_flush(p->host);
  int status = table->spawn(p->host, &spec, p);
  if (status < 0)
    return fail(L, status, "spawn", spec.culprit);
  push_streams(L, p, spec.argv[0]);
  return 1;
}


/*
** process:wait() : code, signal | nil, err
*/

static void push_code(lua_State *L, const process *p) {
  if (p->ended)
    lua_pushinteger(L, p->code);
  else
    lua_pushnil(L);
}


static void push_signal(lua_State *L, const process *p) {
  if (p->signal == 0)
    lua_pushnil(L);
  else if (!signal_push(L, p->signal))
    lua_pushfstring(L, "signal %d", p->signal);
}


static int wait_k(lua_State *L, int yielded, lua_KContext ctx) {
  static const waiting how = {"wait for a child", NEVER, true};
  process *p = lua_touserdata(L, 1);
  int status = yielded == LUA_YIELD ? wait_status(L) : 0;
  if (p->ended) {
    push_code(L, p);
    push_signal(L, p);
    return 2;
  }
  if (p->child == NULL)
    status = -ECHILD;
  if (status < 0)
    return fail(L, status, "wait", NULL);
  return wait_park(L, &p->waiters, &how, ctx, wait_k);
}


static int l_wait(lua_State *L) {
  check(L);
  wait_enter(L, "wait for a child");
  return wait_k(L, LUA_OK, 0);
}


/*
** process:kill(signal?, "process" | "group") : true | nil, err
*/

static bool wants_group(lua_State *L, const process *p) {
  static const char *const words[] = {"process", "group", NULL};
  bool whole = luaL_checkoption(L, 3, "process", words) == 1;
  luaL_argcheck(
      L, !whole || p->leads, 3,
      "this child has no group of its own: spawn it with group = true");
  return whole;
}


static int l_kill(lua_State *L) {
  process *p = check(L);
  int n = lua_isnoneornil(L, 2) ? SIGTERM : signal_check(L, 2);
  int status = table_of(L)->kill(p, n, wants_group(L, p));
  if (status < 0)
    return fail(L, status, "kill", NULL);
  lua_pushboolean(L, true);
  return 1;
}


/*
** process:close() : true
*/

static void close_stream(lua_State *L, int i) {
  if (lua_getiuservalue(L, 1, i) != LUA_TNIL) {
    lua_getfield(L, -1, "close");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
  } else {
    lua_pop(L, 1);
  }
}


static void close_streams(lua_State *L) {
  for (int i = 1; i <= PROCESS_STREAMS; i++)
    close_stream(L, i);
}


static int l_close(lua_State *L) {
  process *p = check(L);
  if (p->child != NULL && !p->detached)
    table_of(L)->end(p);
  close_streams(L);
  lua_pushboolean(L, true);
  return 1;
}


/*
** core.leave(process): close its pipes, and let what still runs run on
*/

static int l_leave(lua_State *L) {
  process *p = check(L);
  table_of(L)->forget(p);
  close_streams(L);
  return 0;
}


static int l_gc(lua_State *L) {
  process *p = check(L);
  table_of(L)->forget(p);
  return 0;
}


/*
** Fields
*/

static void push_pid(lua_State *L, const process *p) {
  lua_pushinteger(L, p->pid);
}


static void push_status(lua_State *L, const process *p) {
  lua_pushstring(L, !p->ended        ? "running"
                    : p->signal != 0 ? "killed"
                                     : "exited");
}


static void push_group(lua_State *L, const process *p) {
  lua_pushboolean(L, p->leads);
}


static const struct {
  const char *name;
  void (*push)(lua_State *L, const process *p);
} fields[] = {
    {"pid", push_pid},       {"status", push_status}, {"code", push_code},
    {"signal", push_signal}, {"group", push_group},
};


static int push_field(lua_State *L, const process *p, const char *name) {
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (strcmp(name, fields[i].name) == 0) {
      fields[i].push(L, p);
      return 1;
    }
  }
  for (int i = 0; i < PROCESS_STREAMS; i++)
    if (strcmp(name, stream_names[i]) == 0)
      return lua_getiuservalue(L, 1, i + 1), 1;
  return 0;
}


/* Methods, the first upvalue, come first. */
static int l_index(lua_State *L) {
  process *p = check(L);
  if (class_method(L))
    return 1;
  return lua_type(L, 2) == LUA_TSTRING ? push_field(L, p, lua_tostring(L, 2))
                                       : 0;
}


static int l_tostring(lua_State *L) {
  const process *p = check(L);
  push_status(L, p);
  lua_pushfstring(L, "process %d (%s)", p->pid, lua_tostring(L, -1));
  return 1;
}


/*
** core.children() : {{pid =, command =, ...}, ...}
*/

/* Who is waited for cannot be collected meanwhile. */
static void push_child(lua_State *L, const child_facts *c) {
  bool waited = c->waiters != NULL && !wait_idle(c->waiters);
  lua_createtable(L, 0, 6);
  set_integer(L, "pid", c->pid);
  set_text(L, "command", c->command);
  set_text(L, "status",
           c->ending  ? "ending"
           : c->ended ? "group left"
                      : "running");
  set_flag(L, "group", c->leads);
  const host *h = host_of(L);
  set_number(L, "age",
             (lua_Number)(h->world->now(h->outside) - c->began) / 1e9);
  if (waited) {
    sched_push_waiters(L, c->waiters);
    lua_setfield(L, -2, "waiters");
  }
}


/* A finalizer may start more of them, and end none of the list. */
static int l_children(lua_State *L) {
  const processes *table = table_of(L);
  child_facts facts;
  void *at = NULL;
  lua_newtable(L);
  for (lua_Integer i = 1; table->next(host_of(L), &at, &facts); i++) {
    push_child(L, &facts);
    lua_rawseti(L, -2, i);
  }
  return 1;
}


/* Into the table on top those of one in the registry. */
static void copy_fields(lua_State *L, const char *name) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, name) == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, -2) != 0;) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -5);
    }
  lua_pop(L, 1);
}


/*
** core.env() : {[name] = value}
*/

static int l_env(lua_State *L) {
  bool real = !host_replays(host_of(L));
  lua_newtable(L);
  if (!real)
    copy_fields(L, HOST_ENVIRONMENT);
  for (char **e = real ? environ : NULL; e != NULL && *e != NULL; e++) {
    const char *equals = strchr(*e, '=');
    if (equals == NULL)
      continue;
    const char *name = lua_pushlstring(L, *e, (size_t)(equals - *e));
    if (!guard_env(name)) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushstring(L, equals + 1);
    lua_rawset(L, -3);
  }
  return 1;
}


static const luaL_Reg metamethods[] = {{"__close", l_close},
                                       {"__gc", l_gc},
                                       {"__tostring", l_tostring},
                                       {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"wait", l_wait}, {"kill", l_kill}, {"close", l_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"spawn", l_spawn},
                                     {"env", l_env},
                                     {"children", l_children},
                                     {"leave", l_leave},
                                     {NULL, NULL}};


int luaopen_neap_process_core(lua_State *L) {
  host *h = host_of(L);
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_newlib(L, functions);
  if (h->world->sys != NULL)
    set_integer(L, "pid", h->world->sys->processes->self(h));
  return 1;
}
