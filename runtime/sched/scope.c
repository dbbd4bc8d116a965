/*
** Scopes: task.scope returns when all tasks spawned into it have ended.  The
** first failure cancels the rest, and is raised in the scope's owner.
**
** A scope is a cancel scope of its owner too: it interrupts the body when a child
** has failed.  It is anchored in the registry until it has ended and no child
** lives, so it survives the owner's coroutine.
*/

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "host/class.h"
#include "host/error.h"
#include "sched/sched.h"

#define CLASS "neap.Scope"

/* Where things lie on the stack of scope_run. */
enum { SCOPE_AT = 1, HANDLER };

/* User values: the list of failures, the coroutine of the owner, what is called with the
 * failures of served tasks. */
enum { FAILURES = 1, OWNER, ON_FAILURE, USERVALUES = ON_FAILURE };

/* So many failures of one scope are told. */
enum { TOLD = 10 };

/* The context of a continuation: how the body ended.  INTERRUPTED is by the
 * scope itself, RAISED by an interrupt from further out; its own errors are
 * noted like those of children, and then it has FAILED. */
enum { RETURNED, FAILED, RAISED, INTERRUPTED };


static const char mark;

_Static_assert(offsetof(scope, mark) + sizeof(uint32_t) == sizeof(scope),
               "host_marked looks for it at the end");


scope *scope_new(lua_State *L) {
  scope *s = lua_newuserdatauv(L, sizeof *s, USERVALUES);
  *s = (scope){.host = host_of(L), .ref = LUA_NOREF, .mark = host_mark(&mark)};
  s->cancel_scope.deadline = NEVER;
  s->cancel_scope.kind = SCOPE;
  const task *t = task_current(L);
  s->daemon = t != NULL && t->daemon;
  s->prompt = t != NULL && t->scope->prompt;
  luaL_setmetatable(L, CLASS);
  lua_pushvalue(L, -1);
  s->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return s;
}


scope *scope_check(lua_State *L, int index) {
  scope *s = host_marked(L, index, sizeof *s, &mark);
  return s != NULL ? s : luaL_checkudata(L, index, CLASS);
}


/* It has ended: let go of it once no child lives. */
static void release(lua_State *L, scope *s) {
  if (!s->ended || s->live > 0)
    return;
  luaL_unref(L, LUA_REGISTRYINDEX, s->ref);
  s->ref = LUA_NOREF;
}


static void link_child(scope *s, task *t) {
  t->scope = s;
  t->daemon |= s->daemon;
  t->elder = s->youngest;
  if (s->youngest != NULL)
    s->youngest->younger = t;
  s->youngest = t;
  s->live++;
}


void scope_add(scope *s, task *t) {
  link_child(s, t);
  if (s->cancel_scope.fired)
    task_cancel(t); /* too late: it starts cancelled */
}


/* A text has no place for the traceback, and a table of the script's own is its
 * own. */
static void add_traceback(lua_State *L, int err, int trace) {
  if (!error_is(L, err))
    return;
  trace = lua_absindex(L, trace);
  lua_pushliteral(L, "traceback");
  lua_pushvalue(L, trace);
  lua_rawset(L, err);
}


/* Keep an error (and the note of where it began, on top) for the owner, who
 * is to raise the first. */
void scope_blame(lua_State *L, scope *s, int err) {
  err = lua_absindex(L, err);
  add_traceback(L, err, -1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref);
  if (lua_getiuservalue(L, -1, FAILURES) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, FAILURES);
  }
  lua_Integer n = luaL_len(L, -1);
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, err);
  lua_setfield(L, -2, "error");
  lua_pushvalue(L, -4);
  lua_setfield(L, -2, "trace");
  lua_rawseti(L, -2, n + 1);
  lua_pop(L, 2);
}


static void remove_child(scope *s, task *t) {
  if (t->younger != NULL)
    t->younger->elder = t->elder;
  else
    s->youngest = t->elder;
  if (t->elder != NULL)
    t->elder->younger = t->younger;
  t->elder = t->younger = NULL;
  s->live--;
}


static void cancel_children(scope *s) {
  for (task *t = s->youngest; t != NULL; t = t->elder)
    task_cancel(t);
}


/* Wait until at most n children live, with others who wait for fewer. */
static int wait_below(lua_State *L, scope *s, unsigned n, lua_KContext ctx,
                      lua_KFunction k) {
  static const waiting waits = {"scope", NEVER, false};
  if (s->threshold < n)
    s->threshold = n;
  return wait_park(L, &s->below, &waits, ctx, k);
}


void scope_cancel(scope *s) {
  if (s->ended)
    return;
  cancel_scope_fire(&s->cancel_scope);
  cancel_children(s);
}


/* By a failure in it. */
static void break_scope(scope *s) {
  s->broken |= !s->cancel_scope.fired;
  scope_cancel(s);
}


/* At the prompt a task's failure is told of, and no more; one in a test is that's
 * (report_failure). */
static bool is_lenient(const scope *s) {
  const struct sched *all = s->host->sched;
  bool spared = all->lenient || all->homes.count > 0;
  return s == all->side || s->home != 0 || (spared && s == all->root);
}


void scope_child_ended(lua_State *L, task *t) {
  scope *s = t->scope;
  t->scope = NULL;
  remove_child(s, t);
  if (t->failed && !t->served && !is_lenient(s)) {
    s->failed = true;
    break_scope(s);
  }
  if (s->live <= s->threshold) {
    s->threshold = 0;
    wait_wake_all(&s->below, 0);
  }
  release(L, s);
}


/*
** scope(f) : f's results | raises the first failure
*/

/* Push failure i and its trace, from the list on top; false when there is
 * none. */
static bool push_failure(lua_State *L, lua_Integer i) {
  if (!lua_istable(L, -1) || lua_rawgeti(L, -1, i) != LUA_TTABLE)
    return false;
  lua_getfield(L, -1, "error");
  lua_getfield(L, -2, "trace");
  lua_remove(L, -3);
  return true;
}


/* Who is cancelled with the scope is so for what failed in it, or in a scope
 * around it. */
void scope_push_cause(lua_State *L, const scope *s) {
  int cause = lua_gettop(L) + 1;
  luaL_checkstack(L, 6, NULL);
  lua_pushnil(L);
  while (s != NULL && !s->broken)
    s = s->cancel_scope.task != NULL ? s->cancel_scope.task->scope : NULL;
  if (s == NULL)
    return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref);
  lua_getiuservalue(L, -1, FAILURES);
  if (push_failure(L, 1)) {
    lua_pop(L, 1);
    lua_replace(L, cause);
  }
  lua_settop(L, cause);
}


/* failures, error, trace -> the same, with failure i told behind the trace. */
static bool add_failure(lua_State *L, lua_Integer i) {
  int top = lua_gettop(L);
  lua_pushvalue(L, -3);
  if (!push_failure(L, i)) {
    lua_settop(L, top);
    return false;
  }
  report_push_other(L, -2, -1);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  lua_concat(L, 2);
  return true;
}


/* Raise the first failure, if there was one. */
static void raise_failure(lua_State *L, const scope *s) {
  lua_getiuservalue(L, SCOPE_AT, FAILURES);
  if (!push_failure(L, 1)) {
    if (!s->failed)
      return;
    lua_pushliteral(L, "not enough memory"); /* Lua's own, so it is there */
    lua_error(L);
  }
  for (lua_Integer i = 2; i <= TOLD && add_failure(L, i); i++)
    ;
  traceback_note(L, -2, -1);
  lua_pop(L, 1);
  lua_error(L);
}


static int finish(lua_State *L, scope *s, lua_KContext how) {
  int top = lua_gettop(L);
  bool interrupted = s->cancel_scope.kind == ENDING;
  cancel_scope_leave(L, &s->cancel_scope);
  s->ended = true;
  release(L, s);
  raise_failure(L, s);
  lua_settop(L, top);
  if (how == RAISED)
    return lua_error(L);
  task *t = task_current(L);
  if (interrupted && t->interrupt && cancel_scope_interrupts(t, NULL))
    return wait_raise(L);
  if (how == RETURNED)
    return top - HANDLER;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}


/* Wait until no child lives.  An interrupt from outside is passed to the
 * children once; then nothing interrupts this wait. */
static int ending_k(lua_State *L, int status, lua_KContext how) {
  scope *s = lua_touserdata(L, SCOPE_AT);
  bool interrupted = false;
  if (status == LUA_YIELD)
    wait_peek(L, &interrupted);
  if (how == FAILED)
    break_scope(s);
  if (interrupted || how != RETURNED) {
    scope_cancel(s);
    s->cancel_scope.kind = ENDING;
  }
  if (s->live == 0)
    return finish(L, s, how);
  return wait_below(L, s, 0, how, ending_k);
}


static int body_k(lua_State *L, int status, lua_KContext ctx) {
  scope *s = lua_touserdata(L, SCOPE_AT);
  (void)ctx;
  luaL_checkstack(L, LUA_MINSTACK, NULL); /* f's results may fill it */
  if (status == LUA_OK || status == LUA_YIELD)
    return ending_k(L, LUA_OK, RETURNED);
  if (s->cancel_scope.fired && cancel_scope_raised(L, &s->cancel_scope, -1))
    return ending_k(L, LUA_OK, INTERRUPTED);
  if (traceback_is_interrupt(L, -1))
    return ending_k(L, LUA_OK, RAISED);
  traceback_take(L, -1);
  scope_blame(L, s, -2);
  return ending_k(L, LUA_OK, FAILED);
}


int scope_run(lua_State *L) {
  task_check_callable(L, 1, "scope");
  lua_settop(L, 1);
  wait_enter(L, "scope");
  scope *s = scope_new(L);
  lua_pushthread(L); /* the cancel scope points to it */
  lua_setiuservalue(L, -2, OWNER);
  lua_insert(L, SCOPE_AT);
  lua_pushcfunction(L, traceback_handler);
  lua_insert(L, HANDLER);
  lua_toclose(L, SCOPE_AT);
  cancel_scope_enter(L, &s->cancel_scope, SCOPE, NEVER);
  lua_pushvalue(L, SCOPE_AT);
  return body_k(L, lua_pcallk(L, 1, LUA_MULTRET, HANDLER, 0, body_k), 0);
}


/*
** Scope
*/

static scope *open_scope(lua_State *L) {
  scope *s = scope_check(L, 1);
  if (s->ended)
    luaL_error(L, "the scope has ended");
  return s;
}


static int l_spawn(lua_State *L) {
  scope *s = open_scope(L);
  luaL_checkany(L, 2);
  task_spawn(L, s, lua_gettop(L) - 2);
  return 1;
}


/* s:serve(handler, object, ...): see task_spawn_served */
static int l_serve(lua_State *L) {
  scope *s = open_scope(L);
  luaL_checkany(L, 3);
  task_spawn_served(L, s, lua_gettop(L) - 2);
  return 1;
}


/* serve(s, handler, object, ...): the same, for who does so again and again and
 * lets nobody else: where is found out the first time. */
int scope_serve(lua_State *L) {
  task_spawn_served_there(L, open_scope(L), lua_gettop(L) - 2);
  return 1;
}


/* onfailure(s, f): f(err) is called when a served task fails with an error object, and
 * returns whether it is told by that.  It cannot wait. */
int scope_onfailure(lua_State *L) {
  scope_check(L, 1);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, ON_FAILURE);
  return 0;
}


/* A failure in that leaves the error to be told. */
bool scope_takes(lua_State *L, const scope *s, int err) {
  int top = lua_gettop(L);
  err = lua_absindex(L, err);
  luaL_checkstack(L, 4, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref);
  bool taken = lua_getiuservalue(L, -1, ON_FAILURE) != LUA_TNIL;
  if (taken) {
    lua_pushvalue(L, err);
    taken = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_toboolean(L, -1);
  }
  lua_settop(L, top);
  return taken;
}


static int l_cancel(lua_State *L) {
  scope *s = scope_check(L, 1);
  scope_cancel(s);
  return 0;
}


/* s:wait(n): until at most n children live */
static int wait_k(lua_State *L, int status, lua_KContext ctx) {
  scope *s = lua_touserdata(L, 1);
  (void)ctx;
  if (status == LUA_YIELD && wait_status(L) < 0)
    return 0; /* by scope_rouse */
  lua_Integer n = lua_tointeger(L, 2);
  if ((lua_Integer)s->live <= n)
    return 0;
  return wait_below(L, s, (unsigned)n, 0, wait_k);
}


void scope_rouse(lua_State *L, int index) {
  wait_wake_all(&scope_check(L, index)->below, -ECANCELED);
}


static int l_wait(lua_State *L) {
  open_scope(L);
  luaL_argcheck(L, luaL_optinteger(L, 2, 0) >= 0, 2, "a count expected");
  lua_settop(L, 2);
  wait_enter(L, "scope");
  return wait_k(L, LUA_OK, 0);
}


static int l_index(lua_State *L) {
  scope *s = scope_check(L, 1);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "live") == 0)
    lua_pushinteger(L, s->live);
  else
    lua_getfield(L, lua_upvalueindex(1), key);
  return 1;
}


static void tell_failures(lua_State *L, scope *s) {
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref);
  lua_getiuservalue(L, -1, FAILURES);
  for (lua_Integer i = 1; push_failure(L, i); i++) {
    report_lost(L, s->host, -2, -1);
    lua_pop(L, 2);
  }
  lua_settop(L, top);
}


/* Nobody waits for the scope any more: its owner's coroutine was closed, or was
 * left suspended by a task that has ended.  The children are cancelled, and the
 * program's from now on, which waits for them and tells their failures. */
void scope_abandon(lua_State *L, scope *s) {
  const struct sched *all = s->host->sched;
  if (s->ended || s == all->root)
    return;
  cancel_scope_leave(L, &s->cancel_scope);
  s->ended = true;
  cancel_children(s);
  for (task *t; (t = s->youngest) != NULL;) {
    remove_child(s, t);
    link_child(s->prompt ? all->side : home_of(all, NULL), t);
  }
  wait_wake_all(&s->below, 0);
  tell_failures(L, s);
  release(L, s);
}


static int l_close(lua_State *L) {
  scope_abandon(L, scope_check(L, 1));
  return 0;
}


static int l_tostring(lua_State *L) {
  lua_pushfstring(L, "scope (%d tasks)", (int)scope_check(L, 1)->live);
  return 1;
}


static const luaL_Reg methods[] = {
    {"spawn", l_spawn}, {"serve", l_serve}, {"cancel", l_cancel},
    {"wait", l_wait},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", l_close}, {"__tostring", l_tostring}, {NULL, NULL}};


void scope_open(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
}
