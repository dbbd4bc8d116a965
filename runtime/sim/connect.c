/*
** Connecting: a SYN, what answers it, and how often it is tried.
**
** A unix socket is connected at once, or its peer's queue is full, or there is no peer.
*/

#include <errno.h>
#include <string.h>

#include "sim/end.h"
#include "sim/interfaces.h"
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
** Where from
*/

/* What the script has asked for is bound first, as bind(2) does. */
static int bind_local(end *e, const sockspec *spec) {
  address local = spec->local;
  if (local.u.any.sa_family != spec->family)
    return -EAFNOSUPPORT;
  int status = ports_check_local(e->node, &local);
  if (status == 0 && address_port(&local) > 0)
    status = ports_bind(e->node, &local, &e->options);
  return status;
}


/* Of groups there are no connections. */
static int check_route(const route *r) {
  return r->kind == ROUTE_LOCAL || r->kind == ROUTE_NODE ||
                 r->kind == ROUTE_NOBODY
             ? 0
             : -ENETUNREACH;
}


/* It has an address when all is well: those that have are looked at. */
static int take_local(end *e, const sockspec *spec, const route *r) {
  address local = spec->local;
  bool asked = local.length > 0 && !address_is_any(&local);
  int64_t port = local.length > 0 ? address_port(&local) : 0;
  if (!asked)
    local = r->source;
  if (local.length == 0)
    return -EADDRNOTAVAIL;
  address_set_port(&local, port);
  int status = 0;
  if (port == 0)
    status = ports_choose(e->node, &local, &e->remote);
  else if (ports_is_connected(e->node, &local, &e->remote))
    status = -EADDRNOTAVAIL;
  if (status == 0)
    e->local = local;
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


static int dial_tcp(end *e, const sockspec *spec, const route *r,
                    stream **out) {
  int status = spec->local.length > 0 ? bind_local(e, spec) : 0;
  if (status == 0)
    status = check_route(r);
  if (status == 0)
    status = take_local(e, spec, r);
  if (status < 0)
    return status;
  *out = end_plug(e, true);
  send_syn(e);
  return 0;
}


/* To every address is to the node's own. */
static void find_way(node *n, sockspec *spec, route *r) {
  if (spec->family == AF_UNIX) {
    *r = (route){.kind = ROUTE_LOCAL, .node = n};
    return;
  }
  if (address_is_any(&spec->addr))
    address_loopback(&spec->addr, spec->family, (int)address_port(&spec->addr));
  route_find(n, &spec->addr, 0, r);
}


int sim_connect(host *h, const sockspec *spec, stream **out) {
  node *n = node_of(h);
  sockspec completed = *spec;
  route r;
  int status = check_spec(spec);
  if (status < 0)
    return status;
  find_way(n, &completed, &r);
  end *e = begin(n, r.node, &completed, &status);
  if (status == 0)
    status = spec->family == AF_UNIX ? dial_unix(e, &completed, out)
                                     : dial_tcp(e, &completed, &r, out);
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
