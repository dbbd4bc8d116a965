/*
** Listening for seqpackets, which only sockets of the same node can reach: who connects
** has a connection at once, and its other end waits to be accepted.
*/

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/listener.h"
#include "net/round.h"
#include "sim/message.h"
#include "sim/ports.h"

/* A listener's own part. */
typedef struct gate {
  sim_event event; /* first: somebody waits to be accepted */
  later later;
  node *node;
  address addr;
  unsigned backlog, count;
  datagram **queue; /* the oldest first */
  bool watched;
} gate;

static const backend gate_backend;


static gate *gate_of(listener *l) {
  return listener_part(l);
}


static listener *listener_of(gate *g) {
  return (listener *)(void *)g - 1;
}


static void on_ready(sim_event *e) {
  gate *g = (gate *)(void *)e;
  listener *l = listener_of(g);
  if (!g->watched || g->count == 0 || l->host->quiet)
    return;
  listener_ready(l);
  node_delivered(g->node);
}


static void announce(gate *g) {
  if (g->watched && g->count > 0)
    sim_schedule(g->node->sim, &g->event, g->node->sim->now);
}


/* Whose event it is tells what has a name. */
static gate *find(node *n, const address *to) {
  const unix_name *name = ports_name_find(n, to);
  sim_event *owner = name != NULL ? name->owner : NULL;
  bool is =
      owner != NULL && name->type == SOCK_SEQPACKET && owner->fire == on_ready;
  return is ? (gate *)(void *)owner : NULL;
}


int message_knock(message_socket *m, const address *to) {
  gate *g = find(message_node(m), to);
  if (g == NULL)
    return -ECONNREFUSED;
  if (g->count > g->backlog)
    return -EAGAIN;
  datagram *d =
      message_new(message_datagram(m)->host, AF_UNIX, SOCK_SEQPACKET, 0);
  message_socket *x = message_of(d);
  x->local = g->addr;
  x->peer = m->local;
  m->peer = *to;
  local_join(m, x);
  x->accepted = false;
  g->queue[g->count++] = d;
  announce(g);
  return 0;
}


/*
** For its listener
*/

static int accept_socket(listener *l, stream **out, datagram **socket) {
  gate *g = gate_of(l);
  if (g->count == 0)
    return -EAGAIN;
  *out = NULL;
  *socket = g->queue[0];
  message_of(*socket)->accepted = true;
  g->count--;
  for (unsigned i = 0; i < g->count; i++)
    g->queue[i] = g->queue[i + 1];
  return 0;
}


static bool is_acceptable(listener *l) {
  return gate_of(l)->count > 0;
}


static int watch(listener *l) {
  gate_of(l)->watched = true;
  announce(gate_of(l));
  return 0;
}


static void rest(listener *l) {
  gate_of(l)->watched = false;
}


static void on_closed(later *x) {
  gate *g = (gate *)(void *)((char *)x - offsetof(gate, later));
  free(g->queue);
  listener_closed(listener_of(g));
}


static void close_listener(listener *l) {
  gate *g = gate_of(l);
  ports_name_drop(g->node, g);
  sim_cancel(g->node->sim, &g->event);
  for (unsigned i = 0; i < g->count; i++)
    datagram_close(g->queue[i]);
  g->count = 0;
  round_later(l->host, &g->later, on_closed);
}


static int set_listener(listener *l, const sockopt *o) {
  (void)l, (void)o;
  return -EOPNOTSUPP;
}


static int get_listener(listener *l, sockopt *o) {
  int is = o->level == SOL_SOCKET && o->name == SO_ACCEPTCONN;
  (void)l;
  o->length = sizeof is;
  memcpy(o->value, &is, sizeof is);
  return 0;
}


static int no_descriptor(listener *l) {
  (void)l;
  return -EBADF;
}


static const backend gate_backend = {
    .accept = accept_socket,
    .acceptable = is_acceptable,
    .watch = watch,
    .rest = rest,
    .close_listener = close_listener,
    .set_listener = set_listener,
    .get_listener = get_listener,
    .fd_of_listener = no_descriptor,
};


int message_listen(host *h, const sockspec *spec, listener **out) {
  enum { MOST = 4096 };
  listener *l = listener_new(h, sizeof(gate), spec);
  gate *g = gate_of(l);
  l->backend = &gate_backend;
  g->event.fire = on_ready;
  g->node = node_of(h);
  g->addr = spec->addr;
  g->backlog = (unsigned)(spec->backlog < MOST ? spec->backlog : MOST);
  int status =
      ports_name_add(g->node, &g->addr, SOCK_SEQPACKET, g, spec->unlink_stale);
  if (status < 0) {
    l->closed = true;
    round_later(h, &g->later, on_closed);
    return status;
  }
  g->queue = memory_new((g->backlog + 1) * sizeof(datagram *));
  l->addr = g->addr;
  *out = l;
  return 0;
}
