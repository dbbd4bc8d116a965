/*
** Sending: send, sendmany, sendfd, flush, and connect, which waits for what was
** sent to whom the socket was connected before.
**
** Small messages to a destination that is known to take them gather; others go
** to the kernel at once.  Where it has no room, the task waits and tries again:
** its message is still on its stack.
*/

#include <errno.h>
#include <string.h>

#include "host/error.h"
#include "host/fields.h"
#include "net/allowed.h"
#include "net/datagram.h"
#include "net/descriptor.h"
#include "net/endpoint.h"
#include "net/send_batch.h"
#include "net/state.h"
#include "net/trace.h"
#include "sched/world.h"

enum verb { SEND, SENDMANY, SENDFD, FLUSH, CONNECT };

static const char *const verb_names[] = {"send", "sendmany", "sendfd", "flush",
                                         "connect"};

enum { DEADLINE = 6 }; /* of the stack: behind the arguments of all verbs */

static int send_k(lua_State *L, int status, lua_KContext ctx);


/* At once, behind what has gathered. */
static int send_now(datagram *d, const outgoing *o) {
  datagram_flush(d);
  if (d->blocked && datagram_blocked(d, o->to))
    return -EAGAIN;
  int status = d->transport->send(d, o, 1);
  datagram_sent(d, o, status);
  if (status == -EAGAIN) {
    datagram_block(d, o->to);
  } else if (status > 0) {
    trace_outgoing(d, o, 1);
    datagram_know(d, o->to);
  } else {
    trace_datagram_error(d, "send", o->to, status);
    datagram_doubt(d, o->to);
  }
  return status < 0 ? status : 0;
}


/* 0, -EAGAIN when it has to wait, or why it is refused. */
static int send_one(datagram *d, const outgoing *o) {
  int status = allowed_message(d, o->to);
  if (status < 0)
    return status;
  if (d->blocked && datagram_blocked(d, o->to))
    return -EAGAIN;
  if (o->fd_count == 0 && send_batch_takes(d, o->size, o->to))
    return send_batch_put(d, o) ? 0 : -EAGAIN;
  return send_now(d, o);
}


/*
** One try of each verb
*/

/* Checked when the verb began. */
static const address *destination(lua_State *L, int arg) {
  return lua_touserdata(L, arg);
}


/* By which address of ours, or interface, as check_source left it at 4. */
static int set_source(lua_State *L, const datagram *d, outgoing *o) {
  if (lua_isnil(L, 4))
    return 0;
  o->interface = (unsigned)lua_tointeger(L, 4);
  o->via = lua_touserdata(L, 4);
  if (d->family != AF_INET && d->family != AF_INET6)
    return -EOPNOTSUPP;
  if (o->via == NULL || o->via->u.any.sa_family == AF_INET ||
      o->via->u.any.sa_family == d->family)
    return 0;
  return -EAFNOSUPPORT;
}


static int try_send(lua_State *L, datagram *d) {
  outgoing o = {.to = destination(L, 3)};
  int status = set_source(L, d, &o);
  o.bytes = lua_tolstring(L, 2, &o.size);
  return status < 0 ? status : send_one(d, &o);
}


/* Index 5 counts those that were sent.  The list may have changed since. */
static int try_sendmany(lua_State *L, datagram *d) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  outgoing o = {.to = destination(L, 3)};
  int status = set_source(L, d, &o);
  for (lua_Integer i = lua_tointeger(L, 5) + 1; i <= n && status == 0; i++) {
    if (lua_rawgeti(L, 2, i) == LUA_TSTRING)
      o.bytes = lua_tolstring(L, -1, &o.size);
    else
      o.bytes = NULL;
    status = o.bytes != NULL ? send_one(d, &o) : -EINVAL;
    lua_pop(L, 1);
    if (status < 0)
      return status;
    lua_settop(L, 4); /* it got on: there is more time */
    lua_pushinteger(L, i);
  }
  return status;
}


/* To ask for the descriptors may run a finalizer, and that may close it. */
static int try_sendfd(lua_State *L) {
  int fds[PASSED_MAX];
  outgoing o = {.to = destination(L, 4), .fds = fds};
  o.bytes = lua_tolstring(L, 2, &o.size);
  o.fd_count = descriptor_list(L, 3, fds);
  datagram *d = ((datagram_box *)lua_touserdata(L, 1))->datagram;
  if (o.fd_count < 0 || d == NULL)
    return o.fd_count < 0 ? o.fd_count : -ECANCELED;
  net_flush(d->host);
  return send_one(d, &o);
}


static int try_flush(datagram *d) {
  datagram_flush(d);
  return datagram_waits(d) ? -EAGAIN : 0;
}


static int try_connect(lua_State *L, datagram *d) {
  const address *to = destination(L, 2);
  if (!datagram_flush(d) || !datagram_leave(d))
    return -EAGAIN;
  datagram_doubt(d, NULL);
  int status = allowed_message(d, to);
  if (status == 0)
    status = d->transport->connect(d, to);
  if (status < 0)
    return status;
  d->connected = to != NULL;
  datagram_forgive(d);
  trace_datagram(d, TRACE_CONNECTED);
  return 0;
}


static int try(lua_State *L, datagram *d, enum verb verb) {
  switch (verb) {
  case SEND:
    return try_send(L, d);
  case SENDMANY:
    return try_sendmany(L, d);
  case SENDFD:
    return try_sendfd(L);
  case CONNECT:
    return try_connect(L, d);
  default:
    return try_flush(d);
  }
}


/*
** The loop around them
*/

static int failed(lua_State *L, const datagram *d, int status,
                  lua_KContext ctx) {
  datagram_fail(L, d, status, verb_names[ctx]);
  if (ctx == SENDMANY) {
    lua_pushvalue(L, 5);
    lua_setfield(L, -2, "sent");
  }
  return 2;
}


/* An error of a message that had gathered.  This call's own were accepted. */
static int failed_earlier(lua_State *L, datagram *d, lua_KContext ctx) {
  int status = d->send_error;
  d->send_error = 0;
  failed(L, d, status, ctx);
  set_flag(L, "earlier", true);
  return 2;
}


static int go_on(lua_State *L, datagram *d, lua_KContext ctx) {
  int status = try(L, d, (enum verb)ctx);
  if (status == -EAGAIN) {
    waiting how = {verb_names[ctx], datagram_deadline(L, d, DEADLINE),
                   d->transport->outside};
    return wait_park(L, &d->writers, &how, ctx, send_k);
  }
  if (status < 0)
    return failed(L, d, status, ctx);
  if (d->send_error != 0 && ctx != CONNECT)
    return failed_earlier(L, d, ctx);
  lua_pushvalue(L, 1);
  return 1;
}


static int send_k(lua_State *L, int status, lua_KContext ctx) {
  datagram *d = ((datagram_box *)lua_touserdata(L, 1))->datagram;
  int result = status == LUA_YIELD ? wait_status(L) : 0;
  if (d == NULL)
    return failed(L, d, result < 0 ? result : -ECANCELED, ctx);
  if (result < 0)
    return failed(L, d, result, ctx);
  return go_on(L, d, ctx);
}


/* Who sends without end lets others come first now and then. */
static int begin(lua_State *L, enum verb verb) {
  wait_enter_put(L, verb_names[verb]);
  datagram *d = ((datagram_box *)lua_touserdata(L, 1))->datagram;
  if (d == NULL)
    return failed(L, NULL, -EBADF, verb);
  if (wait_spent(L))
    return wait_yield(L, verb, send_k);
  return go_on(L, d, verb);
}


/* The scheme at the beginning of a text, or NULL.  vsock: begins an address, too. */
static const endpoint_scheme *scheme_of(const char *text, size_t n) {
  const char *colon = memchr(text, ':', n);
  const endpoint_scheme *scheme =
      colon != NULL ? endpoint_scheme_find(text, (size_t)(colon - text)) : NULL;
  return scheme != NULL && scheme->family != AF_VSOCK ? scheme : NULL;
}


static bool is_of_scheme(const datagram *d, const endpoint_scheme *s) {
  return d->type == s->type &&
         (d->family == AF_UNIX) == (s->family == AF_UNIX) &&
         (d->protocol == IPPROTO_UDP) == (s->protocol == IPPROTO_UDP);
}


/* Where the text is an endpoint of the socket's own scheme, its address takes its place. */
static void take_endpoint(lua_State *L, int arg) {
  const datagram *d = ((datagram_box *)lua_touserdata(L, 1))->datagram;
  char why[ENDPOINT_WHY];
  endpoint e;
  size_t n;
  const char *text = lua_tolstring(L, arg, &n);
  const endpoint_scheme *scheme = scheme_of(text, n);
  if (scheme == NULL)
    return;
  if (d != NULL && !is_of_scheme(d, scheme))
    luaL_argerror(L, arg,
                  "an address, or an endpoint of this socket's scheme, "
                  "expected");
  if (endpoint_parse(L, text, n, &e, why) < 0)
    luaL_argerror(L, arg, why[0] != '\0' ? why : "no such endpoint");
  if (!e.numeric || e.any)
    luaL_argerror(L, arg,
                  "an address expected, no name and no *: net.resolve "
                  "looks names up");
  address_push(L, &e.addr);
  lua_replace(L, arg);
}


static void check_destination(lua_State *L, int arg) {
  if (lua_type(L, arg) == LUA_TSTRING)
    take_endpoint(L, arg);
  if (!lua_isnoneornil(L, arg))
    address_check(L, arg);
}


/* The source at 4: an address of ours, or what recv told of the message that is
 * answered.  An Address, an interface's number or nil takes its place. */
static void check_source(lua_State *L) {
  bool given = lua_gettop(L) >= 4;
  lua_settop(L, 4);
  if (!given)
    return;
  if (!lua_istable(L, 4)) {
    check_destination(L, 4);
    return;
  }
  if (lua_getfield(L, 4, "localaddr") == LUA_TNIL &&
      lua_getfield(L, 4, "to") != LUA_TNIL &&
      lua_getfield(L, 4, "interface") != LUA_TNIL) {
    host *h = host_of(L);
    lua_pushinteger(L, h->world->net->ifindex(h, luaL_checkstring(L, -1)));
    lua_replace(L, 5);
  }
  lua_settop(L, 5);
  lua_replace(L, 4);
  if (!lua_isinteger(L, 4))
    check_destination(L, 4);
}


/*
** datagram:send(data, to?, source?) : datagram | nil, error
*/

static int l_send(lua_State *L) {
  datagram_box_of(L);
  luaL_checkstring(L, 2);
  check_destination(L, 3);
  check_source(L);
  return begin(L, SEND);
}


/*
** datagram:sendmany({data}, to?, source?) : datagram | nil, error
*/

static int l_sendmany(lua_State *L) {
  datagram_box_of(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, 2); i > 0; i--) {
    int type = lua_rawgeti(L, 2, i);
    luaL_argcheck(L, type == LUA_TSTRING, 2, "a list of strings expected");
    lua_pop(L, 1);
  }
  check_destination(L, 3);
  check_source(L);
  lua_pushinteger(L, 0);
  return begin(L, SENDMANY);
}


/*
** datagram:sendfd(data, {descriptor}, to?) : datagram | nil, error
*/

static int l_sendfd(lua_State *L) {
  datagram_box_of(L);
  luaL_checkstring(L, 2);
  descriptor_check_list(L, 3);
  check_destination(L, 4);
  lua_settop(L, 4);
  return begin(L, SENDFD);
}


/*
** datagram:flush() : datagram | nil, error
*/

static int l_flush(lua_State *L) {
  datagram_box_of(L);
  lua_settop(L, 1);
  return begin(L, FLUSH);
}


/*
** datagram:connect(to?) : datagram | nil, error.  Without: to nobody again.
*/

static int l_connect(lua_State *L) {
  datagram_box_of(L);
  check_destination(L, 2);
  lua_settop(L, 2);
  return begin(L, CONNECT);
}


const luaL_Reg datagram_send_methods[] = {
    {"send", l_send},   {"sendmany", l_sendmany}, {"sendfd", l_sendfd},
    {"flush", l_flush}, {"connect", l_connect},   {NULL, NULL},
};
