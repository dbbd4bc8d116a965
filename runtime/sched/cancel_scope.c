/*
** Cancel scopes: timeouts and shields, and what an interrupt raises.
**
** The error that an interrupt raises belongs to it: one object, made when it
** is first raised, kept in the registry under the cancel scope's (or the task's)
** address.  Who set the cancel scope knows its own interrupt by that object.
*/

#include <errno.h>
#include <stdatomic.h>

#include "host/class.h"
#include "host/coroutine.h"
#include "host/error.h"
#include "sched/sched.h"

#define CLASS "neap.cancel_scope"

/* Where things lie on the stack of a scoped call. */
enum { CANCEL_SCOPE = 1, HANDLER, BODY };


void cancel_scope_enter(lua_State *L, cancel_scope *f,
                        enum cancel_scope_kind kind, uint64_t deadline) {
  task *t = task_current(L);
  f->kind = (uint8_t)kind;
  f->hidden = kind == SCOPE && cancel_scope_shields(t);
  f->deadline = deadline;
  f->co = L;
  f->task = t;
  f->older = t->cancel_scopes;
  f->newer = NULL;
  if (t->cancel_scopes != NULL)
    t->cancel_scopes->newer = f;
  atomic_signal_fence(memory_order_release); /* for cancel_scope_shields */
  t->cancel_scopes = f;
  atomic_signal_fence(memory_order_release); /* a nudge begins here no more */
  if (kind == SHIELD)
    preempt_rest(host_of(L));
}


/* What else the registry has of an interrupt: how often its task went on. */
static const void *overrun_of(const void *key) {
  return (const char *)key + 1;
}


void cancel_scope_forget(lua_State *L, const void *key) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, overrun_of(key));
}


lua_Integer cancel_scope_overrun(lua_State *L, const task *t) {
  const cancel_scope *f = NULL;
  luaL_checkstack(L, 2, NULL);
  cancel_scope_interrupts(t, &f);
  const void *key = overrun_of(f != NULL ? (const void *)f : (const void *)t);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  lua_Integer n = lua_tointeger(L, -1) + 1;
  lua_pushinteger(L, n);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  lua_pop(L, 1);
  return n;
}


/* Some cancel scope or the task itself may still interrupt it. */
static bool any_fired(const task *t) {
  bool fired = t->cancelled;
  for (const cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older)
    fired |= f->fired;
  return fired;
}


void cancel_scope_leave(lua_State *L, cancel_scope *f) {
  task *t = f->task;
  if (t == NULL)
    return;
  if (f->newer != NULL)
    f->newer->older = f->older;
  else
    t->cancel_scopes = f->older;
  if (f->older != NULL)
    f->older->newer = f->newer;
  atomic_signal_fence(memory_order_release); /* for cancel_scope_shields */
  f->task = NULL;
  if (f->kind == TRIAL)
    host_of(L)->sched->trial = NULL;
  if (f->fired) {
    cancel_scope_forget(L, f);
    t->interrupt = any_fired(t);
    if (!t->interrupt)
      t->preempted = false;
  }
  if (f->kind >= ENDING)
    preempt_behind(L, t);
}


/* Does the cancel scope enclose what its task does now?  Not while the coroutine that
 * entered it is suspended by the script, or resumed by another task. */
static bool active(const cancel_scope *f) {
  const task *t = f->task;
  if (f->co == t->co)
    return true;
  if (t->state == RUNNING)
    return lua_status(f->co) == LUA_OK;
  return coroutine_parked(f->co) && coroutine_base(f->co) == t->co;
}


/* A handler cannot look into a coroutine that does not run: that may be as the
 * collector has just left it.  So of the task that waits in a scope for this one the
 * scope itself knows. */
bool cancel_scope_shields(const task *t) {
  const lua_State *next = task_host(t)->running; /* resumed, or soon */
  for (const cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older)
    if (f->kind >= ENDING &&
        (f->co == t->co || f->co == next || lua_status(f->co) == LUA_OK))
      return true;
  return t->scope->cancel_scope.hidden;
}


/* The outermost interrupt that no shield hides: *which is its cancel scope, or NULL
 * for the cancellation of the task. */
bool cancel_scope_interrupts(const task *t, const cancel_scope **which) {
  const cancel_scope *found = NULL;
  bool shielded = false;
  for (const cancel_scope *f = t->cancel_scopes; f != NULL && !shielded;
       f = f->older) {
    if (!active(f))
      continue;
    if (f->kind >= ENDING)
      shielded = true;
    else if (f->fired)
      found = f;
  }
  bool cancelled = t->cancelled && !shielded;
  if (which != NULL)
    *which = cancelled ? NULL : found;
  return cancelled || found != NULL;
}


void cancel_scope_fire(cancel_scope *f) {
  f->fired = true;
  if (f->task == NULL)
    return;
  f->task->interrupt = true;
  if (cancel_scope_interrupts(f->task, NULL))
    task_wake(f->task, WAIT_INTERRUPTED);
}


/* The earliest deadline that applies to what the task does now. */
uint64_t cancel_scope_deadline(const task *t) {
  uint64_t earliest = NEVER;
  for (const cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older) {
    if (!active(f))
      continue;
    if (f->kind >= ENDING)
      break;
    if (f->deadline < earliest)
      earliest = f->deadline;
  }
  return earliest;
}


/* Fire the cancel scopes whose deadline has passed; is any of them to be raised? */
bool cancel_scope_expire(task *t, uint64_t now) {
  bool fired = false;
  for (cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older) {
    if (f->deadline <= now && active(f))
      f->fired = fired = true;
  }
  if (!fired)
    return false;
  t->interrupt = true;
  return cancel_scope_interrupts(t, NULL);
}


/* The scope that cancels, or NULL. */
static const scope *canceller(const task *t, const cancel_scope *f) {
  if (f == NULL)
    return t->scope;
  return f->kind == SCOPE ? (const scope *)f : NULL;
}


static void push_new_token(lua_State *L, const task *t, const cancel_scope *f) {
  const char *reason = host_of(L)->sched->reason;
  if (f == NULL)
    error_push_message(L, -ECANCELED, NULL, NULL,
                       reason != NULL ? reason : "cancelled");
  else if (f->kind == TIMEOUT)
    error_push_message(L, -ETIMEDOUT, "timeout", NULL, "the time is up");
  else if (f->kind == IDLE)
    error_push_message(L, -ECANCELED, "idle", NULL, "the program drains");
  else
    error_push_message(L, -ECANCELED, "scope", NULL, "the scope is cancelled");
  scope_push_cause(L, canceller(t, f));
  lua_setfield(L, -2, "cause");
}


/* Push the error object of an interrupt. */
static void push_token(lua_State *L, const task *t, const cancel_scope *f) {
  const void *key = f != NULL ? (const void *)f : (const void *)t;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TNIL) {
    lua_pop(L, 1);
    push_new_token(L, t, f);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  }
}


/* What this interrupt raises is somebody's error. */
void cancel_scope_blame(lua_State *L, cancel_scope *f, int err) {
  if (f->fired)
    return;
  lua_pushvalue(L, err);
  lua_rawsetp(L, LUA_REGISTRYINDEX, f);
  cancel_scope_fire(f);
}


void cancel_scope_push(lua_State *L, task *t) {
  const cancel_scope *f = NULL;
  luaL_checkstack(L, 6, NULL);
  preempt_rest(host_of(L));
  cancel_scope_interrupts(t, &f);
  push_token(L, t, f);
}


bool cancel_scope_is_raised(lua_State *L, const task *t) {
  const cancel_scope *f = NULL;
  if (!lua_checkstack(L, 1))
    return true;
  cancel_scope_interrupts(t, &f);
  const void *key = f != NULL ? (const void *)f : (const void *)t;
  bool is = lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}


void cancel_scope_raise(lua_State *L, task *t) {
  cancel_scope_push(L, t);
  lua_error(L);
  for (;;)
    ; /* lua_error does not return */
}


/* Is the error at index the interrupt of this cancel scope (NULL: of the running
 * task)? */
bool cancel_scope_raised(lua_State *L, const cancel_scope *f, int err) {
  err = lua_absindex(L, err);
  const void *key = f != NULL ? (const void *)f : (const void *)task_current(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  bool same = !lua_isnil(L, -1) && lua_rawequal(L, -1, err);
  lua_pop(L, 1);
  return same;
}


/*
** timeout(seconds, f, ...) : f's results | nil, error
** idle(f, ...) : f's results | nil, error
** shield(f, ...) : f's results
** trial(f, ...) : f's results | raises what ended it (trial.c)
*/

static int scoped_k(lua_State *L, int status, lua_KContext ctx) {
  cancel_scope *f = lua_touserdata(L, CANCEL_SCOPE);
  (void)ctx;
  luaL_checkstack(L, LUA_MINSTACK, NULL); /* f's results may fill it */
  bool ok = status == LUA_OK || status == LUA_YIELD;
  bool own = !ok && f->fired && cancel_scope_raised(L, f, -1);
  cancel_scope_leave(L, f);
  if (ok)
    return lua_gettop(L) - HANDLER;
  if (!own)
    return lua_error(L);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}


/* Put a cancel scope below the function at index 1 and its arguments, and enter it. */
static cancel_scope *push_cancel_scope(lua_State *L,
                                       enum cancel_scope_kind kind,
                                       uint64_t deadline) {
  if (task_current(L) ==
      NULL) /* a variable is closed at the end of the state */
    luaL_error(L, "only a task can wait");
  cancel_scope *f = lua_newuserdatauv(L, sizeof *f, 1);
  *f = (cancel_scope){.deadline = NEVER};
  luaL_setmetatable(L, CLASS);
  lua_pushthread(L); /* the cancel scope points to it */
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, CANCEL_SCOPE);
  lua_toclose(L, CANCEL_SCOPE);
  cancel_scope_enter(L, f, kind, deadline);
  return f;
}


/* Call the function at index 1 with the arguments above it, in a cancel scope. */
static int scoped(lua_State *L, enum cancel_scope_kind kind,
                  uint64_t deadline) {
  push_cancel_scope(L, kind, deadline);
  lua_pushcfunction(L, traceback_handler);
  lua_insert(L, HANDLER);
  int nargs = lua_gettop(L) - BODY;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, 0, scoped_k);
  return scoped_k(L, status, 0);
}


int cancel_scope_timeout(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  task_check_callable(L, 2, "timeout");
  wait_enter(L, "timeout");
  uint64_t deadline = wait_deadline(L, seconds);
  lua_remove(L, 1);
  return scoped(L, TIMEOUT, deadline);
}


/* While the program drains it is a timeout that is up: what is there is taken. */
int cancel_scope_idle(lua_State *L) {
  const struct sched *s = host_of(L)->sched;
  task_check_callable(L, 1, "idle");
  wait_enter(L, "idle");
  return scoped(L, IDLE, s->drains ? s->now : NEVER);
}


int cancel_scope_shield(lua_State *L) {
  task_check_callable(L, 1, "shield");
  return scoped(L, SHIELD, NEVER);
}


static int trial_k(lua_State *L, int status, lua_KContext ctx) {
  cancel_scope *f = lua_touserdata(L, CANCEL_SCOPE);
  (void)status, (void)ctx;
  if (!f->fired)
    return lua_gettop(L) - CANCEL_SCOPE;
  push_token(L, f->task, f);
  return lua_error(L);
}


/* Errors pass through as they are, with the stack below them. */
int cancel_scope_trial(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  luaL_checkany(L, 1);
  if (s->trial != NULL)
    return luaL_error(L, "trial: there is one already");
  s->trial = push_cancel_scope(L, TRIAL, NEVER);
  lua_callk(L, lua_gettop(L) - CANCEL_SCOPE - 1, LUA_MULTRET, 0, trial_k);
  return trial_k(L, LUA_OK, 0);
}


/* A coroutine that was closed, or died, inside the cancel scope. */
static int l_close(lua_State *L) {
  cancel_scope_leave(L, luaL_checkudata(L, 1, CLASS));
  return 0;
}


void cancel_scope_open(lua_State *L) {
  class_open_closing(L, CLASS, l_close);
}
