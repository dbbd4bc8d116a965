/*
** What a message socket is: its fields, options, peer, groups and timeout.
*/

#include <errno.h>
#include <string.h>

#include "host/error.h"
#include "net/allowed.h"
#include "net/datagram.h"
#include "net/options.h"
#include "net/property.h"
#include "net/send_batch.h"
#include "net/trace.h"
#include "sched/world.h"


/* self, for `return done(...)`. */
static int done(lua_State *L, const datagram *d, int status, const char *op) {
  if (status < 0)
    return datagram_fail(L, d, status, op);
  lua_settop(L, 1);
  return 1;
}


/*
** Options
*/

static sockspec about(void *body) {
  const datagram *d = body;
  return (sockspec){.family = d != NULL ? d->family : AF_INET,
                    .type = d != NULL ? d->type : SOCK_DGRAM};
}


/* What was sent before goes out as it was then. */
static int set_one(void *body, const sockopt *o) {
  datagram *d = body;
  datagram_flush(d);
  return d->transport->set(d, o);
}


static int get_one(void *body, sockopt *o) {
  datagram *d = body;
  return d->transport->get(d, o);
}


static int failed(lua_State *L, void *body, int status, const char *op) {
  return datagram_fail(L, body, status, op);
}


static const optioned options = {about, set_one, get_one, failed,
                                 offsetof(datagram, timeout)};


static int l_set(lua_State *L) {
  return property_set(L, (void *const *)datagram_box_of(L), &options);
}


static int l_get(lua_State *L) {
  return property_get(L, (void *const *)datagram_box_of(L), &options);
}


static int l_settimeout(lua_State *L) {
  return property_settimeout(L, (void *const *)datagram_box_of(L), &options);
}


/*
** datagram:join(group, opts?) and leave : datagram | nil, error
*/

static bool membership_option(lua_State *L, const char *name) {
  if (lua_isnoneornil(L, 3))
    return false;
  luaL_checktype(L, 3, LUA_TTABLE);
  if (lua_getfield(L, 3, name) != LUA_TNIL)
    return true;
  lua_pop(L, 1);
  return false;
}


static void check_membership_options(lua_State *L) {
  if (lua_isnoneornil(L, 3))
    return;
  luaL_checktype(L, 3, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
    const char *name =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(name, "interface") != 0 && strcmp(name, "source") != 0)
      luaL_argerror(L, 3, "its fields are interface and source");
  }
}


/* Its index; 0 for any, a negative errno for one that is not there. */
static int interface_option(lua_State *L) {
  host *h = host_of(L);
  if (!membership_option(L, "interface"))
    return 0;
  const char *name = luaL_checkstring(L, -1);
  return h->world->net->ifindex(h, name);
}


static int change_membership(lua_State *L, bool leave) {
  const datagram_box *b = datagram_box_of(L);
  const char *op = leave ? "leave" : "join";
  const address *source = NULL;
  const address *group = address_check(L, 2);
  lua_settop(L, 3);
  check_membership_options(L);
  if (membership_option(L, "source"))
    source = address_check(L, lua_gettop(L));
  if (source != NULL && source->u.any.sa_family != group->u.any.sa_family)
    luaL_argerror(L, 3, "a source of the group's family expected");
  int interface = interface_option(L);
  datagram *d = b->datagram;
  if (d == NULL)
    return datagram_fail(L, NULL, -EBADF, op);
  if (interface < 0)
    return datagram_fail(L, d, interface, op);
  int status = leave ? 0 : allowed_group(group);
  if (status < 0)
    return datagram_fail(L, d, status, op);
  return done(L, d,
              d->transport->join(d, leave, group, source, (unsigned)interface),
              op);
}


static int l_join(lua_State *L) {
  return change_membership(L, false);
}


static int l_leave(lua_State *L) {
  return change_membership(L, true);
}


/*
** datagram:shutdown() : datagram | nil, error.  Of seqpacket.
*/

static int l_shutdown(lua_State *L) {
  datagram *d = datagram_box_of(L)->datagram;
  int status = -EBADF;
  if (d != NULL) {
    datagram_flush(d);
    trace_datagram(d, TRACE_SHUTDOWN);
    status = d->transport->shutdown(d);
  }
  return done(L, d, status, "shutdown");
}


/*
** Fields
*/

static void push_localaddr(lua_State *L, void *body) {
  datagram *d = body;
  address a;
  property_address(L, d->transport->localaddr(d, &a), &a);
}


static void push_remoteaddr(lua_State *L, void *body) {
  datagram *d = body;
  address a;
  property_address(L, d->transport->remoteaddr(d, &a), &a);
}


static void push_family(lua_State *L, void *body) {
  const datagram *d = body;
  property_family(L, d->family);
}


static void push_type(lua_State *L, void *body) {
  const datagram *d = body;
  lua_pushstring(L, d->type == SOCK_RAW         ? "raw"
                    : d->type == SOCK_SEQPACKET ? "seqpacket"
                                                : "datagram");
}


static void push_protocol(lua_State *L, void *body) {
  const datagram *d = body;
  static const struct {
    int number;
    const char *name;
  } names[] = {{IPPROTO_UDP, "udp"},
               {IPPROTO_ICMP, "icmp"},
               {IPPROTO_ICMPV6, "ipv6-icmp"},
               {IPPROTO_UDPLITE, "udplite"}};
  if (d->family == AF_UNIX || d->family == AF_PACKET) {
    lua_pushstring(L, datagram_kind(d));
    return;
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == d->protocol) {
      lua_pushstring(L, names[i].name);
      return;
    }
  lua_pushfstring(L, "%d", d->protocol);
}


static void push_fd(lua_State *L, void *body) {
  datagram *d = body;
  d->transport->share(d);
  property_fd(L, d->transport->fd(d));
}


static void push_endpoint(lua_State *L, void *body) {
  const datagram *d = body;
  lua_pushstring(L, d->where);
}


/* Does what is received begin with the IP header? */
static void push_header(lua_State *L, void *body) {
  const datagram *d = body;
  lua_pushboolean(L, d->family == AF_INET && d->type == SOCK_RAW);
}


static void push_peercred(lua_State *L, void *body) {
  datagram *d = body;
  sockopt o = property_ask_peer();
  int status = d->family == AF_UNIX ? d->transport->get(d, &o) : -EINVAL;
  property_peer(L, status, &o);
}


const property datagram_fields[] = {
    {"localaddr", push_localaddr}, {"remoteaddr", push_remoteaddr},
    {"family", push_family},       {"type", push_type},
    {"protocol", push_protocol},   {"fd", push_fd},
    {"endpoint", push_endpoint},   {"header", push_header},
    {"peercred", push_peercred},   {NULL, NULL},
};


const luaL_Reg datagram_option_methods[] = {
    {"set", l_set},   {"get", l_get},     {"settimeout", l_settimeout},
    {"join", l_join}, {"leave", l_leave}, {"shutdown", l_shutdown},
    {NULL, NULL},
};
