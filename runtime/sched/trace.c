/*
** Where errors began.
**
** An error may be caught and raised again on its way (by task.timeout, by the
** scope of a task that failed).  The handler takes the traceback where it is
** raised first; later handlers find the note and keep it.
*/

#include "sched/sched.h"

/* Keys of the registry. */
static const char noted_error, noted_text;


/* Is the error the interrupt of the running task?  It has no place to tell. */
static bool is_interrupt(lua_State *L) {
  const frame *f;
  task *t = task_current(L);
  return t != NULL && t->interrupt && frame_interrupts(t, &f) &&
         frame_raised(L, f, 1);
}


int trace_handler(lua_State *L) {
  lua_settop(L, 1);
  if (is_interrupt(L))
    return 1;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &noted_error);
  bool known = !lua_isnil(L, -1) && lua_rawequal(L, 1, -1);
  lua_settop(L, 1);
  if (!known) {
    luaL_traceback(L, L, NULL, 1);
    trace_note(L, 1, 2);
  }
  lua_settop(L, 1);
  return 1;
}


void trace_note(lua_State *L, int err, int text) {
  lua_pushvalue(L, text);
  lua_pushvalue(L, err);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted_error);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted_text);
}


void trace_take(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &noted_text);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted_text);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &noted_error);
}
