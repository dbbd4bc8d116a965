/*
** Frames: timeouts and shields, and what an interrupt raises.
**
** The error that an interrupt raises belongs to it: one object, made when it
** is first raised, kept in the registry under the frame's (or the task's)
** address.  Who set the frame knows its own interrupt by that object.
*/

#include <errno.h>
#include <stdatomic.h>

#include "host/coroutine.h"
#include "host/error.h"
#include "sched/sched.h"

#define CLASS "neap.frame"

/* Where things lie on the stack of a framed call. */
enum { FRAME = 1, HANDLER, BODY };


void frame_enter(lua_State *L, frame *f, enum frame_kind kind,
                 uint64_t deadline) {
  task *t = task_current(L);
  f->kind = (uint8_t)kind;
  f->hidden = kind == SCOPE && frame_shields(t);
  f->deadline = deadline;
  f->co = L;
  f->task = t;
  f->older = t->frames;
  f->newer = NULL;
  if (t->frames != NULL)
    t->frames->newer = f;
  atomic_signal_fence(memory_order_release); /* for frame_shields */
  t->frames = f;
  atomic_signal_fence(memory_order_release); /* a nudge begins here no more */
  if (kind == SHIELD)
    press_rest(host_of(L));
}


/* What else the registry has of an interrupt: how often its task went on. */
static const void *overrun_of(const void *key) {
  return (const char *)key + 1;
}


void frame_forget(lua_State *L, const void *key) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, overrun_of(key));
}


lua_Integer frame_overrun(lua_State *L, const task *t) {
  const frame *f = NULL;
  luaL_checkstack(L, 2, NULL);
  frame_interrupts(t, &f);
  const void *key = overrun_of(f != NULL ? (const void *)f : (const void *)t);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  lua_Integer n = lua_tointeger(L, -1) + 1;
  lua_pushinteger(L, n);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  lua_pop(L, 1);
  return n;
}


/* Some frame or the task itself may still interrupt it. */
static bool any_fired(const task *t) {
  bool fired = t->cancelled;
  for (const frame *f = t->frames; f != NULL; f = f->older)
    fired |= f->fired;
  return fired;
}


void frame_leave(lua_State *L, frame *f) {
  task *t = f->task;
  if (t == NULL)
    return;
  if (f->newer != NULL)
    f->newer->older = f->older;
  else
    t->frames = f->older;
  if (f->older != NULL)
    f->older->newer = f->newer;
  atomic_signal_fence(memory_order_release); /* for frame_shields */
  f->task = NULL;
  if (f->kind == TRIAL)
    host_of(L)->sched->trial = NULL;
  if (f->fired) {
    frame_forget(L, f);
    t->interrupt = any_fired(t);
    if (!t->interrupt)
      t->pressed = false;
  }
  if (f->kind >= ENDING)
    press_behind(L, t);
}


/* Does the frame enclose what its task does now?  Not while the coroutine that
 * entered it is suspended by the script, or resumed by another task. */
static bool active(const frame *f) {
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
bool frame_shields(const task *t) {
  const lua_State *next = task_host(t)->running; /* resumed, or soon */
  for (const frame *f = t->frames; f != NULL; f = f->older)
    if (f->kind >= ENDING &&
        (f->co == t->co || f->co == next || lua_status(f->co) == LUA_OK))
      return true;
  return t->scope->frame.hidden;
}


/* The outermost interrupt that no shield hides: *which is its frame, or NULL
 * for the cancellation of the task. */
bool frame_interrupts(const task *t, const frame **which) {
  const frame *found = NULL;
  bool shielded = false;
  for (const frame *f = t->frames; f != NULL && !shielded; f = f->older) {
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


void frame_fire(frame *f) {
  f->fired = true;
  if (f->task == NULL)
    return;
  f->task->interrupt = true;
  if (frame_interrupts(f->task, NULL))
    task_wake(f->task, WAIT_INTERRUPTED);
}


/* The earliest deadline that applies to what the task does now. */
uint64_t frame_deadline(const task *t) {
  uint64_t earliest = NEVER;
  for (const frame *f = t->frames; f != NULL; f = f->older) {
    if (!active(f))
      continue;
    if (f->kind >= ENDING)
      break;
    if (f->deadline < earliest)
      earliest = f->deadline;
  }
  return earliest;
}


/* Fire the frames whose deadline has passed; is any of them to be raised? */
bool frame_expire(task *t, uint64_t now) {
  bool fired = false;
  for (frame *f = t->frames; f != NULL; f = f->older) {
    if (f->deadline <= now && active(f))
      f->fired = fired = true;
  }
  if (!fired)
    return false;
  t->interrupt = true;
  return frame_interrupts(t, NULL);
}


/* The scope that cancels, or NULL. */
static const scope *canceller(const task *t, const frame *f) {
  if (f == NULL)
    return t->scope;
  return f->kind == SCOPE ? (const scope *)f : NULL;
}


static void push_new_token(lua_State *L, const task *t, const frame *f) {
  const char *reason = host_of(L)->sched->reason;
  if (f == NULL)
    error_push_message(L, -ECANCELED, NULL, NULL,
                       reason != NULL ? reason : "cancelled");
  else if (f->kind == TIMEOUT)
    error_push_message(L, -ETIMEDOUT, "timeout", NULL, "the time is up");
  else
    error_push_message(L, -ECANCELED, "scope", NULL, "the scope is cancelled");
  scope_push_cause(L, canceller(t, f));
  lua_setfield(L, -2, "cause");
}


/* Push the error object of an interrupt. */
static void push_token(lua_State *L, const task *t, const frame *f) {
  const void *key = f != NULL ? (const void *)f : (const void *)t;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TNIL) {
    lua_pop(L, 1);
    push_new_token(L, t, f);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  }
}


/* What this interrupt raises is somebody's error. */
void frame_blame(lua_State *L, frame *f, int err) {
  if (f->fired)
    return;
  lua_pushvalue(L, err);
  lua_rawsetp(L, LUA_REGISTRYINDEX, f);
  frame_fire(f);
}


void frame_push(lua_State *L, task *t) {
  const frame *f = NULL;
  luaL_checkstack(L, 6, NULL);
  press_rest(host_of(L));
  frame_interrupts(t, &f);
  push_token(L, t, f);
}


bool frame_is_raised(lua_State *L, const task *t) {
  const frame *f = NULL;
  if (!lua_checkstack(L, 1))
    return true;
  frame_interrupts(t, &f);
  const void *key = f != NULL ? (const void *)f : (const void *)t;
  bool is = lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}


void frame_raise(lua_State *L, task *t) {
  frame_push(L, t);
  lua_error(L);
  for (;;)
    ; /* lua_error does not return */
}


/* Is the error at index the interrupt of this frame (NULL: of the running
 * task)? */
bool frame_raised(lua_State *L, const frame *f, int err) {
  err = lua_absindex(L, err);
  const void *key = f != NULL ? (const void *)f : (const void *)task_current(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  bool same = !lua_isnil(L, -1) && lua_rawequal(L, -1, err);
  lua_pop(L, 1);
  return same;
}


/*
** timeout(seconds, f, ...) : f's results | nil, error
** shield(f, ...) : f's results
** trial(f, ...) : f's results | raises the error of a task of the root scope
*/

static int framed_k(lua_State *L, int status, lua_KContext ctx) {
  frame *f = lua_touserdata(L, FRAME);
  (void)ctx;
  luaL_checkstack(L, LUA_MINSTACK, NULL); /* f's results may fill it */
  bool ok = status == LUA_OK || status == LUA_YIELD;
  bool own = !ok && f->fired && frame_raised(L, f, -1);
  frame_leave(L, f);
  if (ok)
    return lua_gettop(L) - HANDLER;
  if (!own)
    return lua_error(L);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}


/* Put a frame below the function at index 1 and its arguments, and enter it. */
static frame *push_frame(lua_State *L, enum frame_kind kind,
                         uint64_t deadline) {
  frame *f = lua_newuserdatauv(L, sizeof *f, 1);
  *f = (frame){.deadline = NEVER};
  luaL_setmetatable(L, CLASS);
  lua_pushthread(L); /* the frame points to it */
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, FRAME);
  lua_toclose(L, FRAME);
  frame_enter(L, f, kind, deadline);
  return f;
}


/* Call the function at index 1 with the arguments above it, in a frame. */
static int framed(lua_State *L, enum frame_kind kind, uint64_t deadline) {
  push_frame(L, kind, deadline);
  lua_pushcfunction(L, trace_handler);
  lua_insert(L, HANDLER);
  int nargs = lua_gettop(L) - BODY;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, 0, framed_k);
  return framed_k(L, status, 0);
}


int frame_timeout(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_checkany(L, 2);
  wait_enter(L, "timeout");
  uint64_t deadline = wait_deadline(L, seconds);
  lua_remove(L, 1);
  return framed(L, TIMEOUT, deadline);
}


int frame_shield(lua_State *L) {
  luaL_checkany(L, 1);
  return framed(L, SHIELD, NEVER);
}


static int trial_k(lua_State *L, int status, lua_KContext ctx) {
  frame *f = lua_touserdata(L, FRAME);
  (void)status, (void)ctx;
  if (!f->fired)
    return lua_gettop(L) - FRAME;
  push_token(L, f->task, f);
  return lua_error(L);
}


/* Errors pass through as they are, with the stack below them. */
int frame_trial(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  luaL_checkany(L, 1);
  if (s->trial != NULL)
    return luaL_error(L, "trial: there is one already");
  s->trial = push_frame(L, TRIAL, NEVER);
  lua_callk(L, lua_gettop(L) - FRAME - 1, LUA_MULTRET, 0, trial_k);
  return trial_k(L, LUA_OK, 0);
}


/* A coroutine that was closed, or died, inside the frame. */
static int l_close(lua_State *L) {
  frame_leave(L, luaL_checkudata(L, 1, CLASS));
  return 0;
}


void frame_open(lua_State *L) {
  luaL_newmetatable(L, CLASS);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
