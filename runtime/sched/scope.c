/*
** Scopes: task.scope returns when all tasks spawned into it have ended.  The
** first failure cancels the rest, and is raised in the scope's owner.
**
** A scope is a frame of its owner too: it interrupts the body when a child
** has failed.  It is anchored in the registry until it has ended and no child
** lives, so it survives the owner's coroutine.
*/

#include <string.h>

#include "sched/sched.h"

#define CLASS "neap.Scope"

/* Where things lie on the stack of scope_run. */
enum { SCOPE_AT = 1, HANDLER };

/* User values: the list of failures, the coroutine of the owner. */
enum { FAILURES = 1, OWNER, USERVALUES = OWNER };

/* The context of a continuation: how the body ended. */
enum { RETURNED, RAISED, INTERRUPTED };


scope *scope_new(lua_State *L) {
  scope *s = lua_newuserdatauv(L, sizeof *s, USERVALUES);
  *s = (scope){.host = host_of(L), .ref = LUA_NOREF};
  s->frame.deadline = NEVER;
  s->frame.kind = SCOPE;
  luaL_setmetatable(L, CLASS);
  lua_pushvalue(L, -1);
  s->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return s;
}


scope *scope_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, CLASS);
}


/* It has ended: let go of it once no child lives. */
static void release(lua_State *L, scope *s) {
  if (!s->ended || s->live > 0)
    return;
  luaL_unref(L, LUA_REGISTRYINDEX, s->ref);
  s->ref = LUA_NOREF;
}


void scope_add(scope *s, task *t) {
  t->scope = s;
  t->elder = s->youngest;
  if (s->youngest != NULL)
    s->youngest->younger = t;
  s->youngest = t;
  s->live++;
  if (s->frame.fired)
    task_cancel(t); /* too late: it starts cancelled */
}


/* Keep an error (and the note of where it began, on top) for the owner. */
void scope_blame(lua_State *L, scope *s, int err) {
  err = lua_absindex(L, err);
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


void scope_cancel(scope *s) {
  if (s->ended)
    return;
  frame_fire(&s->frame);
  cancel_children(s);
}


void scope_child_ended(lua_State *L, task *t) {
  scope *s = t->scope;
  t->scope = NULL;
  remove_child(s, t);
  if (t->failed && !t->served)
    scope_cancel(s);
  if (s->live <= s->threshold)
    wait_wake(&s->below, 0);
  release(L, s);
}


/*
** scope(f) : f's results | raises the first failure
*/

/* Push the first failure and its trace; false when there was none. */
static bool push_failure(lua_State *L) {
  if (lua_getiuservalue(L, SCOPE_AT, FAILURES) != LUA_TTABLE)
    return false;
  lua_rawgeti(L, -1, 1);
  lua_getfield(L, -1, "error");
  lua_getfield(L, -2, "trace");
  return true;
}


static int finish(lua_State *L, scope *s, lua_KContext how) {
  int top = lua_gettop(L);
  bool interrupted = s->frame.kind == SHIELD;
  frame_leave(L, &s->frame);
  s->ended = true;
  release(L, s);
  if (how == RAISED) {
    trace_note(L, top - 1, top);
    lua_pushvalue(L, top - 1);
    return lua_error(L);
  }
  if (push_failure(L)) {
    trace_note(L, -2, -1);
    lua_pop(L, 1);
    return lua_error(L);
  }
  lua_settop(L, top);
  task *t = task_current(L);
  if (interrupted && t->interrupt && frame_interrupts(t, NULL))
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
  static const waiting waits = {"scope", NEVER, false};
  scope *s = lua_touserdata(L, SCOPE_AT);
  bool interrupted = false;
  if (status == LUA_YIELD)
    wait_peek(L, &interrupted);
  if (interrupted || how != RETURNED) {
    cancel_children(s);
    s->frame.kind = SHIELD;
  }
  if (s->live == 0)
    return finish(L, s, how);
  s->threshold = 0;
  return wait_park(L, &s->below, &waits, how, ending_k);
}


static int body_k(lua_State *L, int status, lua_KContext ctx) {
  scope *s = lua_touserdata(L, SCOPE_AT);
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD)
    return ending_k(L, LUA_OK, RETURNED);
  if (s->frame.fired && frame_raised(L, &s->frame, -1))
    return ending_k(L, LUA_OK, INTERRUPTED);
  trace_take(L); /* error, trace */
  return ending_k(L, LUA_OK, RAISED);
}


int scope_run(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  wait_enter(L, "scope");
  scope *s = scope_new(L);
  lua_pushthread(L); /* the frame points to it */
  lua_setiuservalue(L, -2, OWNER);
  lua_insert(L, SCOPE_AT);
  lua_pushcfunction(L, trace_handler);
  lua_insert(L, HANDLER);
  lua_toclose(L, SCOPE_AT);
  frame_enter(L, &s->frame, SCOPE, NEVER);
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


static int l_cancel(lua_State *L) {
  scope *s = scope_check(L, 1);
  scope_cancel(s);
  return 0;
}


/* s:wait(n): until at most n children live */
static int wait_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting waits = {"scope", NEVER, false};
  scope *s = lua_touserdata(L, 1);
  (void)ctx;
  if (status == LUA_YIELD)
    wait_status(L);
  lua_Integer n = lua_tointeger(L, 2);
  if ((lua_Integer)s->live <= n)
    return 0;
  s->threshold = (unsigned)n;
  return wait_park(L, &s->below, &waits, 0, wait_k);
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


/* The owner's coroutine was closed inside the scope, or died: the children
 * are cancelled, and nobody waits for them. */
static int l_close(lua_State *L) {
  scope *s = scope_check(L, 1);
  if (s->ended || s == s->host->sched->root)
    return 0;
  frame_leave(L, &s->frame);
  s->frame.fired = true;
  cancel_children(s);
  s->ended = true;
  release(L, s);
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
  luaL_newmetatable(L, CLASS);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
