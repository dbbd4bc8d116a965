/*
** Message sockets are made: bound, connected or paired; and who may bind where.
*/

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "sim/message.h"


datagram *message_new(host *h, int family, int type, int protocol) {
  datagram *d = datagram_new(h, &message_transport, family, type, protocol);
  message_begin(message_of(d));
  return d;
}


/*
** The node's table
*/

unsigned message_port(const message_socket *m) {
  return address_is_ip(&m->local) ? (unsigned)address_port(&m->local) : 0;
}


void message_unlist(message_socket *m) {
  if (m->at == NULL)
    return;
  *m->at = m->next;
  if (m->next != NULL)
    m->next->at = m->at;
  m->at = NULL;
}


/* The last one comes first, as the kernel looks for them. */
void message_list(message_socket *m) {
  node *n = message_node(m);
  message_unlist(m);
  message_socket **at =
      &node_mails_of(n)->places[message_port(m) & (PLACES - 1)];
  m->next = *at;
  if (m->next != NULL)
    m->next->at = &m->next;
  m->at = at;
  *at = m;
}


/*
** Ports
*/

static bool is_set(message_socket *m, int name) {
  return message_option(m, SOL_SOCKET, name, 0) != 0;
}


/* Addresses without a port: a socket of IPv6 at :: has IPv4's, too. */
static bool overlaps(message_socket *m, message_socket *x, const address *a) {
  bool any_m = address_is_any(a), any_x = address_is_any(&x->local);
  address one = *a, other = x->local;
  address_set_port(&one, 0);
  address_set_port(&other, 0);
  if (a->u.any.sa_family == x->local.u.any.sa_family)
    return any_m || any_x || address_equal(&one, &other);
  message_socket *six = a->u.any.sa_family == AF_INET6 ? m : x;
  return (six == m ? any_m : any_x) &&
         message_option(six, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 0;
}


static bool may_share(message_socket *m, message_socket *x) {
  return (is_set(m, SO_REUSEADDR) && is_set(x, SO_REUSEADDR)) ||
         (is_set(m, SO_REUSEPORT) && is_set(x, SO_REUSEPORT));
}


static bool is_free(message_socket *m, const address *a) {
  const datagram *d = message_datagram(m);
  unsigned port = (unsigned)address_port(a);
  message_socket *x =
      node_mails_of(message_node(m))->places[port & (PLACES - 1)];
  for (; x != NULL; x = x->next) {
    const datagram *other = message_datagram(x);
    if (x != m && other->type == d->type && other->protocol == d->protocol &&
        message_port(x) == port && overlaps(m, x, a) && !may_share(m, x))
      return false;
  }
  return true;
}


static bool take_some_port(message_socket *m, address *a) {
  node *n = message_node(m);
  unsigned first = (unsigned)chance_below(&n->chance, PORT_COUNT);
  for (unsigned i = 0; i < PORT_COUNT; i++) {
    address_set_port(a, PORT_FIRST + (first + i) % PORT_COUNT);
    if (is_free(m, a))
      return true;
  }
  return false;
}


/* Raw sockets have none. */
static int settle_port(message_socket *m, address *a) {
  const datagram *d = message_datagram(m);
  if (d->type == SOCK_RAW)
    address_set_port(a, 0);
  else if (address_port(a) == 0 && !take_some_port(m, a))
    return -EADDRINUSE;
  else if (!is_free(m, a))
    return -EADDRINUSE;
  m->local = *a;
  message_list(m);
  return 0;
}


static bool may_be_local(message_socket *m, const address *a) {
  return address_is_any(a) || group_is(a) ||
         netif_owns(message_node(m), a) > 0 ||
         message_ip_option(m, a->u.any.sa_family, IP_FREEBIND, IPV6_FREEBIND,
                           0) != 0;
}


int message_bind_port(message_socket *m, const address *a) {
  address own = *a;
  if (own.u.any.sa_family != message_datagram(m)->family)
    return -EAFNOSUPPORT;
  if (!may_be_local(m, &own))
    return -EADDRNOTAVAIL;
  int status = settle_port(m, &own);
  if (status == 0)
    m->bound = own;
  return status;
}


int message_choose_port(message_socket *m) {
  address own;
  if (m->local.length > 0)
    return 0;
  address_any(&own, message_datagram(m)->family, 0);
  return settle_port(m, &own);
}


/*
** Peers
*/

/* Its own address becomes the one from which it reaches the peer. */
int message_connect_to(message_socket *m, const address *to) {
  const datagram *d = message_datagram(m);
  route r;
  if (d->family == AF_UNIX)
    return local_connect(m, to);
  int status = message_find_route(m, to, 0, &r);
  if (status < 0)
    return status;
  status = message_choose_port(m);
  if (status < 0)
    return status;
  if (address_is_any(&m->local)) {
    address own = r.source;
    address_set_port(&own, message_port(m));
    m->local = own;
  }
  m->peer = *to;
  if (address_is_any(&m->peer))
    address_loopback(&m->peer, to->u.any.sa_family, (int)address_port(to));
  if (!datagram_has_ports(d->type, d->protocol))
    address_set_port(&m->peer, 0);
  return 0;
}


/* The port stays. */
int message_disconnect(message_socket *m) {
  datagram *d = message_datagram(m);
  unsigned port = message_port(m);
  if (d->type == SOCK_RAW)
    return -EOPNOTSUPP;
  m->peer.length = 0;
  d->connected = false;
  if (d->family == AF_UNIX)
    return 0;
  if (m->bound.length > 0)
    m->local = m->bound;
  else
    address_any(&m->local, d->family, (int)port);
  return 0;
}


/*
** For the backend's table
*/

static int check_spec(const sockspec *spec) {
  if (spec->family == AF_PACKET || spec->filter_count > 0)
    return -ENOSYS;
  if (spec->family == AF_UNIX)
    return spec->type == SOCK_DGRAM || spec->type == SOCK_SEQPACKET
               ? 0
               : -ESOCKTNOSUPPORT;
  if (spec->family != AF_INET && spec->family != AF_INET6)
    return -EAFNOSUPPORT;
  if (spec->type == SOCK_RAW)
    return spec->protocol == IPPROTO_RAW ? -ENOSYS : 0;
  if (spec->type != SOCK_DGRAM ||
      (spec->protocol != IPPROTO_UDP &&
       spec->protocol !=
           (spec->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)))
    return -EPROTONOSUPPORT;
  return 0;
}


static int set_options(datagram *d, const sockspec *spec) {
  int status = 0;
  for (unsigned i = 0; i < spec->option_count && status == 0; i++)
    status = message_transport.set(d, &spec->options[i]);
  return status;
}


static int begin(host *h, const sockspec *spec, datagram **out) {
  int status = check_spec(spec);
  if (status < 0)
    return status;
  *out = message_new(h, spec->family, spec->type, spec->protocol);
  return set_options(*out, spec);
}


/* Nobody has seen it yet. */
static int give_up(datagram *d, int status) {
  if (d == NULL)
    return status;
  d->closed = true;
  message_transport.close(d);
  return status;
}


static int bind_local(datagram *d, const sockspec *spec, const address *a) {
  message_socket *m = message_of(d);
  return d->family == AF_UNIX ? local_bind(m, a, spec->unlink_stale)
                              : message_bind_port(m, a);
}


int message_bind(host *h, const sockspec *spec, datagram **out) {
  datagram *d = NULL;
  int status = begin(h, spec, &d);
  if (status == 0)
    status = bind_local(d, spec, &spec->addr);
  if (status < 0)
    return give_up(d, status);
  *out = d;
  return 0;
}


/* Who has one peer wants to hear what becomes of his messages. */
static void hear_errors(datagram *d, const sockspec *spec) {
  static const sockopt on[] = {
      {IPPROTO_IP, IP_RECVERR, sizeof(int), {1}},
      {IPPROTO_IPV6, IPV6_RECVERR, sizeof(int), {1}},
  };
  message_socket *m = message_of(d);
  for (unsigned i = 0; i < spec->option_count; i++)
    if ((spec->options[i].level == IPPROTO_IP &&
         spec->options[i].name == IP_RECVERR) ||
        (spec->options[i].level == IPPROTO_IPV6 &&
         spec->options[i].name == IPV6_RECVERR))
      return;
  message_keep_option(m, &on[0]);
  if (d->family == AF_INET6)
    message_keep_option(m, &on[1]);
}


static int connect_by_spec(datagram *d, const sockspec *spec) {
  int status = 0;
  address nameless = {.length = sizeof nameless.u.any.sa_family};
  nameless.u.any.sa_family = AF_UNIX;
  if (spec->local.length > 0)
    status = bind_local(d, spec, &spec->local);
  else if (d->family == AF_UNIX)
    status = bind_local(d, spec, &nameless);
  return status < 0 ? status : message_connect_to(message_of(d), &spec->addr);
}


int message_connect(host *h, const sockspec *spec, datagram **out) {
  datagram *d = NULL;
  int status = begin(h, spec, &d);
  if (status == 0)
    status = connect_by_spec(d, spec);
  if (status < 0)
    return give_up(d, status);
  if (d->type == SOCK_DGRAM && d->family != AF_UNIX)
    hear_errors(d, spec);
  *out = d;
  return 0;
}


int message_pair(host *h, int type, datagram **a, datagram **b) {
  *a = message_new(h, AF_UNIX, type, 0);
  *b = message_new(h, AF_UNIX, type, 0);
  local_join(message_of(*a), message_of(*b));
  return 0;
}
