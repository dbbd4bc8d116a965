/*
** Messages of IP: to whom they go, and which sockets they are for.
*/

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/send_batch.h"
#include "sim/message.h"

enum { IP_HEADER = 20, IP6_HEADER = 40, UDP_HEADER = 8, LARGEST = 65535 };


static int family_of(const address *a) {
  return a->u.any.sa_family;
}


static bool is_loopback(const address *a) {
  return family_of(a) == AF_INET ? ntohl(a->u.in4.sin_addr.s_addr) >> 24 == 127
                                 : IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
}


static bool same_ip(const address *a, const address *b) {
  if (family_of(a) != family_of(b))
    return false;
  return family_of(a) == AF_INET
             ? a->u.in4.sin_addr.s_addr == b->u.in4.sin_addr.s_addr
             : memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, 16) == 0;
}


/*
** Sending
*/

static unsigned interface_of(message_socket *m, const address *to,
                             unsigned wanted) {
  int family = family_of(to);
  if (wanted > 0)
    return wanted;
  if (family == AF_INET6 && to->u.in6.sin6_scope_id > 0)
    return to->u.in6.sin6_scope_id;
  return group_is(to) ? (unsigned)message_ip_option(m, family, IP_MULTICAST_IF,
                                                    IPV6_MULTICAST_IF, 0)
                      : 0;
}


static int check_family(message_socket *m, const address *to) {
  int family = message_datagram(m)->family;
  if (!address_is_ip(to) || (family == AF_INET && family_of(to) != AF_INET))
    return -EAFNOSUPPORT;
  bool bound_to_six = m->local.length > 0 && !address_is_any(&m->local) &&
                      family_of(&m->local) == AF_INET6;
  if (family == AF_INET6 && family_of(to) == AF_INET &&
      (bound_to_six || message_option(m, IPPROTO_IPV6, IPV6_V6ONLY, 0) != 0))
    return -ENETUNREACH;
  return 0;
}


int message_find_route(message_socket *m, const address *to, unsigned interface,
                       route *r) {
  int status = check_family(m, to);
  if (status < 0)
    return status;
  route_find(message_node(m), to, interface_of(m, to, interface), r);
  if (r->kind == ROUTE_NONE)
    return -ENETUNREACH;
  if (r->kind == ROUTE_BROADCAST &&
      message_option(m, SOL_SOCKET, SO_BROADCAST, 0) == 0)
    return -EACCES;
  return 0;
}


/* The one that was asked for, its own, or the route's. */
static int choose_source(message_socket *m, const outgoing *o, const route *r,
                         address *source) {
  *source = r->source;
  if (o->via != NULL && !address_is_any(o->via)) {
    if (netif_owns(message_node(m), o->via) == 0)
      return -EINVAL;
    *source = *o->via;
  } else if (!address_is_any(&m->local) &&
             family_of(&m->local) == family_of(&r->source)) {
    *source = m->local;
  }
  address_set_port(source, message_port(m));
  return is_loopback(source) && r->kind != ROUTE_LOCAL &&
                 r->interface != LOOPBACK_INTERFACE
             ? -EINVAL
             : 0;
}


static size_t headers_of(const datagram *d, const address *to) {
  size_t ip = family_of(to) == AF_INET ? IP_HEADER : IP6_HEADER;
  return d->type == SOCK_DGRAM && d->protocol == IPPROTO_UDP ? ip + UDP_HEADER
                                                             : ip;
}


static int check_size(message_socket *m, const outgoing *o, const address *to,
                      const route *r) {
  size_t headers = headers_of(message_datagram(m), to);
  size_t most = family_of(to) == AF_INET ? LARGEST - headers
                                         : LARGEST - (headers - IP6_HEADER);
  int discover = message_ip_option(m, family_of(to), IP_MTU_DISCOVER,
                                   IPV6_MTU_DISCOVER, IP_PMTUDISC_WANT);
  bool whole =
      discover == IP_PMTUDISC_DO || discover == 3 /* IP_PMTUDISC_PROBE */;
  if (o->size > most || (whole && o->size + headers > (size_t)r->mtu))
    return -EMSGSIZE;
  return 0;
}


/* A larger one goes in pieces. */
static unsigned fragments_of(size_t size, size_t headers, int mtu) {
  size_t room = ((size_t)mtu - IP6_HEADER) / 8 * 8;
  return size + headers <= (size_t)mtu
             ? 1
             : (unsigned)((size + UDP_HEADER + room - 1) / room);
}


/* What is to be sent, and how. */
typedef struct sending {
  message_socket *socket;
  const outgoing *o;
  const address *to;
  address source;
  route route;
} sending;


static void arrive(flight *f);


static flight *fly_to(const sending *x, node *to) {
  message_socket *m = x->socket;
  const datagram *d = message_datagram(m);
  node *n = message_node(m);
  int family = family_of(x->to);
  flight *f = flight_new(n->sim, n, to, x->o->bytes, x->o->size);
  f->arrive = arrive;
  f->source = x->source;
  f->target = *x->to;
  if (address_is_any(&f->target))
    address_loopback(&f->target, family, (int)address_port(x->to));
  f->protocol = d->protocol;
  f->raw = d->type == SOCK_RAW;
  f->many = x->route.kind == ROUTE_GROUP || x->route.kind == ROUTE_BROADCAST;
  f->looped = x->route.interface == LOOPBACK_INTERFACE;
  f->fragments = fragments_of(f->size, headers_of(d, x->to), x->route.mtu);
  f->tos = (unsigned)message_ip_option(m, family, IP_TOS, IPV6_TCLASS, 0);
  f->ttl = x->route.kind == ROUTE_GROUP
               ? (unsigned)message_ip_option(m, family, IP_MULTICAST_TTL,
                                             IPV6_MULTICAST_HOPS, 1)
               : (unsigned)message_ip_option(m, family, IP_TTL,
                                             IPV6_UNICAST_HOPS, 64);
  if (!datagram_has_ports(d->type, d->protocol) && !f->raw)
    icmp_write(m, f);
  return f;
}


static bool hears_group(const sending *x, node *n) {
  if (x->route.kind == ROUTE_BROADCAST)
    return node_lives(n);
  return node_lives(n) && node_in_group(n, x->to);
}


/* To all whom it concerns; over lo only to oneself. */
static void send_to_many(const sending *x) {
  message_socket *m = x->socket;
  node *n = message_node(m);
  int family = family_of(x->to);
  bool back = x->route.kind == ROUTE_BROADCAST ||
              x->route.interface == LOOPBACK_INTERFACE ||
              message_ip_option(m, family, IP_MULTICAST_LOOP,
                                IPV6_MULTICAST_LOOP, 1) != 0;
  if (back && hears_group(x, n))
    flight_send(fly_to(x, n), LOOPBACK_TIME);
  for (unsigned i = 0;
       i < n->sim->node_count && x->route.interface != LOOPBACK_INTERFACE;
       i++) {
    node *other = n->sim->nodes[i];
    if (other != n && hears_group(x, other))
      flight_send(fly_to(x, other), 0);
  }
}


static void dispatch(const sending *x) {
  node *n = message_node(x->socket);
  switch (x->route.kind) {
  case ROUTE_LOCAL:
    flight_send(fly_to(x, n), LOOPBACK_TIME);
    break;
  case ROUTE_NODE:
    flight_send(fly_to(x, x->route.node), 0);
    break;
  case ROUTE_NOBODY:
    icmp_no_route(fly_to(x, n));
    break;
  default:
    send_to_many(x);
  }
}


/* If not, when there will be some. */
static bool has_room(message_socket *m, const route *r) {
  node *n = message_node(m);
  sim *s = n->sim;
  size_t room = (size_t)message_option(m, SOL_SOCKET, SO_SNDBUF, BUFFER);
  if (r->kind != ROUTE_NODE || link_room(s, n, r->node, room) <= s->now)
    return true;
  m->room_at = link_room(s, n, r->node, room / 2);
  return false;
}


static int check_destination(message_socket *m, const outgoing *o,
                             const address *to) {
  const datagram *d = message_datagram(m);
  if (to->length == 0)
    return -EDESTADDRREQ;
  if (d->type != SOCK_DGRAM)
    return 0;
  if (d->protocol == IPPROTO_UDP)
    return address_is_ip(to) && address_port(to) == 0 ? -EINVAL : 0;
  return icmp_check(m, o);
}


int message_send_ip(message_socket *m, const outgoing *o) {
  sending x = {.socket = m, .o = o, .to = o->to != NULL ? o->to : &m->peer};
  if (message_node(m)->state == NODE_CRASHED)
    return 0;
  int status = check_destination(m, o, x.to);
  if (status == 0)
    status = message_find_route(m, x.to, o->interface, &x.route);
  if (status == 0)
    status = message_choose_port(m);
  if (status == 0)
    status = choose_source(m, o, &x.route, &x.source);
  if (status == 0)
    status = check_size(m, o, x.to, &x.route);
  if (status < 0)
    return status;
  if (!has_room(m, &x.route))
    return -EAGAIN;
  dispatch(&x);
  return 0;
}


/*
** Arriving
*/

/* How well a socket fits, as the kernel counts it; -1: not at all. */
int message_score(message_socket *m, const flight *f) {
  const datagram *d = message_datagram(m);
  int family = family_of(&f->target), sum = 1 + (d->family == family);
  bool six = d->family == AF_INET6 && family == AF_INET;
  if (d->protocol != f->protocol || (d->type == SOCK_RAW) != f->raw ||
      (d->family != family && !six) ||
      (!f->raw && message_port(m) != (unsigned)address_port(&f->target)))
    return -1;
  if (six && message_option(m, IPPROTO_IPV6, IPV6_V6ONLY, 0) != 0)
    return -1;
  if (!address_is_any(&m->local)) {
    if (!same_ip(&m->local, &f->target))
      return -1;
    sum += 4;
  } else if (six && family_of(&m->local) == AF_INET) {
    return -1;
  }
  if (m->peer.length > 0) {
    if (!same_ip(&m->peer, &f->source) ||
        (datagram_has_ports(d->type, d->protocol) &&
         address_port(&m->peer) != address_port(&f->source)))
      return -1;
    sum += 8;
  }
  return sum;
}


static message_socket *place_of(node *n, unsigned port) {
  return n->mails != NULL ? n->mails->places[port & (PLACES - 1)] : NULL;
}


/* Which of those that share a port: each sender has always the same one. */
static bool is_preferred(message_socket *m, const flight *f, unsigned rank) {
  uint64_t hash = datagram_hash(&f->source.u, f->source.length) ^
                  datagram_hash(&f->target.u, f->target.length);
  return message_option(m, SOL_SOCKET, SO_REUSEPORT, 0) != 0 &&
         (hash >> 32) % rank == 0;
}


message_socket *message_first_raw(node *n) {
  return place_of(n, 0);
}


message_socket *message_find(node *n, const flight *f) {
  message_socket *best = NULL;
  int most = -1;
  unsigned rank = 1;
  for (message_socket *m = place_of(n, (unsigned)address_port(&f->target));
       m != NULL; m = m->next) {
    int now = message_score(m, f);
    if (now < 0 || now < most)
      continue;
    rank = now == most ? rank + 1 : 1;
    if (now > most || is_preferred(m, f, rank))
      best = m;
    most = now;
  }
  return best;
}


static bool is_of_many(message_socket *m, const flight *f) {
  return message_score(m, f) >= 0 &&
         (!group_is(&f->target) || group_has(m, &f->target, &f->source));
}


/* In the clothes that a socket of the other family sees it in. */
address message_as_seen(const datagram *d, const address *a) {
  address six;
  if (d->family != AF_INET6 || family_of(a) != AF_INET)
    return *a;
  address_any(&six, AF_INET6, (int)address_port(a));
  memset(six.u.in6.sin6_addr.s6_addr + 10, 0xff, 2);
  memcpy(six.u.in6.sin6_addr.s6_addr + 12, &a->u.in4.sin_addr, 4);
  return six;
}


static void tell_destination(message_socket *m, const flight *f, extras *x) {
  node *n = message_node(m);
  x->has_to = true;
  x->to = f->target;
  address_set_port(&x->to, 0);
  x->to_us = !f->many;
  if (f->many && family_of(&f->target) == AF_INET)
    x->us = n->ip4.u.in4.sin_addr;
  x->interface = f->looped ? LOOPBACK_INTERFACE : netif_owns(n, &f->target);
  if (x->interface == 0)
    x->interface = FIRST_INTERFACE;
}


static bool tell_extras(message_socket *m, const flight *f, extras *x) {
  int family = family_of(&f->target);
  if (m->settings == NULL)
    return false;
  *x = (extras){.fds = NULL};
  if (message_ip_option(m, family, IP_PKTINFO, IPV6_RECVPKTINFO, 0) != 0)
    tell_destination(m, f, x);
  x->has_ttl =
      message_ip_option(m, family, IP_RECVTTL, IPV6_RECVHOPLIMIT, 0) != 0;
  x->ttl = (int)f->ttl;
  x->has_tos =
      message_ip_option(m, family, IP_RECVTOS, IPV6_RECVTCLASS, 0) != 0;
  x->tos = (int)f->tos;
  x->has_time = message_option(m, SOL_SOCKET, SO_TIMESTAMPNS, 0) != 0;
  x->time = node_wall(message_node(m));
  return x->has_to || x->has_ttl || x->has_tos || x->has_time;
}


void message_give(message_socket *m, const flight *f, const char *bytes,
                  size_t n) {
  extras x;
  address from = message_as_seen(message_datagram(m), &f->source);
  arrival a = {.bytes = (char *)(uintptr_t)bytes,
               .size = (uint32_t)n,
               .full = (uint32_t)n,
               .from = &from.u.any,
               .from_size = from.length,
               .extras = tell_extras(m, f, &x) ? &x : NULL};
  message_arrived(m, &a, NULL);
}


static void arrive_at_many(flight *f) {
  for (message_socket *m = place_of(f->to, (unsigned)address_port(&f->target));
       m != NULL; m = m->next)
    if (is_of_many(m, f))
      message_give(m, f, f->bytes, f->size);
}


static void arrive_at_port(flight *f) {
  message_socket *m = message_find(f->to, f);
  if (m != NULL)
    message_give(m, f, f->bytes, f->size);
  else
    icmp_refuse(f);
}


static void arrive(flight *f) {
  if (f->to->state == NODE_CRASHED || f->to->state == NODE_OFF)
    return;
  if (f->raw || f->protocol == IPPROTO_ICMP || f->protocol == IPPROTO_ICMPV6)
    icmp_arrived(f);
  else if (f->many)
    arrive_at_many(f);
  else
    arrive_at_port(f);
}
