/*
** Names to addresses, off the loop.
*/

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "guard/guard.h"
#include "host/class.h"
#include "host/error.h"
#include "host/memory.h"
#include "net/functions.h"
#include "net/listener.h"
#include "sched/world.h"

#define CLASS "neap.lookup"

/* What waits for a lookup: on the stack of resolve. */
typedef struct asking {
  lookup *lookup; /* NULL: not begun, or detached */
  waitq waiter;
  bool done;
} asking;

enum { NAME = 1, FAMILY, ASKING };


void lookup_free(lookup *l) {
  free(l->name);
  free(l->found);
  free(l);
}


static void on_done(lookup *l) {
  asking *a = l->owner;
  a->done = true;
  for (size_t i = 0; guard_stands() && i < l->count; i++)
    guard_found(l->name, &l->found[i].u.any);
  wait_wake(&a->waiter, 0);
}


/* The task does not wait any more: the lookup goes its own way. */
static void detach(asking *a) {
  lookup *l = a->lookup;
  a->lookup = NULL;
  if (l == NULL)
    return;
  if (a->done)
    lookup_free(l);
  else
    l->host->world->net->unresolve(l);
}


static int l_close(lua_State *L) {
  detach(luaL_checkudata(L, 1, CLASS));
  return 0;
}


static int push_found(lua_State *L, const lookup *l) {
  lua_createtable(L, (int)l->count, 0);
  for (size_t i = 0; i < l->count; i++) {
    address_push(L, &l->found[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


static int resolve_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting waits = {"resolve", NEVER, true};
  asking *a = lua_touserdata(L, ASKING);
  if (status == LUA_YIELD)
    wait_status(L);
  if (!a->done)
    return wait_park(L, &a->waiter, &waits, ctx, resolve_k);
  if (a->lookup->status < 0)
    return fail(L, a->lookup->status, "resolve", lua_tostring(L, NAME));
  return push_found(L, a->lookup);
}


/* libuv turns other scripts into ASCII by rules of its own, in which a wide dot
 * is a dot: 127.1 would become a name again. */
static bool is_plain(const char *name) {
  for (; *name != '\0'; name++)
    if ((unsigned char)*name <= ' ' || (unsigned char)*name >= 0x7f)
      return false;
  return true;
}


/*
** resolve(name, family?, resolver?, cache?) : {Address...} | nil, error
*/

int resolve_lua(lua_State *L) {
  static const char *const names[] = {"any", "inet", "inet6", NULL};
  static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
  static const char *const resolvers[] = {"any", "system", "dns", NULL};
  size_t n;
  host *h = host_of(L);
  const char *name = luaL_checklstring(L, 1, &n);
  int family = families[luaL_checkoption(L, 2, "any", names)];
  int resolver = luaL_checkoption(L, 3, "any", resolvers);
  bool fresh = lua_isboolean(L, 4) && !lua_toboolean(L, 4);
  luaL_argcheck(L, strlen(name) == n, 1, "a name without zero bytes expected");
  lua_settop(L, 2);
  wait_enter(L, "resolve");
  if (n == 0 || n > 253 || !is_plain(name))
    return fail(L, ERROR_EAI + EAI_NONAME, "resolve", name);
  int status = guard_name(name);
  if (status < 0)
    return fail(L, status, "resolve", name);
  asking *a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = (asking){NULL, {NULL}, false};
  luaL_setmetatable(L, CLASS);
  lua_toclose(L, ASKING);
  lookup *l = memory_new(sizeof *l);
  *l = (lookup){.host = h, .name = memory_text(name, n), .family = family};
  l->resolver = resolver;
  l->fresh = fresh;
  l->done = on_done;
  l->owner = a;
  status = h->world->net->resolve(h, l);
  if (status < 0) {
    lookup_free(l);
    return fail(L, status, "resolve", name);
  }
  a->lookup = l;
  return resolve_k(L, LUA_OK, 0);
}


void resolve_open(lua_State *L) {
  class_open_closing(L, CLASS, l_close);
}
