/*
** Opening message sockets: net.bind, and net.connect of their endpoints.
*/

#include <errno.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "net/allowed.h"
#include "net/datagram.h"
#include "net/dial.h"
#include "net/functions.h"
#include "net/options.h"
#include "net/trace.h"
#include "sched/world.h"

enum { FILTER_MAX = 4096 }; /* the kernel's BPF_MAXINSNS */


static const backend *backend_of(lua_State *L) {
  return host_of(L)->world->net;
}


/*
** Failures.  Where a capability is missing, say which.
*/

static const char *hint(const endpoint *e, int status) {
  int type = e->scheme->type;
  if (type == SOCK_RAW && status == -EPERM)
    return "operation not permitted: it needs the capability CAP_NET_RAW "
           "(root, or setcap cap_net_raw+ep)";
  if (e->scheme->form == ENDPOINT_HOST && type == SOCK_DGRAM &&
      (status == -EACCES || status == -EPERM))
    return "permission denied: the group must be in the range of the sysctl "
           "net.ipv4.ping_group_range";
  return NULL;
}


static int fail_open(lua_State *L, int status, const char *op,
                     const endpoint *e) {
  return dial_fail(L, status, op, e, hint(e, status));
}


/*
** The filter: a list of {code, jt, jf, k}
*/

static uint32_t instruction_field(lua_State *L, int i, uint32_t max) {
  int whole;
  lua_rawgeti(L, -1, i);
  lua_Integer n = lua_tointegerx(L, -1, &whole);
  if (!whole || n < 0 || n > (lua_Integer)max)
    luaL_error(L, "option 'filter': its instructions are {code, jt, jf, k}, "
                  "whole numbers");
  lua_pop(L, 1);
  return (uint32_t)n;
}


/* It stays on the stack, for as long as the spec is used. */
static void filter_option(lua_State *L, sockspec *spec) {
  spec->filter = NULL;
  spec->filter_count = 0;
  if (dial_option(L, "filter") == LUA_TNIL)
    return;
  size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  if (n < 1 || n > FILTER_MAX)
    luaL_error(L, "option 'filter': a list of 1 to 4096 instructions expected");
  bpf_instruction *list = lua_newuserdatauv(L, n * sizeof *list, 0);
  for (size_t i = 0; i < n; i++) {
    if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TTABLE)
      luaL_error(L, "option 'filter': an instruction is a table");
    list[i].code = (uint16_t)instruction_field(L, 1, UINT16_MAX);
    list[i].jt = (uint8_t)instruction_field(L, 2, UINT8_MAX);
    list[i].jf = (uint8_t)instruction_field(L, 3, UINT8_MAX);
    list[i].k = instruction_field(L, 4, UINT32_MAX);
    lua_pop(L, 1);
  }
  spec->filter = list;
  spec->filter_count = (unsigned)n;
}


/*
** Making them
*/

/* Port 0 is the one that was chosen. */
static void set_where(datagram *d, endpoint *e, bool connected) {
  char text[ENDPOINT_TEXT];
  address a;
  if (!connected && e->scheme->form != ENDPOINT_INTERFACE &&
      e->scheme->form != ENDPOINT_FD && d->transport->localaddr(d, &a) == 0 &&
      a.length > 0)
    endpoint_set_address(d->host, e, &a);
  size_t n = endpoint_print(d->host, e, text, sizeof text);
  d->where = memory_text(text, n);
}


static int push(lua_State *L, datagram *d, endpoint *e, bool connected) {
  d->connected = d->connected || connected;
  set_where(d, e, connected);
  datagram_push(L, d);
  return 1;
}


static void complete_spec(lua_State *L, const endpoint *e, sockspec *spec) {
  if (e->scheme->form == ENDPOINT_HOST)
    spec->protocol = endpoint_protocol(e, spec->family);
  if (e->scheme->form == ENDPOINT_INTERFACE && strcmp(e->host, "*") != 0)
    memcpy(spec->interface, e->host, sizeof spec->interface);
  dial_file(L, spec);
  dial_check_names(L);
  filter_option(L, spec);
}


static int bind_any(host *h, endpoint *e, sockspec *spec, datagram **d) {
  unsigned count = dial_dual(spec);
  int status = h->world->net->bind(h, spec, d);
  if (dial_v4_alone(e, spec, count, status))
    status = h->world->net->bind(h, spec, d);
  return status;
}


static int begin_bind(lua_State *L, endpoint *e, sockspec *spec, datagram **d) {
  host *h = host_of(L);
  bool adopts = e->scheme->form == ENDPOINT_FD;
  int status = adopts ? allowed_descriptor(h, e->fd) : allowed_bind(spec);
  if (status < 0)
    return status;
  if (adopts)
    return backend_of(L)->adopt_datagram(h, e->fd, d);
  if (e->any && e->scheme->form == ENDPOINT_HOST_PORT &&
      e->scheme->family == AF_UNSPEC)
    return bind_any(h, e, spec, d);
  return backend_of(L)->bind(h, spec, d);
}


/*
** bind(endpoint, opts?, address?) : datagram | nil, error | false for a name
*/

int bind_lua(lua_State *L) {
  static const char *const also[] = {"mode",     "unlink_stale", "filter",
                                     "resolver", "cache",        NULL};
  endpoint e;
  sockspec spec;
  datagram *d = NULL;
  lua_settop(L, DIAL_ADDRESS);
  int status = endpoint_check(L, DIAL_ENDPOINT, &e);
  if (status < 0)
    return fail(L, status, "bind", lua_tostring(L, DIAL_ENDPOINT));
  if (e.scheme->kind != ENDPOINT_DATAGRAM && e.scheme->kind != ENDPOINT_ADOPTED)
    return luaL_error(
        L, "bind: '%s' is no datagram endpoint (streams: net.listen)",
        e.scheme->name);
  bool known = dial_address(L, &e);
  dial_spec(&spec, &e);
  options_parse(L, DIAL_OPTIONS, spec.family, &spec, also);
  complete_spec(L, &e, &spec);
  dial_share(L, &e, &spec);
  if (!known) {
    lua_pushboolean(L, false);
    return 1;
  }
  status = begin_bind(L, &e, &spec, &d);
  return status < 0 ? fail_open(L, status, "bind", &e) : push(L, d, &e, false);
}


/*
** The dial of message sockets; `timeout` has no meaning, and is allowed.
*/

int dial_datagram(lua_State *L, endpoint *e) {
  static const char *const also[] = {"timeout", "localaddr",    "filter",
                                     "mode",    "unlink_stale", "resolver",
                                     "cache",   "public_only",  NULL};
  sockspec spec;
  datagram *d = NULL;
  if (e->scheme->form == ENDPOINT_INTERFACE)
    return luaL_error(L, "connect: '%s' cannot be connected: net.bind",
                      e->scheme->name);
  bool known = dial_address(L, e);
  dial_spec(&spec, e);
  options_parse(L, DIAL_OPTIONS, spec.family, &spec, also);
  dial_local(L, &spec);
  dial_public(L, &spec);
  complete_spec(L, e, &spec);
  if (!known) {
    lua_pushboolean(L, false);
    return 1;
  }
  int status = allowed_connect(&spec);
  if (status == 0)
    status = backend_of(L)->connect_datagram(host_of(L), &spec, &d);
  return status < 0 ? fail_open(L, status, "connect", e) : push(L, d, e, true);
}
