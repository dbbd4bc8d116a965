/*
** Opening: connect, listen, and descriptors from outside.
**
** These take endpoints whose address is known.  A name is resolved, and its
** addresses are raced, in lua/neap/net.lua, which then comes back with each.
*/

#include <errno.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "net/allowed.h"
#include "net/dial.h"
#include "net/endpoint.h"
#include "net/functions.h"
#include "net/listener.h"
#include "net/mem.h"
#include "net/options.h"
#include "net/stream_methods.h"
#include "net/trace.h"
#include "sched/world.h"

enum { ENDPOINT = DIAL_ENDPOINT, OPTIONS, ADDRESS, STREAM };

enum { BACKLOG = 511 };


/* A field of the options; nil where there are none. */
int dial_option(lua_State *L, const char *name) {
  if (!lua_istable(L, OPTIONS)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  lua_pushstring(L, name);
  return lua_rawget(L, OPTIONS);
}


lua_Integer dial_integer(lua_State *L, const char *name, lua_Integer otherwise,
                         lua_Integer max) {
  int found = 1;
  lua_Integer n = otherwise;
  if (dial_option(L, name) != LUA_TNIL)
    n = lua_tointegerx(L, -1, &found);
  if (!found || n < 0 || n > max)
    luaL_error(L, "option '%s': a whole number from 0 to %I expected", name,
               (LUAI_UACINT)max);
  lua_pop(L, 1);
  return n;
}


bool dial_flag(lua_State *L, const char *name) {
  int type = dial_option(L, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "option '%s': true or false expected", name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}


/* The endpoint's address, or the one that a lookup found; false for none. */
bool dial_address(lua_State *L, endpoint *e) {
  if (!lua_isnoneornil(L, ADDRESS)) {
    address a = *address_check(L, ADDRESS);
    address_set_port(&a, e->port >= 0 ? e->port : 0);
    endpoint_set_address(host_of(L), e, &a);
    e->addr = a;
    return true;
  }
  return e->numeric || !endpoint_has_host(e);
}


void dial_spec(sockspec *spec, const endpoint *e) {
  memset(spec, 0, offsetof(sockspec, options));
  spec->type = e->scheme->type;
  spec->protocol = e->scheme->protocol;
  spec->addr = e->addr;
  spec->family =
      e->addr.length > 0 ? e->addr.u.any.sa_family : e->scheme->family;
  spec->backlog = BACKLOG;
  spec->mode = -1;
}


/* option mptcp: socket(2) is asked for another protocol, and all else is as of
 * TCP. */
static void choose_multipath(lua_State *L, const endpoint *e, sockspec *spec) {
  if (!dial_flag(L, "mptcp"))
    return;
  if (e->scheme->protocol != IPPROTO_TCP)
    luaL_error(L, "option 'mptcp' is of tcp endpoints, not of '%s'",
               e->scheme->name);
  spec->protocol = IPPROTO_MPTCP;
}


/* By its scheme or an option: it is Lua's, which comes back without. */
static bool wants_tls(lua_State *L, const endpoint *e) {
  bool given = dial_option(L, "tls") != LUA_TNIL;
  lua_pop(L, 1);
  return given || e->scheme->tls;
}


static void check_stream(lua_State *L, const endpoint *e, const char *verb) {
  endpoint_kind kind = e->scheme->kind;
  if (kind != ENDPOINT_STREAM && kind != ENDPOINT_ADOPTED &&
      (kind != ENDPOINT_SEQPACKET || verb[0] != 'l'))
    luaL_error(L, "%s: '%s' is no stream endpoint (messages: net.bind)", verb,
               e->scheme->name);
}


static void set_where(stream *s, host *h, const endpoint *e) {
  char text[ENDPOINT_TEXT];
  size_t n = endpoint_print(h, e, text, sizeof text);
  stream_name(s, text, n);
}


/* What is missing, where the kernel's own words do not say so: NULL if they
 * do. */
static const char *hint_of(const sockspec *spec, int status) {
  static const struct {
    int family, protocol, status; /* family 0: any of ip */
    const char *text;
  } hints[] = {
      {0, IPPROTO_SCTP, -EPROTONOSUPPORT,
       "protocol not supported: the kernel has no SCTP (modprobe sctp)"},
      {0, IPPROTO_MPTCP, -EPROTONOSUPPORT,
       "protocol not supported: the kernel has no MPTCP (CONFIG_MPTCP)"},
      {0, IPPROTO_MPTCP, -ENOPROTOOPT,
       "protocol not available: MPTCP is off (sysctl net.mptcp.enabled=1)"},
      {AF_VSOCK, 0, -EAFNOSUPPORT,
       "address family not supported: the kernel has no vsock (modprobe "
       "vsock)"},
      {AF_VSOCK, 0, -EADDRNOTAVAIL,
       "cannot assign requested address: no such cid is this machine's "
       "(modprobe vsock_loopback for local)"},
      {AF_VSOCK, 0, -ENODEV,
       "no such device: nothing here leads to that cid (modprobe "
       "vsock_loopback for local, vmw_vsock_virtio_transport for host, "
       "vhost_vsock for a guest)"},
  };
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
    if (hints[i].status == status && hints[i].protocol == spec->protocol &&
        (hints[i].family == 0 || hints[i].family == spec->family))
      return hints[i].text;
  }
  return NULL;
}


int dial_fail(lua_State *L, int status, const char *op, const endpoint *e,
              const char *hint) {
  char text[ENDPOINT_TEXT];
  endpoint_print(host_of(L), e, text, sizeof text);
  trace_failure(host_of(L), op, text, status);
  lua_pushnil(L);
  error_push_message(L, status, op, text, hint);
  return 2;
}


/* A malformed endpoint raises; one the world will not have returns. */
static int read_endpoint(lua_State *L, endpoint *e) {
  return endpoint_check(L, ENDPOINT, e);
}


static int fail_text(lua_State *L, int status, const char *op) {
  return fail(L, status, op, lua_tostring(L, ENDPOINT));
}


/*
** dial(endpoint, opts?, address?) : stream | nil, error | false for a name
*/

static int dial_k(lua_State *L, int status, lua_KContext ctx) {
  stream *s = ((box *)lua_touserdata(L, STREAM))->stream;
  bool cancelled;
  (void)status, (void)ctx;
  int result = wait_peek(L, &cancelled);
  if (result == 0 && s != NULL)
    return 1;
  const char *where = s != NULL ? stream_where(s) : NULL;
  if (s != NULL)
    stream_close(s, true);
  if (cancelled)
    return wait_raise(L);
  return fail(L, result < 0 ? result : -ECANCELED, "connect", where);
}


static uint64_t connect_deadline(lua_State *L) {
  int is_number = 1;
  lua_Number seconds = 0;
  bool given = dial_option(L, "timeout") != LUA_TNIL;
  if (given)
    seconds = lua_tonumberx(L, -1, &is_number);
  if (!is_number || (given && !(seconds > 0)))
    luaL_error(L, "option 'timeout': seconds above 0 expected");
  lua_pop(L, 1);
  return given ? wait_deadline(L, seconds) : NEVER;
}


/* Where to connect from: an address as text, or an Address. */
void dial_local(lua_State *L, sockspec *spec) {
  int top = lua_gettop(L);
  if (dial_option(L, "localaddr") != LUA_TNIL) {
    const address *a = address_read(L, -1);
    if (a == NULL)
      luaL_argerror(
          L, OPTIONS,
          lua_pushfstring(L, "option 'localaddr': %s", lua_tostring(L, -1)));
    spec->local = *a;
  }
  lua_settop(L, top);
}


void dial_public(lua_State *L, sockspec *spec) {
  spec->public_only = dial_flag(L, "public_only");
}


void dial_check_names(lua_State *L) {
  int type = dial_option(L, "resolver");
  const char *who = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (type != LUA_TNIL && strcmp(who, "system") != 0 && strcmp(who, "dns") != 0)
    luaL_error(L, "option 'resolver': 'system' or 'dns' expected");
  lua_pop(L, 1);
  dial_flag(L, "cache");
}


static int begin_dial(host *h, const endpoint *e, const sockspec *spec,
                      stream **s) {
  int status;
  switch (e->scheme->form) {
  case ENDPOINT_NAME:
    return mem_connect(h, e->host, s);
  case ENDPOINT_FD:
    status = allowed_descriptor(h, e->fd);
    return status < 0 ? status : h->world->net->adopt(h, e->fd, s, NULL);
  default:
    status = allowed_connect(spec);
    return status < 0 ? status : h->world->net->connect(h, spec, s);
  }
}


int dial_lua(lua_State *L) {
  static const char *const also[] = {"timeout",     "localaddr", "mptcp",
                                     "tls",         "resolver",  "cache",
                                     "public_only", NULL};
  endpoint e;
  sockspec spec;
  stream *s = NULL;
  lua_settop(L, ADDRESS);
  wait_enter(L, "connect");
  int status = read_endpoint(L, &e);
  if (status < 0)
    return fail_text(L, status, "connect");
  if (e.scheme->kind == ENDPOINT_DATAGRAM ||
      e.scheme->kind == ENDPOINT_SEQPACKET)
    return dial_datagram(L, &e);
  check_stream(L, &e, "connect");
  uint64_t deadline = connect_deadline(L);
  if (wants_tls(L, &e)) {
    lua_pushboolean(L, false);
    return 1;
  }
  bool known = dial_address(L, &e);
  dial_spec(&spec, &e);
  choose_multipath(L, &e, &spec);
  options_parse(L, OPTIONS, spec.family, &spec, also);
  dial_local(L, &spec);
  dial_public(L, &spec);
  dial_check_names(L);
  if (!known) {
    lua_pushboolean(L, false);
    return 1;
  }
  status = begin_dial(host_of(L), &e, &spec, &s);
  if (status < 0)
    return dial_fail(L, status, "connect", &e, hint_of(&spec, status));
  set_where(s, host_of(L), &e);
  stream_push(L, s);
  if (s->state == OPEN)
    return 1;
  waiting how = {"connect", deadline, s->outside};
  return wait_park(L, &s->writers, &how, 0, dial_k);
}


/*
** listen(endpoint, opts?, address?) : listener | nil, error | false for a name
*/

static void add_option(sockspec *spec, int level, int name, int value) {
  if (spec->option_count == SOCKSPEC_OPTIONS)
    return;
  sockopt *o = &spec->options[spec->option_count++];
  o->level = level;
  o->name = name;
  o->length = sizeof value;
  memcpy(o->value, &value, sizeof value);
}


unsigned dial_dual(sockspec *spec) {
  unsigned count = spec->option_count;
  add_option(spec, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  return count;
}


bool dial_v4_alone(endpoint *e, sockspec *spec, unsigned count, int status) {
  if (status != -EAFNOSUPPORT && status != -EADDRNOTAVAIL)
    return false;
  spec->option_count = count;
  address_any(&e->addr, AF_INET, e->port);
  spec->addr = e->addr;
  spec->family = AF_INET;
  options_family(spec, AF_INET);
  return true;
}


void dial_file(lua_State *L, sockspec *spec) {
  if (dial_option(L, "mode") != LUA_TNIL)
    spec->mode = (int)dial_integer(L, "mode", 0, 0777);
  spec->unlink_stale = dial_flag(L, "unlink_stale");
}


void dial_share(lua_State *L, const endpoint *e, sockspec *spec) {
  if (host_of(L)->siblings == 0 || e->scheme->form != ENDPOINT_HOST_PORT)
    return;
  if (dial_option(L, "reuseport") == LUA_TNIL)
    add_option(spec, SOL_SOCKET, SO_REUSEPORT, 1);
  lua_pop(L, 1);
}


static int listen_any(host *h, endpoint *e, sockspec *spec, listener **l) {
  unsigned count = dial_dual(spec);
  int status = h->world->net->listen(h, spec, l);
  if (dial_v4_alone(e, spec, count, status))
    status = h->world->net->listen(h, spec, l);
  return status;
}


static int begin_listen(lua_State *L, endpoint *e, sockspec *spec,
                        listener **l) {
  host *h = host_of(L);
  int status = e->scheme->form == ENDPOINT_FD     ? allowed_descriptor(h, e->fd)
               : e->scheme->form == ENDPOINT_NAME ? 0
                                                  : allowed_listen(spec);
  if (status < 0)
    return status;
  switch (e->scheme->form) {
  case ENDPOINT_NAME:
    return mem_listen(h, e->host, spec->backlog, l);
  case ENDPOINT_FD:
    return h->world->net->adopt(h, e->fd, NULL, l);
  default:
    return e->any && e->addr.u.any.sa_family == AF_INET6 &&
                   e->scheme->family == AF_UNSPEC
               ? listen_any(h, e, spec, l)
               : h->world->net->listen(h, spec, l);
  }
}


/* What somebody else's descriptor listens at is an endpoint as any other. */
static const char *scheme_of(listener *l) {
  int type = 0;
  sockopt o = {.level = SOL_SOCKET, .name = SO_TYPE, .length = sizeof type};
  switch (l->addr.u.any.sa_family) {
  case AF_INET:
  case AF_INET6:
    return l->protocol == IPPROTO_SCTP ? "sctp" : "tcp";
  case AF_UNIX:
    if (l->backend->get_listener(l, &o) == 0)
      memcpy(&type, o.value, sizeof type);
    return type == SOCK_SEQPACKET ? "seqpacket" : "unix";
  default:
    return l->addr.u.any.sa_family == AF_VSOCK ? "vsock" : NULL;
  }
}


static void name_adopted(endpoint *e, listener *l) {
  const char *name = scheme_of(l);
  if (name == NULL)
    return;
  e->scheme = endpoint_scheme_find(name, strlen(name));
  e->any = l->addr.u.any.sa_family != AF_UNIX && address_is_any(&l->addr);
  if (e->any)
    strcpy(e->host, "*");
}


int listen_lua(lua_State *L) {
  static const char *const also[] = {"backlog",      "mode",     "mptcp", "tls",
                                     "unlink_stale", "resolver", "cache", NULL};
  endpoint e;
  sockspec spec;
  listener *l = NULL;
  char where[ENDPOINT_TEXT];
  lua_settop(L, ADDRESS);
  int status = read_endpoint(L, &e);
  if (status < 0)
    return fail_text(L, status, "listen");
  check_stream(L, &e, "listen");
  if (wants_tls(L, &e)) {
    lua_pushboolean(L, false);
    return 1;
  }
  bool known = dial_address(L, &e);
  dial_spec(&spec, &e);
  choose_multipath(L, &e, &spec);
  options_parse(L, OPTIONS, spec.family, &spec, also);
  spec.backlog = (int)dial_integer(L, "backlog", BACKLOG, INT32_MAX);
  dial_file(L, &spec);
  dial_share(L, &e, &spec);
  dial_check_names(L);
  if (!known) {
    lua_pushboolean(L, false);
    return 1;
  }
  lua_settop(L, ADDRESS);
  status = begin_listen(L, &e, &spec, &l);
  if (status < 0)
    return dial_fail(L, status, "listen", &e, hint_of(&spec, status));
  if (e.scheme->form == ENDPOINT_FD)
    name_adopted(&e, l);
  if (e.scheme->form != ENDPOINT_NAME && e.scheme->form != ENDPOINT_FD)
    endpoint_set_address(l->host, &e, &l->addr);
  endpoint_print(l->host, &e, where, sizeof where);
  return listener_push(L, l, where);
}
