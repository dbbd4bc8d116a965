#include "host/coroutine.h"

#include <lauxlib.h>

#include "host/host.h"

/* Lua 5.4.4 crashes in a chain of some thousand closings through <close>. */
enum { CLOSE_DEPTH = 150 };

enum { RESUME, WRAP };

static const char mark;

static int go(lua_State *L, lua_State *co, int nargs, lua_KContext how);
static int l_resume(lua_State *L);
static int l_wrapped(lua_State *L);


void coroutine_push_mark(lua_State *L) {
  lua_pushlightuserdata(L, host_of(L)->base);
  lua_pushlightuserdata(L, (void *)&mark);
}


bool coroutine_parked(lua_State *co) {
  return lua_status(co) == LUA_YIELD && lua_gettop(co) >= COROUTINE_MARK &&
         lua_touserdata(co, -1) == &mark;
}


const void *coroutine_base(lua_State *co) {
  return lua_touserdata(co, -COROUTINE_MARK);
}


static lua_State *check(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co != NULL, 1, "thread");
  return co;
}


static lua_State *optional(lua_State *L) {
  return lua_isnone(L, 1) ? L : check(L);
}


/* Is L the coroutine of a task?  Scripts see it as a main thread. */
static bool is_base(lua_State *L) {
  return L == host_of(L)->base || L == host_of(L)->L;
}


/* Was it stopped by a hook, while a prompt looks? */
static bool is_aside(lua_State *co) {
  lua_Debug ar;
  return host_of(co)->visited && lua_getstack(co, 0, &ar) &&
         lua_getinfo(co, "S", &ar) && ar.what[0] != 'C';
}


static const char *status_of(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (co == L)
    return "running";
  switch (lua_status(co)) {
  case LUA_YIELD:
    return coroutine_parked(co) || is_aside(co) ? "normal" : "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &ar))
      return "normal"; /* it runs another one */
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default:
    return "dead";
  }
}


/* A failed try to resume leaves false and the message, or raises it. */
static int refuse(lua_State *L, lua_KContext how, const char *message) {
  if (how == WRAP)
    return luaL_error(L, "%s", message);
  lua_pushboolean(L, false);
  lua_pushstring(L, message);
  return 2;
}


static int start(lua_State *L, lua_State *co, int nargs, lua_KContext how) {
  const char *status = status_of(L, co);
  if (status[0] != 's') {
    const char *text = status[0] == 'd'
                           ? "cannot resume dead coroutine"
                           : "cannot resume non-suspended coroutine";
    return refuse(L, how, text);
  }
  if (!lua_checkstack(co, nargs))
    return refuse(L, how, "too many arguments to resume");
  lua_xmove(L, co, nargs);
  return go(L, co, nargs, how);
}


/* Give the coroutine's n results. */
static int pass(lua_State *L, lua_State *co, int n, lua_KContext how) {
  if (!lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    return refuse(L, how, "too many results to resume");
  }
  if (how == RESUME)
    lua_pushboolean(L, true);
  lua_xmove(co, L, n);
  return how == RESUME ? n + 1 : n;
}


/* Close what the coroutine left open; nothing can suspend meanwhile: Lua 5.4
 * says so. */
static int reset(lua_State *L, lua_State *co) {
  host *h = host_of(L);
  lua_State *before = h->running;
  h->stuck++;
  host_enter(h, co);
  int status = lua_resetthread(co);
  host_enter(h, before);
  h->stuck--;
  return status;
}


/* Give the error that ended the coroutine: as a result, or raised with the
 * position of the caller, after closing what it left open. */
static int pass_error(lua_State *L, lua_State *co, lua_KContext how) {
  host *h = host_of(L);
  if (how == RESUME) {
    if (h->insist != NULL)
      h->insist(L);
    lua_pushboolean(L, false);
    lua_xmove(co, L, 1);
    return 2;
  }
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD)
    status = reset(L, co);
  lua_xmove(co, L, 1);
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}


static int go_k(lua_State *L, int status, lua_KContext how) {
  lua_State *co = lua_tothread(L, how == WRAP ? lua_upvalueindex(1) : 1);
  (void)status;
  lua_pop(co, COROUTINE_MARK);
  return go(L, co, 0, how);
}


/* The hook has stopped it between two instructions, and left no mark. */
static int go_on_k(lua_State *L, int status, lua_KContext how) {
  (void)status;
  return go(L, lua_tothread(L, how == WRAP ? lua_upvalueindex(1) : 1), 0, how);
}


static int go(lua_State *L, lua_State *co, int nargs, lua_KContext how) {
  host *h = host_of(L);
  lua_State *before = h->running;
  int nresults;
  bool stuck = !host_suspends(L);
  h->stuck += stuck;
  host_enter(h, co);
  int status = lua_resume(co, L, nargs, &nresults);
  host_enter(h, before);
  h->stuck -= stuck;
  bool stopped = status == LUA_YIELD && h->aside == co;
  if (stopped || (status == LUA_YIELD && coroutine_parked(co))) {
    coroutine_push_mark(L);
    return lua_yieldk(L, COROUTINE_MARK, how, stopped ? go_on_k : go_k);
  }
  if (status == LUA_OK || status == LUA_YIELD)
    return pass(L, co, nresults, how);
  return pass_error(L, co, how);
}


lua_State *coroutine_within(lua_State *co) {
  lua_Debug ar;
  lua_State *within = NULL;
  if (!lua_getstack(co, 0, &ar))
    return NULL;
  lua_getinfo(co, "f", &ar);
  lua_CFunction f = lua_tocfunction(co, -1);
  if (f == l_wrapped && lua_getupvalue(co, -1, 1) != NULL) {
    within = lua_tothread(co, -1);
    lua_pop(co, 1);
  } else if (f == l_resume && lua_getlocal(co, &ar, 1) != NULL) {
    within = lua_tothread(co, -1);
    lua_pop(co, 1);
  }
  lua_pop(co, 1);
  return within;
}


static int l_resume(lua_State *L) {
  return start(L, check(L), lua_gettop(L) - 1, RESUME);
}


static int l_wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  return start(L, co, lua_gettop(L), WRAP);
}


static int l_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}


static int l_wrap(lua_State *L) {
  l_create(L);
  lua_pushcclosure(L, l_wrapped, 1);
  return 1;
}


static int l_yield(lua_State *L) {
  if (is_base(L))
    return luaL_error(L, "attempt to yield from outside a coroutine");
  return lua_yield(L, lua_gettop(L));
}


static int l_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check(L)));
  return 1;
}


static int l_isyieldable(lua_State *L) {
  lua_State *co = optional(L);
  lua_pushboolean(L, !is_base(co) && lua_isyieldable(co));
  return 1;
}


static int l_running(lua_State *L) {
  lua_pushthread(L);
  lua_pushboolean(L, is_base(L));
  return 2;
}


static int l_close(lua_State *L) {
  lua_State *co = check(L);
  host *h = host_of(L);
  const char *status = status_of(L, co);
  if (status[0] != 's' && status[0] != 'd')
    return luaL_error(L, "cannot close a %s coroutine", status);
  if (h->closing >= CLOSE_DEPTH)
    return luaL_error(L, "C stack overflow");
  h->closing++;
  int result = reset(L, co);
  h->closing--;
  lua_pushboolean(L, result == LUA_OK);
  if (result == LUA_OK)
    return 1;
  lua_xmove(co, L, 1);
  return 2;
}


static const luaL_Reg functions[] = {
    {"create", l_create},   {"resume", l_resume},
    {"running", l_running}, {"status", l_status},
    {"wrap", l_wrap},       {"yield", l_yield},
    {"close", l_close},     {"isyieldable", l_isyieldable},
    {NULL, NULL},
};


int luaopen_neap_coroutine(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
