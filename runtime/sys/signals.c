/*
** neap.signal: signals, as something a task waits for.
**
** There are no handlers.  A task waits for the next signal of some, or
** iterates over them; either holds a watch (signals.h), which collects what
** comes meanwhile, one of each.
*/

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "host/class.h"
#include "host/error.h"
#include "sched/world.h"
#include "sys/signals.h"
#include "sys/system.h"

#define CLASS "neap.signals"

/* The first to the last signal with a name. */
enum { FIRST = 1, LAST = 31 };

/* A watch, as Lua owns it. */
typedef struct subscriber {
  subscription watch;
  bool on;
} subscriber;


bool signal_push(lua_State *L, int n) {
  const char *name = n < FIRST || n > LAST ? NULL : sigabbrev_np(n);
  if (name != NULL)
    lua_pushfstring(L, "SIG%s", name);
  return name != NULL;
}


static int find(const char *name) {
  if (strncmp(name, "SIG", 3) != 0)
    return 0;
  for (int n = FIRST; n <= LAST; n++) {
    const char *known = sigabbrev_np(n);
    if (known != NULL && strcmp(known, name + 3) == 0)
      return n;
  }
  return 0;
}


static int unknown(lua_State *L, int arg) {
  luaL_Buffer list;
  luaL_buffinit(L, &list);
  luaL_addstring(&list, "unknown signal, expected one of");
  for (int n = FIRST; n <= LAST; n++) {
    if (signal_push(L, n)) {
      lua_pushfstring(L, " %s", lua_tostring(L, -1));
      lua_remove(L, -2);
      luaL_addvalue(&list);
    }
  }
  luaL_pushresult(&list);
  return luaL_argerror(L, arg, lua_tostring(L, -1));
}


int signal_check(lua_State *L, int arg) {
  luaL_checktype(L, arg, LUA_TSTRING);
  size_t length;
  const char *name = lua_tolstring(L, arg, &length);
  int n = strlen(name) == length ? find(name) : 0;
  return n != 0 ? n : unknown(L, arg);
}


/* A signal whose effect a script may choose.  The others are the system's to
 * answer, or (SIGCHLD) what reaps children. */
static int check_choosable(lua_State *L, int arg) {
  static const int fixed[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,
                              SIGFPE,  SIGILL,  SIGCHLD};
  int n = signal_check(L, arg);
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
    if (fixed[i] == n)
      luaL_argerror(L, arg,
                    n == SIGCHLD
                        ? "SIGCHLD is neap's own: wait for the Process instead"
                        : "this signal can't be caught or ignored");
  return n;
}


static uint64_t check_set(lua_State *L) {
  int n = lua_gettop(L);
  uint64_t wanted = 0;
  if (n == 0)
    luaL_argerror(L, 1, "the name of a signal expected, as \"SIGHUP\"");
  for (int i = 1; i <= n; i++)
    wanted |= signal_bit(check_choosable(L, i));
  return wanted;
}


static const struct signals *table_of(lua_State *L) {
  return sys_check(L, "signals")->signals;
}


/* Push a watch.  It is on, unless the status returned is an error. */
static int begin(lua_State *L, uint64_t wanted) {
  const struct signals *p = table_of(L);
  subscriber *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL)
    lua_error(L);
  *b = (subscriber){.watch = {.wanted = wanted}};
  int status = p->watch(host_of(L), &b->watch);
  b->on = status == 0;
  return status;
}


static void end(lua_State *L, subscriber *b) {
  if (b->on)
    table_of(L)->unwatch(host_of(L), &b->watch);
  b->on = false;
}


/* A signal that was noted before, or that the watch caught; 0: none yet. */
static int take(lua_State *L, subscriber *b) {
  int n = table_of(L)->missed(host_of(L), b->watch.wanted);
  for (int i = FIRST; n == 0 && i <= LAST; i++)
    if ((b->watch.caught & signal_bit(i)) != 0)
      n = i;
  if (n != 0)
    b->watch.caught &= ~signal_bit(n);
  return n;
}


static const waiting how = {"wait for a signal", NEVER, true};


/*
** signal.wait(name, ...) : name | nil, err
*/

static int wait_k(lua_State *L, int yielded, lua_KContext at) {
  subscriber *b = lua_touserdata(L, (int)at);
  bool cancelled = false;
  int status = yielded == LUA_YIELD ? wait_peek(L, &cancelled) : 0;
  cancelled = cancelled || (yielded == LUA_YIELD && wait_interrupted(L));
  int n = status == 0 && !cancelled ? take(L, b) : 0;
  if (n == 0 && status == 0 && !cancelled)
    return wait_park(L, &b->watch.waiters, &how, at, wait_k);
  end(L, b);
  if (cancelled)
    return wait_raise(L);
  if (status < 0)
    return fail(L, status, how.op, NULL);
  signal_push(L, n);
  return 1;
}


static int l_wait(lua_State *L) {
  uint64_t wanted = check_set(L);
  wait_enter(L, how.op);
  int status = begin(L, wanted);
  if (status < 0)
    return fail(L, status, how.op, NULL);
  return wait_k(L, LUA_OK, lua_gettop(L));
}


/*
** for name in signal.each(name, ...)
*/

static int next_k(lua_State *L, int yielded, lua_KContext ctx) {
  subscriber *b = lua_touserdata(L, 1);
  int status = yielded == LUA_YIELD ? wait_to_take(L) : 0;
  if (!b->on)
    return 0;
  int n = status == 0 ? take(L, b) : 0;
  if (n == 0)
    return wait_park(L, &b->watch.waiters, &how, ctx, next_k);
  signal_push(L, n);
  return 1;
}


static int l_next(lua_State *L) {
  luaL_checkudata(L, 1, CLASS);
  wait_enter(L, how.op);
  return next_k(L, LUA_OK, 0);
}


static int l_each(lua_State *L) {
  int status = begin(L, check_set(L));
  if (status < 0) {
    error_push(L, status, how.op, NULL);
    return lua_error(L);
  }
  lua_pushcfunction(L, l_next);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 4;
}


/* Another task that iterates over it ends its loop. */
static int l_close(lua_State *L) {
  subscriber *b = luaL_checkudata(L, 1, CLASS);
  end(L, b);
  wait_wake_all(&b->watch.waiters, 0);
  return 0;
}


/* Nobody iterates any more, so nobody missed what it had caught. */
static int l_gc(lua_State *L) {
  subscriber *b = luaL_checkudata(L, 1, CLASS);
  b->watch.caught = 0;
  end(L, b);
  return 0;
}


/*
** signal.ignore(name), .default(name), .raise(name) : true | nil, err
*/

static int dispose(lua_State *L, const char *op, bool ignore) {
  int n = check_choosable(L, 1);
  int status = table_of(L)->dispose(host_of(L), n, ignore);
  if (status < 0)
    return fail(L, status, op, lua_tostring(L, 1));
  lua_pushboolean(L, true);
  return 1;
}


static int l_ignore(lua_State *L) {
  return dispose(L, "ignore", true);
}


static int l_default(lua_State *L) {
  return dispose(L, "default", false);
}


static int l_raise(lua_State *L) {
  int n = signal_check(L, 1);
  int status = table_of(L)->raise(host_of(L), n);
  if (status < 0)
    return fail(L, status, "raise", lua_tostring(L, 1));
  lua_pushboolean(L, true);
  return 1;
}


static const luaL_Reg metamethods[] = {
    {"__close", l_close}, {"__gc", l_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"wait", l_wait},       {"each", l_each},   {"ignore", l_ignore},
    {"default", l_default}, {"raise", l_raise}, {NULL, NULL}};


int luaopen_neap_signal(lua_State *L) {
  class_open(L, CLASS, metamethods, NULL, NULL);
  luaL_newlib(L, functions);
  lua_createtable(L, LAST, 0);
  for (int n = FIRST; n <= LAST; n++)
    if (signal_push(L, n))
      lua_rawseti(L, -2, n);
  lua_setfield(L, -2, "names");
  return 1;
}
