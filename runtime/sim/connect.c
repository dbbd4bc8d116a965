/*
** Connecting: a SYN, what answers it, and how often it is tried.
**
** A unix socket is connected at once, or its peer's queue is full, or there is no peer.
*/

#include <errno.h>
#include <string.h>

#include "sim/end.h"
#include "sim/ports.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* Of a SYN: the pause behind the first, and how often it is sent again
 * (tcp_syn_retries). */
#define SYN_PAUSE SECOND
enum { SYN_TRIES = 6 };

/* What the neighbours of a network tell of an address that nobody has. */
#define NOBODY_PAUSE (3 * SECOND)

/* Between tries to get into the queue of a unix socket. */
#define QUEUE_PAUSE (2 * MILLISECOND)


/*
** Where to, and where from
*/

/* To every address is to this node's own. */
static void complete_target(address *a) {
  if (address_is_any(a))
    address_loopback(a, a->u.any.sa_family, (int)address_port(a));
}


/* Whose address it is, or NULL. */
static node *target(node *n, const address *to) {
  return ports_is_loopback(to) ? n : node_at(n->sim, to);
}


/* All nodes are in one network, 10.0.0.0/8 and fd00::/64, without a router. */
static bool is_reachable(const address *to) {
  if (to->u.any.sa_family == AF_INET)
    return ntohl(to->u.in4.sin_addr.s_addr) >> 24 == 10;
  static const unsigned char prefix[8] = {0xfd};
  return memcmp(&to->u.in6.sin6_addr, prefix, sizeof prefix) == 0;
}


/* An address of this node to send there from. */
static int choose_source(node *n, const address *to, address *from) {
  if (target(n, to) == n) {
    *from = *to;
    address_set_port(from, 0);
    return 0;
  }
  if (!is_reachable(to))
    return -ENETUNREACH;
  *from = to->u.any.sa_family == AF_INET ? n->ip4 : n->ip6;
  return 0;
}


static int take_local(end *e, const sockspec *spec, const address *to) {
  address local = spec->local;
  int port = local.length > 0 ? (int)address_port(&local) : 0;
  if (local.length > 0 && local.u.any.sa_family != spec->family)
    return -EAFNOSUPPORT;
  if (local.length > 0) {
    int status = ports_check_local(e->node, &local);
    if (status == 0 && port > 0)
      status = ports_bind(e->node, &local, &e->options);
    if (status < 0)
      return status;
  }
  if (local.length == 0 || address_is_any(&local)) {
    int status = choose_source(e->node, to, &local);
    if (status < 0)
      return status;
    address_set_port(&local, port);
  } else if (target(e->node, to) != e->node && !is_reachable(to)) {
    return -ENETUNREACH;
  }
  int status = 0;
  if (port == 0)
    status = ports_choose(e->node, &local, to);
  else if (ports_is_connected(e->node, &local, to))
    status = -EADDRNOTAVAIL;
  e->local = local; /* not before: it is among those that were looked at */
  return status;
}


/*
** A SYN
*/

static void send_syn(end *e) {
  flow *out = end_out(e);
  if (e->connection->nodes[1] == NULL) {
    flow_stall(out, NOBODY_PAUSE);
    return;
  }
  flow_signal(out, SEGMENT_SYN);
  flow_stall(out, SYN_PAUSE);
}


end *connect_answer(connection *c, bool *refused) {
  const end *from = c->ends[0];
  *refused = true;
  if (from == NULL)
    return NULL;
  listening *l = ports_find(c->nodes[1], &from->remote);
  if (l == NULL)
    return NULL;
  *refused = false;
  if (listening_is_full(l))
    return NULL;
  end *e = end_new(c, 1, c->nodes[1]);
  e->local = from->remote;
  e->remote = from->local;
  e->state = END_ANSWERING;
  e->listening = l;
  options_copy(&e->options, &l->options);
  c->flows[1].window = from->options.rcvbuf;
  c->flows[0].window = e->options.rcvbuf;
  l->half++;
  flow_signal(&c->flows[1], SEGMENT_SYN);
  return e;
}


/*
** Unix sockets
*/

/* -EAGAIN: its queue is full. */
static int join_queue(end *e) {
  connection *c = e->connection;
  const unix_name *name = ports_name_find(e->node, &e->remote);
  if (name == NULL)
    return e->remote.u.un.sun_path[0] != '\0' ? -ENOENT : -ECONNREFUSED;
  if (name->owner == NULL)
    return -ECONNREFUSED;
  if (name->type != SOCK_STREAM)
    return -EPROTOTYPE;
  listening *l = name->owner;
  if (listening_is_full(l))
    return -EAGAIN;
  end *other = end_new(c, 1, e->node);
  other->local = e->remote;
  other->remote = e->local;
  other->state = END_OPEN;
  options_copy(&other->options, &l->options);
  e->state = END_OPEN;
  c->flows[0].window = c->flows[1].window = UINT64_MAX;
  l->half++;
  other->listening = l;
  listening_add(l, other);
  return 0;
}


static void join_again(end *e) {
  int status = join_queue(e);
  if (status == -EAGAIN) {
    end_out(e)->attempts = 0;
    flow_stall(end_out(e), QUEUE_PAUSE);
  } else if (status < 0) {
    end_fail(e, status);
  } else {
    e->connected = true;
    end_tell(e);
  }
}


void connect_again(end *e) {
  flow *out = end_out(e);
  if (e->connection->is_unix)
    join_again(e);
  else if (e->connection->nodes[1] == NULL)
    end_fail(e, -EHOSTUNREACH);
  else if (out->attempts > SYN_TRIES)
    end_fail(e, -ETIMEDOUT);
  else
    send_syn(e);
}


/*
** From net/
*/

static int check_spec(const sockspec *spec) {
  if (spec->family == AF_UNIX)
    return spec->type == SOCK_STREAM ? 0 : -ESOCKTNOSUPPORT;
  if (spec->family != AF_INET && spec->family != AF_INET6)
    return -EAFNOSUPPORT;
  return spec->protocol == 0 || spec->protocol == IPPROTO_TCP
             ? 0
             : -EPROTONOSUPPORT;
}


static end *begin(node *n, node *to, const sockspec *spec, int *status) {
  connection *c = connection_new(n->sim, n, to, spec->family == AF_UNIX);
  end *e = end_new(c, 0, n);
  options_open(&e->options, spec->family, SOCK_STREAM);
  *status = options_set_all(&e->options, spec);
  e->remote = spec->addr;
  return e;
}


static int dial_unix(end *e, const sockspec *spec, stream **out) {
  e->local =
      (address){.length = sizeof(sa_family_t), .u.any.sa_family = AF_UNIX};
  if (spec->local.length > 0)
    return -EOPNOTSUPP;
  int status = join_queue(e);
  if (status < 0 && status != -EAGAIN)
    return status;
  *out = end_plug(e, status < 0);
  if (status < 0)
    flow_stall(end_out(e), QUEUE_PAUSE);
  return 0;
}


static int dial_tcp(end *e, const sockspec *spec, stream **out) {
  int status = take_local(e, spec, &e->remote);
  if (status < 0)
    return status;
  *out = end_plug(e, true);
  send_syn(e);
  return 0;
}


int sim_connect(host *h, const sockspec *spec, stream **out) {
  node *n = node_of(h);
  sockspec completed = *spec;
  int status = check_spec(spec);
  if (status < 0)
    return status;
  if (spec->family != AF_UNIX)
    complete_target(&completed.addr);
  node *to = spec->family == AF_UNIX ? n : target(n, &completed.addr);
  end *e = begin(n, to, &completed, &status);
  if (status == 0)
    status = spec->family == AF_UNIX ? dial_unix(e, &completed, out)
                                     : dial_tcp(e, &completed, out);
  if (status < 0)
    end_free(e);
  return status;
}


static end *half_of_pair(connection *c, unsigned side, node *n) {
  end *e = end_new(c, side, n);
  options_open(&e->options, AF_UNIX, SOCK_STREAM);
  e->local = e->remote =
      (address){.length = sizeof(sa_family_t), .u.any.sa_family = AF_UNIX};
  e->state = END_OPEN;
  c->flows[side].window = UINT64_MAX;
  return e;
}


int sim_pair(host *h, int type, stream **a, stream **b) {
  node *n = node_of(h);
  if (type != SOCK_STREAM)
    return -ESOCKTNOSUPPORT;
  connection *c = connection_new(n->sim, n, n, true);
  *a = end_plug(half_of_pair(c, 0, n), false);
  *b = end_plug(half_of_pair(c, 1, n), false);
  return 0;
}
