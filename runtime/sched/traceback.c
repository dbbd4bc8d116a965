/*
** Where errors began.
**
** An error may be caught and raised again on its way (by task.timeout, by the
** scope of a task that failed).  The handler takes the traceback where it is
** raised first; later handlers find the note and keep it.
*/

#include "host/traceback.h"
#include "sched/sched.h"

/* Keys of the registry.  The note must not keep an error, and what that refers
 * to, which its catcher has dropped: it is in a weak table, at 1. */
static const char noted_error, noted_text;


void traceback_init(lua_State *L) {
  lua_createtable(L, 1, 0);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted_error);
}


/* Note the error on top, or nil. */
static void set_noted(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &noted_error);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 1);
}


/* An interrupt has no place to tell. */
bool traceback_is_interrupt(lua_State *L, int err) {
  const cancel_scope *f;
  const task *t = task_current(L);
  return t != NULL && t->interrupt && cancel_scope_interrupts(t, &f) &&
         cancel_scope_raised(L, f, err);
}


/* Does a function of ours raise the error, which it has caught?  Who else
 * raises an equal error may do so for another reason. */
static bool is_passed_on(lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar))
    return false;
  lua_getinfo(L, "f", &ar);
  lua_CFunction raiser = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return raiser == cancel_scope_timeout || raiser == cancel_scope_shield ||
         raiser == scope_run;
}


static bool is_noted(lua_State *L, int err) {
  err = lua_absindex(L, err);
  bool any = lua_rawgetp(L, LUA_REGISTRYINDEX, &noted_text) != LUA_TNIL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &noted_error);
  lua_rawgeti(L, -1, 1);
  bool same = any && lua_rawequal(L, err, -1);
  lua_pop(L, 3);
  return same;
}


int traceback_handler(lua_State *L) {
  lua_settop(L, 1);
  if (traceback_is_interrupt(L, 1) || preempt_overtakes(L))
    return 1;
  if (!is_passed_on(L) || !is_noted(L, 1)) {
    traceback_push(L, L, 1);
    traceback_note(L, 1, 2);
  }
  lua_settop(L, 1);
  return 1;
}


void traceback_note(lua_State *L, int err, int text) {
  err = lua_absindex(L, err);
  lua_pushvalue(L, text);
  lua_pushvalue(L, err);
  set_noted(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted_text);
}


void traceback_take(lua_State *L, int err) {
  if (is_noted(L, err))
    lua_rawgetp(L, LUA_REGISTRYINDEX, &noted_text);
  else
    lua_pushliteral(L, "stack traceback: none");
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted_text);
  lua_pushnil(L);
  set_noted(L);
}
