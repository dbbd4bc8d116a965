/*
** What a stream is: its fields, options and timeout.
*/

#include <errno.h>
#include <string.h>

#include "host/error.h"
#include "net/net.h"
#include "net/options.h"
#include "sched/world.h"


static int family_of(stream *s) {
  address a;
  if (s->transport->localaddr(s, &a) < 0 || a.length == 0)
    return AF_UNSPEC;
  return a.u.any.sa_family;
}


/*
** stream:set{name = value, ...} : stream | nil, error
*/

static int l_set(lua_State *L) {
  stream *s = stream_box(L)->stream;
  sockspec spec;
  spec.option_count = 0;
  spec.type = SOCK_STREAM;
  spec.protocol = s != NULL ? s->transport->protocol : 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  options_parse_open(L, 2, s != NULL ? family_of(s) : AF_INET, &spec);
  if (s == NULL)
    return stream_fail(L, NULL, -EBADF, "set");
  for (unsigned i = 0; i < spec.option_count; i++) {
    int status = s->transport->set(s, &spec.options[i]);
    if (status < 0)
      return stream_fail(L, s, status, "set");
  }
  lua_settop(L, 1);
  return 1;
}


/*
** stream:get(name) : value | nil, error
*/

static int l_get(lua_State *L) {
  stream *s = stream_box(L)->stream;
  sockopt o;
  int family = s != NULL ? family_of(s) : AF_INET;
  int protocol = s != NULL ? s->transport->protocol : 0;
  const option *row = options_ask(L, 2, family, protocol, &o);
  int status = s != NULL ? s->transport->get(s, &o) : -EBADF;
  if (status < 0)
    return stream_fail(L, s, status, "get");
  options_push(L, row, &o);
  return 1;
}


/*
** stream:settimeout(seconds?) : stream
*/

static int l_settimeout(lua_State *L) {
  stream *s = stream_box(L)->stream;
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, lua_isnoneornil(L, 2) || seconds > 0, 2,
                "seconds above 0, or nil for none, expected");
  if (s == NULL)
    return stream_fail(L, NULL, -EBADF, "settimeout");
  s->timeout = seconds < 1e9 ? (uint64_t)(seconds * 1e9) : 0;
  if (s->timeout == 0 && seconds > 0 && seconds < 1e9)
    s->timeout = 1;
  lua_settop(L, 1);
  return 1;
}


/*
** Fields.  Each pushes one value; of a closed stream all are nil.
*/

static void push_address(lua_State *L, int status, const address *a) {
  if (status < 0 || a->length == 0)
    lua_pushnil(L);
  else
    address_push(L, a);
}


static void push_localaddr(lua_State *L, stream *s) {
  address a;
  push_address(L, s->transport->localaddr(s, &a), &a);
}


static void push_remoteaddr(lua_State *L, stream *s) {
  address a;
  push_address(L, s->transport->remoteaddr(s, &a), &a);
}


static void push_family(lua_State *L, stream *s) {
  int family = family_of(s);
  if (family == AF_UNSPEC)
    lua_pushnil(L);
  else
    lua_pushstring(L, address_family_name(family));
}


static void push_type(lua_State *L, stream *s) {
  (void)s;
  lua_pushliteral(L, "stream");
}


static void push_protocol(lua_State *L, stream *s) {
  lua_pushstring(L, s->transport->name);
}


static void push_fd(lua_State *L, stream *s) {
  int fd = s->transport->fd(s);
  if (fd < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, fd);
}


static void set_id(lua_State *L, const char *key, lua_Integer id) {
  lua_pushinteger(L, id);
  lua_setfield(L, -2, key);
}


/* The pid of a process in another namespace is 0. */
void peercred_push(lua_State *L, const sockopt *o) {
  struct ucred peer;
  memcpy(&peer, o->value, sizeof peer);
  if (peer.uid == (uid_t)-1) {
    lua_pushnil(L); /* it has no peer */
    return;
  }
  lua_createtable(L, 0, 3);
  set_id(L, "pid", peer.pid);
  set_id(L, "uid", peer.uid);
  set_id(L, "gid", peer.gid);
}


static void push_peercred(lua_State *L, stream *s) {
  sockopt o = {SOL_SOCKET, SO_PEERCRED, sizeof(struct ucred), {0}};
  if (family_of(s) == AF_UNIX && s->transport->get(s, &o) == 0)
    peercred_push(L, &o);
  else
    lua_pushnil(L);
}


static const struct field {
  const char *name;
  void (*push)(lua_State *L, stream *s);
} fields[] = {
    {"remoteaddr", push_remoteaddr}, {"localaddr", push_localaddr},
    {"family", push_family},         {"type", push_type},
    {"protocol", push_protocol},     {"fd", push_fd},
    {"peercred", push_peercred},     {NULL, NULL},
};


static int push_field(lua_State *L, stream *s, const char *name) {
  const struct field *f = fields;
  while (f->name != NULL && strcmp(f->name, name) != 0)
    f++;
  if (s == NULL || f->name == NULL)
    lua_pushnil(L);
  else
    f->push(L, s);
  return 1;
}


/* A method of upvalue 1, or a field. */
static int l_index(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
    return 1;
  stream *s = stream_box(L)->stream;
  const char *name = lua_tostring(L, 2);
  return push_field(L, s, name != NULL ? name : "");
}


/* Metatable and methods are on the stack: let the methods be found. */
void stream_index(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
}


const luaL_Reg option_methods[] = {
    {"set", l_set}, {"get", l_get}, {"settimeout", l_settimeout}, {NULL, NULL}};
