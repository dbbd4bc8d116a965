#include "net/descriptor.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>

#include "host/class.h"
#include "host/error.h"
#include "net/datagram.h"
#include "net/listener.h"
#include "net/stream_methods.h"
#include "sched/world.h"

#define CLASS "neap.Descriptor"


static int *check(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}


int *descriptor_new(lua_State *L) {
  int *slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = -1;
  luaL_setmetatable(L, CLASS);
  return slot;
}


void descriptor_push(lua_State *L, int *fd) {
  int *slot = descriptor_new(L);
  *slot = *fd;
  *fd = -1;
}


static bool is_socket(lua_State *L, int index) {
  return luaL_testudata(L, index, STREAM_CLASS) != NULL ||
         luaL_testudata(L, index, LISTENER_CLASS) != NULL ||
         luaL_testudata(L, index, DATAGRAM_CLASS) != NULL;
}


bool descriptor_is(lua_State *L, int index) {
  return lua_isinteger(L, index) || luaL_testudata(L, index, CLASS) != NULL ||
         is_socket(L, index);
}


int descriptor_number(lua_State *L, int index) {
  const int *slot = luaL_testudata(L, index, CLASS);
  lua_Integer fd = -1;
  if (slot != NULL)
    return *slot;
  if (lua_isinteger(L, index)) {
    fd = lua_tointeger(L, index);
  } else if (is_socket(L, index) && lua_getfield(L, index, "fd") != LUA_TNONE) {
    fd = lua_isnil(L, -1) ? -1 : lua_tointeger(L, -1);
    lua_pop(L, 1);
    stream_share(L, index);
  }
  return fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
}


void descriptor_check_list(lua_State *L, int arg) {
  luaL_checktype(L, arg, LUA_TTABLE);
  size_t n = lua_rawlen(L, arg);
  luaL_argcheck(L, n >= 1 && n <= PASSED_MAX, arg,
                "a list of 1 to 253 descriptors expected");
  for (size_t i = 1; i <= n; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i);
    luaL_argcheck(L, descriptor_is(L, -1), arg,
                  "a list of descriptors or sockets expected");
    lua_pop(L, 1);
  }
}


int descriptor_list(lua_State *L, int arg, int *fds) {
  int n = (int)lua_rawlen(L, arg);
  if (n > PASSED_MAX)
    return -EINVAL; /* it has grown since it was checked */
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, arg, i + 1);
    fds[i] = descriptor_number(L, -1);
    lua_pop(L, 1);
    if (fds[i] < 0)
      return -EBADF;
  }
  return n;
}


/*
** descriptor:close() : true
*/

static int l_close(lua_State *L) {
  int *slot = check(L);
  host *h = host_of(L);
  if (*slot >= 0)
    h->world->net->discard(h, *slot);
  *slot = -1;
  lua_pushboolean(L, true);
  return 1;
}


/*
** descriptor:take() : integer | nil, error.  It is the caller's from now on.
*/

static int l_take(lua_State *L) {
  int *slot = check(L);
  if (*slot < 0)
    return fail(L, -EBADF, "take", NULL);
  lua_pushinteger(L, *slot);
  host_of(L)->world->net->disown(host_of(L), *slot);
  *slot = -1;
  return 1;
}


static int l_index(lua_State *L) {
  const int *slot = check(L);
  if (class_method(L))
    return 1;
  const char *name = lua_tostring(L, 2);
  if (name != NULL && name[0] == 'f' && name[1] == 'd' && name[2] == '\0' &&
      *slot >= 0)
    lua_pushinteger(L, *slot);
  else
    lua_pushnil(L);
  return 1;
}


static int l_tostring(lua_State *L) {
  const int *slot = check(L);
  if (*slot >= 0)
    lua_pushfstring(L, "descriptor %d", *slot);
  else
    lua_pushliteral(L, "descriptor (closed)");
  return 1;
}


static const luaL_Reg methods[] = {
    {"close", l_close},
    {"take", l_take},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", l_close},
    {"__gc", l_close},
    {"__tostring", l_tostring},
    {NULL, NULL},
};


void descriptor_open(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
}
