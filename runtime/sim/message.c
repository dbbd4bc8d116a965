#include "sim/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/round.h"

enum { OVERHEAD = 768, UNIT = 64 }; /* of the kernel's buffers */


static message_socket *socket_of(sim_event *e) {
  return (message_socket *)(void *)e;
}


/*
** What has arrived
*/

static size_t charge_of(size_t n) {
  return OVERHEAD + (n / UNIT + 1) * UNIT;
}


static bool append(message_socket *m, const arrival *a, message_socket *by) {
  letter *l = malloc(sizeof *l + a->size);
  if (l == NULL)
    return false;
  *l = (letter){.charge = charge_of(a->size), .sender = by, .m = *a};
  l->m.bytes = l->bytes;
  memcpy(l->bytes, a->bytes, a->size);
  if (a->from != NULL) {
    l->from.length = a->from_size;
    memcpy(&l->from.u, a->from, a->from_size);
    l->m.from = &l->from.u.any;
  }
  if (a->extras != NULL) {
    l->extras = *a->extras;
    l->m.extras = &l->extras;
  }
  *m->last = l;
  m->last = &l->next;
  m->held += l->charge;
  m->count++;
  return true;
}


static void hand_over(datagram *d, const arrival *list, unsigned n) {
  datagram_messages(d, list, n);
  while (datagram_keep(d))
    continue;
}


/* From inside of an event it need not wait for another one. */
bool message_arrived(message_socket *m, const arrival *a, message_socket *by) {
  bool in_event = by == NULL && !message_datagram(m)->host->quiet;
  if (in_event && m->wants && m->first == NULL && m->troubles == NULL) {
    hand_over(message_datagram(m), a, 1);
    node_delivered(message_node(m));
    return true;
  }
  if (by == NULL &&
      m->held > (size_t)message_option(m, SOL_SOCKET, SO_RCVBUF, BUFFER)) {
    m->drops++;
    return false;
  }
  if (!append(m, a, by))
    return false;
  if (m->wants)
    message_tell(m);
  return true;
}


/* It is out of the list. */
static void forget_letter(message_socket *m, letter *l) {
  m->held -= l->charge;
  m->count--;
  if (l->sender != NULL)
    local_taken(m, l->sender, l->charge);
  free(l);
}


static void take_off(message_socket *m) {
  letter *l = m->first;
  m->first = l->next;
  if (m->first == NULL)
    m->last = &m->first;
  forget_letter(m, l);
}


void message_failed(message_socket *m, const failure *f) {
  trouble **at = &m->troubles;
  while (*at != NULL)
    at = &(*at)->next;
  *at = memory_new(sizeof **at);
  (*at)->what = *f;
  message_tell(m);
}


void message_soft_error(message_socket *m, int status) {
  m->soft_error = status;
  message_tell(m);
}


static void forget_troubles(message_socket *m) {
  for (trouble *t; (t = m->troubles) != NULL;) {
    m->troubles = t->next;
    free(t);
  }
  m->soft_error = 0;
}


/*
** Telling, by an event
*/

void message_tell(message_socket *m) {
  sim *s = message_node(m)->sim;
  if (!m->gone && !sim_is_scheduled(&m->event))
    sim_schedule(s, &m->event, s->now);
}


static void tell_trouble(message_socket *m) {
  datagram *d = message_datagram(m);
  trouble *t = m->troubles;
  int status = m->soft_error;
  m->soft_error = 0;
  if (t != NULL) {
    m->troubles = t->next;
    datagram_failed(d, &t->what);
    free(t);
  } else if (status < 0) {
    datagram_error(d, status);
  }
}


static void hand_up(message_socket *m) {
  datagram *d = message_datagram(m);
  arrival list[DATAGRAM_BATCH];
  while (m->wants && m->first != NULL) {
    unsigned n = 0;
    for (letter *l = m->first; l != NULL && n < DATAGRAM_BATCH; l = l->next)
      list[n++] = l->m;
    hand_over(d, list, n);
    while (n-- > 0)
      take_off(m);
  }
}


static void tell(sim_event *e) {
  message_socket *m = socket_of(e);
  datagram *d = message_datagram(m);
  node *n = message_node(m);
  if (d->host->quiet)
    m->wants = false;
  if (m->wants)
    tell_trouble(m);
  hand_up(m);
  if (m->wants && m->ended && m->first == NULL && !m->end_told) {
    m->end_told = true;
    datagram_ended(d);
  }
  if (m->full) {
    m->full = false;
    datagram_writable(d);
  }
  if (m->wants && m->troubles != NULL)
    sim_schedule(n->sim, e, n->sim->now + 1);
  node_delivered(n);
}


static int recv_start(datagram *d) {
  message_socket *m = message_of(d);
  if (m->wants)
    return 0;
  m->wants = true;
  if (m->first != NULL || m->troubles != NULL || m->soft_error < 0 ||
      (m->ended && !m->end_told))
    message_tell(m);
  return 0;
}


static void recv_stop(datagram *d) {
  message_of(d)->wants = false;
}


/*
** Sending
*/

/* What was told of an earlier message, before anything else: with one peer, his. */
static int pending_error(message_socket *m) {
  bool own = message_datagram(m)->connected;
  int status = 0;
  if (m->troubles == NULL && m->soft_error == 0)
    return 0;
  if (own)
    status = message_take_error(m);
  if (own)
    forget_troubles(m);
  return status;
}


static int send_one(datagram *d, const outgoing *o) {
  message_socket *m = message_of(d);
  int status = pending_error(m);
  if (status < 0)
    return status;
  if (o->fd_count > 0)
    return d->family == AF_UNIX ? -ENOSYS : -EOPNOTSUPP;
  return d->family == AF_UNIX ? local_send(m, o) : message_send_ip(m, o);
}


static int send_messages(datagram *d, const outgoing *v, int n) {
  for (int i = 0; i < n; i++) {
    int status = send_one(d, &v[i]);
    if (status < 0)
      return i > 0 ? i : status;
  }
  return n;
}


/* Of unix whoever receives tells; of a link it is known when. */
static void want_send(datagram *d, const address *to) {
  message_socket *m = message_of(d);
  (void)to;
  m->full = true;
  if (d->family != AF_UNIX &&
      (!sim_is_scheduled(&m->event) || m->event.at > m->room_at))
    sim_schedule(message_node(m)->sim, &m->event, m->room_at);
}


/*
** Peers, names, the end
*/

/* What came before, and is not of the peer, is not for it. */
static void sift(message_socket *m) {
  const datagram *d = message_datagram(m);
  bool ports = datagram_has_ports(d->type, d->protocol);
  for (letter **at = &m->first; *at != NULL;) {
    letter *l = *at;
    address from = l->from;
    address_normalise(&from);
    if (!ports)
      address_set_port(&from, 0);
    if (address_equal(&from, &m->peer)) {
      at = &l->next;
      continue;
    }
    *at = l->next;
    if (l->next == NULL)
      m->last = at;
    forget_letter(m, l);
  }
}


static int set_peer(datagram *d, const address *to) {
  message_socket *m = message_of(d);
  int status = 0;
  if (to != NULL)
    status = message_connect_to(m, to);
  else if (d->connected)
    status = message_disconnect(m);
  if (status < 0)
    return status;
  forget_troubles(m);
  if (to == NULL || d->family == AF_UNIX)
    return 0;
  address seen = message_as_seen(d, &m->peer);
  datagram_sift_kept(d, &seen);
  sift(m);
  return 0;
}


static int shutdown_socket(datagram *d) {
  message_socket *m = message_of(d);
  if (d->family == AF_UNIX && d->type == SOCK_SEQPACKET)
    return local_shutdown(m);
  return m->peer.length > 0 ? 0 : -ENOTCONN;
}


static void on_closed(later *x) {
  message_socket *m =
      (message_socket *)(void *)((char *)x - offsetof(message_socket, later));
  datagram_closed(message_datagram(m));
}


static void free_lists(message_socket *m) {
  while (m->first != NULL)
    take_off(m);
  forget_troubles(m);
  for (membership *x; (x = m->memberships) != NULL;) {
    m->memberships = x->next;
    free(x);
  }
  for (setting *x; (x = m->settings) != NULL;) {
    m->settings = x->next;
    free(x);
  }
}


/* Nothing of it is in the network any more. */
static void vanish(message_socket *m) {
  node *n = message_node(m);
  m->wants = false;
  m->gone = true;
  if (message_datagram(m)->family == AF_UNIX)
    local_close(m);
  message_unlist(m);
  free_lists(m);
  sim_cancel(n->sim, &m->event);
}


static void close_socket(datagram *d) {
  message_socket *m = message_of(d);
  vanish(m);
  round_later(d->host, &m->later, on_closed);
}


/* What its host closes later, is not there already. */
void messages_vanish(node *n) {
  if (n->host.net == NULL)
    return;
  for (datagram *d = net_of(&n->host)->datagrams; d != NULL; d = d->next)
    if (d->transport == &message_transport)
      vanish(message_of(d));
}


static int localaddr(datagram *d, address *a) {
  *a = message_of(d)->local;
  if (d->family == AF_UNIX && a->length == 0) {
    a->u.any.sa_family = AF_UNIX;
    a->length = sizeof a->u.any.sa_family;
  }
  return 0;
}


static int remoteaddr(datagram *d, address *a) {
  const message_socket *m = message_of(d);
  *a = m->peer;
  if (m->paired && a->length == 0) {
    a->u.any.sa_family = AF_UNIX;
    a->length = sizeof a->u.any.sa_family;
  }
  return a->length > 0 ? 0 : -ENOTCONN;
}


static int no_descriptor(datagram *d) {
  (void)d;
  return -EBADF;
}


static void share(datagram *d) {
  (void)d;
}


void message_begin(message_socket *m) {
  m->last = &m->first;
  m->event.fire = tell;
}


const datagram_transport message_transport = {
    .outside = true,
    .size = sizeof(message_socket),
    .recv_start = recv_start,
    .recv_stop = recv_stop,
    .send = send_messages,
    .want_send = want_send,
    .connect = set_peer,
    .join = group_change,
    .shutdown = shutdown_socket,
    .close = close_socket,
    .set = message_set_option,
    .get = message_get_option,
    .localaddr = localaddr,
    .remoteaddr = remoteaddr,
    .fd = no_descriptor,
    .share = share,
};
