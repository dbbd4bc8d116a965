/*
** What a stream is: its fields, options and timeout.
*/

#include <errno.h>

#include "host/error.h"
#include "net/net.h"
#include "net/options.h"
#include "net/property.h"
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
  const box *b = stream_box(L);
  stream *s = b->stream;
  sockspec spec;
  spec.option_count = 0;
  spec.type = SOCK_STREAM;
  spec.protocol = s != NULL ? s->kind->protocol : 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  options_parse_open(L, 2, s != NULL ? family_of(s) : AF_INET, &spec);
  s = b->stream; /* a finalizer may have closed it */
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
  const box *b = stream_box(L);
  stream *s = b->stream;
  sockopt o;
  int family = s != NULL ? family_of(s) : AF_INET;
  int protocol = s != NULL ? s->kind->protocol : 0;
  const option *row = options_ask(L, 2, family, protocol, &o);
  s = b->stream; /* a finalizer may have closed it */
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
  const box *b = stream_box(L);
  uint64_t timeout = property_timeout(L, 2);
  stream *s = b->stream;
  if (s == NULL)
    return stream_fail(L, NULL, -EBADF, "settimeout");
  s->timeout = timeout;
  lua_settop(L, 1);
  return 1;
}


/*
** Fields
*/

static void push_localaddr(lua_State *L, void *body) {
  stream *s = body;
  address a;
  property_address(L, s->transport->localaddr(s, &a), &a);
}


static void push_remoteaddr(lua_State *L, void *body) {
  stream *s = body;
  address a;
  property_address(L, s->transport->remoteaddr(s, &a), &a);
}


static void push_family(lua_State *L, void *body) {
  property_family(L, family_of(body));
}


static void push_type(lua_State *L, void *body) {
  (void)body;
  lua_pushliteral(L, "stream");
}


static void push_protocol(lua_State *L, void *body) {
  const stream *s = body;
  lua_pushstring(L, s->kind->name);
}


static void push_fd(lua_State *L, void *body) {
  stream *s = body;
  property_fd(L, s->transport->fd(s));
}


static void push_peercred(lua_State *L, void *body) {
  stream *s = body;
  sockopt o = property_ask_peer();
  int status = family_of(s) == AF_UNIX ? s->transport->get(s, &o) : -EINVAL;
  property_peer(L, status, &o);
}


const property stream_fields[] = {
    {"remoteaddr", push_remoteaddr}, {"localaddr", push_localaddr},
    {"family", push_family},         {"type", push_type},
    {"protocol", push_protocol},     {"fd", push_fd},
    {"peercred", push_peercred},     {NULL, NULL},
};


const luaL_Reg option_methods[] = {
    {"set", l_set}, {"get", l_get}, {"settimeout", l_settimeout}, {NULL, NULL}};
