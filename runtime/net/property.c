#include "net/property.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "host/class.h"
#include "host/fields.h"
#include "host/nearest.h"
#include "host/quote.h"
#include "net/options.h"


/*
** Finding
*/

static const property *find(const property *list, const char *name) {
  while (list->name != NULL && strcmp(list->name, name) != 0)
    list++;
  return list;
}


static void push(lua_State *L, const property *p, void *body) {
  if (body == NULL || p->name == NULL)
    lua_pushnil(L);
  else
    p->push(L, body);
}


void property_push(lua_State *L, const property *list, const char *name,
                   void *body) {
  push(L, find(list, name), body);
}


static void try_methods(lua_State *L, int methods, nearest *meant) {
  for (lua_pushnil(L); lua_next(L, methods); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING)
      nearest_try(meant, lua_tostring(L, -2));
}


/* What is asked for is neither a method nor a field: raise. */
static int refuse(lua_State *L, const property *list) {
  size_t n;
  const char *class = lua_tostring(L, lua_upvalueindex(3));
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "a %s has no field of type %s", class,
                      luaL_typename(L, 2));
  const char *name = lua_tolstring(L, 2, &n);
  nearest meant = {.written = name};
  char quoted[QUOTE];
  for (; list->name != NULL; list++)
    nearest_try(&meant, list->name);
  try_methods(L, lua_upvalueindex(1), &meant);
  quote(quoted, name, n);
  if (meant.name == NULL)
    return luaL_error(L, "a %s has no field '%s'", class, quoted);
  return luaL_error(L, "a %s has no field '%s' (did you mean '%s'?)", class,
                    quoted, meant.name);
}


/* The upvalues: methods, fields, the class's name. */
static int l_index(lua_State *L) {
  if (class_method(L))
    return 1;
  void *const *box =
      luaL_checkudata(L, 1, lua_tostring(L, lua_upvalueindex(3)));
  const property *list = lua_touserdata(L, lua_upvalueindex(2));
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  const property *p = find(list, name);
  if (p->name == NULL)
    return refuse(L, list);
  push(L, p, *box);
  return 1;
}


static void set_function(lua_State *L, const char *key, lua_CFunction f) {
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, key);
}


static int room_for(const socket_class *c) {
  int n = 0;
  for (const luaL_Reg *const *list = c->methods; *list != NULL; list++)
    n += class_count(*list);
  return n > c->room ? n : c->room;
}


void property_class(lua_State *L, const socket_class *c) {
  luaL_newmetatable(L, c->name);
  set_function(L, "__close", c->close);
  set_function(L, "__gc", c->close);
  set_function(L, "__tostring", c->text);
  lua_createtable(L, 0, room_for(c));
  for (const luaL_Reg *const *list = c->methods; *list != NULL; list++)
    luaL_setfuncs(L, *list, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  lua_pushlightuserdata(L, (void *)(uintptr_t)c->fields);
  lua_pushstring(L, c->name);
  lua_pushcclosure(L, l_index, 3);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}


/*
** Values
*/

void property_address(lua_State *L, int status, const address *a) {
  if (status < 0 || a->length == 0)
    lua_pushnil(L);
  else
    address_push(L, a);
}


void property_family(lua_State *L, int family) {
  if (family == AF_UNSPEC)
    lua_pushnil(L);
  else
    lua_pushstring(L, family == AF_PACKET ? "packet"
                                          : address_family_name(family));
}


void property_fd(lua_State *L, int fd) {
  if (fd < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, fd);
}


sockopt property_ask_peer(void) {
  return (sockopt){SOL_SOCKET, SO_PEERCRED, sizeof(struct ucred), {0}};
}


/* The pid of a process in another namespace is 0. */
void property_peer(lua_State *L, int status, const sockopt *peercred) {
  struct ucred peer;
  memcpy(&peer, peercred->value, sizeof peer);
  if (status < 0 || peer.uid == (uid_t)-1) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 3);
  set_integer(L, "pid", peer.pid);
  set_integer(L, "uid", peer.uid);
  set_integer(L, "gid", peer.gid);
}


/*
** Options
*/

/* In ns; 0 for none. */
static uint64_t check_timeout(lua_State *L, int arg) {
  lua_Number seconds = luaL_optnumber(L, arg, 0);
  if (lua_isnoneornil(L, arg))
    return 0;
  luaL_argcheck(L, seconds >= 0, arg,
                "seconds from 0, or nil for no limit, expected");
  uint64_t timeout = seconds < 1e9 ? (uint64_t)(seconds * 1e9) : 0;
  return timeout == 0 && seconds < 1e9 ? 1 : timeout;
}


/* A finalizer may close the body while arguments are checked: so it is fetched
 * again behind that. */
int property_set(lua_State *L, void *const *box, const optioned *how) {
  sockspec spec = how->about(*box);
  luaL_checktype(L, 2, LUA_TTABLE);
  options_parse_open(L, 2, spec.family, &spec);
  int status = *box != NULL ? 0 : -EBADF;
  for (unsigned i = 0; i < spec.option_count && status == 0; i++)
    status = how->set(*box, &spec.options[i]);
  if (status < 0)
    return how->fail(L, *box, status, "set");
  lua_settop(L, 1);
  return 1;
}


int property_get(lua_State *L, void *const *box, const optioned *how) {
  sockspec spec = how->about(*box);
  sockopt o;
  const option *row = options_ask(L, 2, spec.family, spec.protocol, &o);
  int status = *box != NULL ? how->get(*box, &o) : -EBADF;
  if (status < 0)
    return how->fail(L, *box, status, "get");
  options_push(L, row, &o);
  return 1;
}


int property_settimeout(lua_State *L, void *const *box, const optioned *how) {
  uint64_t timeout = check_timeout(L, 2);
  if (*box == NULL)
    return how->fail(L, NULL, -EBADF, "settimeout");
  memcpy((char *)*box + how->timeout, &timeout, sizeof timeout);
  lua_settop(L, 1);
  return 1;
}
