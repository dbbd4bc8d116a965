/*
** The life of a message socket: opened by a backend, fed by its transport,
** closed by the script, freed when the transport is done with it.
**
** The functions that a transport calls note and wake; no Lua runs in them.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/send_batch.h"
#include "net/state.h"
#include "net/trace.h"
#include "sched/world.h"

/* Bytes kept for a script that does not take them, before the kernel is left
 * to keep the rest; DATAGRAM_BATCH is the bound of their number. */
enum { KEPT_BYTES = 256 * 1024 };

/* A message copied out of the receive ring; its bytes, sender and descriptors are
 * right behind it. */
struct kept {
  kept *next;
  arrival m;
  extras x;
};


datagram *datagram_new(host *h, const datagram_transport *t, int family,
                       int type, int protocol) {
  datagram *d = memory_new(sizeof *d + t->size);
  d->host = h;
  d->transport = t;
  d->family = family;
  d->type = type;
  d->protocol = protocol;
  d->gathers = datagram_has_ports(type, protocol);
  d->apart = family == AF_UNIX && type == SOCK_DGRAM;
  LIST_ADD(net_of(h)->datagrams, d);
  d->serial = host_serial(h);
  h->datagrams++;
  return d;
}


const char *datagram_kind(const datagram *d) {
  if (d->family == AF_UNIX)
    return d->type == SOCK_SEQPACKET ? "seqpacket" : "unixgram";
  if (d->family == AF_PACKET)
    return "packet";
  if (d->type == SOCK_RAW)
    return "raw";
  return d->protocol == IPPROTO_ICMP || d->protocol == IPPROTO_ICMPV6 ? "icmp"
                                                                      : "udp";
}


void datagram_closed(datagram *d) {
  d->fresh_count = 0; /* they were somebody else's bytes, for a moment */
  datagram_empty(d);
  d->host->datagrams--;
  traffic_add(&net_of(d->host)->gone, d->transport->outside, d->received,
              d->sent);
  LIST_REMOVE(d);
  free((char *)d->where);
  free(d->failure);
  free(d->senders);
  free(d);
}


/*
** Messages that wait to be taken
*/

const arrival *datagram_first(const datagram *d) {
  if (d->first != NULL)
    return &d->first->m;
  return d->fresh_count > 0 ? d->fresh : NULL;
}


static void discard(const datagram *d, const arrival *m) {
  for (int i = 0; m->extras != NULL && i < m->extras->fd_count; i++)
    if (m->extras->fds[i] >= 0)
      d->host->world->net->discard(d->host, m->extras->fds[i]);
}


/* It is out of the list. */
static void forget(datagram *d, kept *k) {
  discard(d, &k->m);
  d->kept_count--;
  d->kept_bytes -= k->m.size;
  free(k);
}


void datagram_skip(datagram *d) {
  kept *k = d->first;
  if (k == NULL) {
    discard(d, d->fresh++);
    d->fresh_count--;
    return;
  }
  d->first = k->next;
  if (d->first == NULL)
    d->last = NULL;
  forget(d, k);
}


void datagram_empty(datagram *d) {
  while (datagram_first(d) != NULL)
    datagram_skip(d);
}


static void append(datagram *d, kept *k) {
  if (d->last != NULL)
    d->last->next = k;
  else
    d->first = k;
  d->last = k;
}


static void keep(datagram *d, const arrival *m) {
  size_t fds = m->extras != NULL ? (size_t)m->extras->fd_count : 0;
  size_t tail = fds * sizeof(int) + m->from_size + m->size;
  kept *k = malloc(sizeof *k + tail);
  if (k == NULL) {
    discard(d, m);
    datagram_error(d, -ENOMEM);
    return;
  }
  char *at = (char *)(k + 1);
  k->next = NULL;
  k->m = *m;
  if (m->extras != NULL) {
    k->x = *m->extras;
    k->m.extras = &k->x;
    k->x.fds = (int *)(void *)at;
    if (fds > 0)
      memcpy(at, m->extras->fds, fds * sizeof(int));
    at += fds * sizeof(int);
  }
  k->m.from = m->from != NULL ? (struct sockaddr *)(void *)at : NULL;
  if (m->from_size > 0)
    memcpy(at, m->from, m->from_size);
  k->m.bytes = at + m->from_size;
  memcpy(k->m.bytes, m->bytes, m->size);
  append(d, k);
  d->kept_count++;
  d->kept_bytes += m->size;
}


/*
** Strangers' messages
*/

static bool is_from(const datagram *d, const arrival *m, const address *peer) {
  address from = {.length = m->from_size};
  if (m->from_size != peer->length || m->from == NULL)
    return false;
  memcpy(&from.u, m->from, from.length);
  if (d->family == AF_UNIX)
    return memcmp(&from.u, &peer->u, from.length) == 0;
  if (datagram_has_ports(d->type, d->protocol) &&
      from.u.in4.sin_port != peer->u.in4.sin_port)
    return false;
  return d->family == AF_INET
             ? from.u.in4.sin_addr.s_addr == peer->u.in4.sin_addr.s_addr
             : memcmp(&from.u.in6.sin6_addr, &peer->u.in6.sin6_addr,
                      sizeof from.u.in6.sin6_addr) == 0;
}


unsigned datagram_sift(datagram *d, const address *peer, arrival *list,
                       unsigned n) {
  unsigned count = 0;
  for (unsigned i = 0; i < n; i++)
    if (is_from(d, &list[i], peer))
      list[count++] = list[i];
    else
      discard(d, &list[i]);
  return count;
}


void datagram_sift_kept(datagram *d, const address *peer) {
  for (; d->fresh_count > 0; d->fresh_count--)
    keep(d, d->fresh++);
  kept *k = d->first;
  d->first = d->last = NULL;
  while (k != NULL) {
    kept *next = k->next;
    k->next = NULL;
    if (is_from(d, &k->m, peer))
      append(d, k);
    else
      forget(d, k);
    k = next;
  }
}


void datagram_messages(datagram *d, const arrival *list, unsigned n) {
  d->messages_in += n;
  for (unsigned i = 0; i < n; i++)
    d->received += list[i].size;
  trace_arrivals(d, list, n);
  d->fresh = list;
  d->fresh_count = n;
  while (n > 0 && wait_wake(&d->readers, 0))
    n--;
}


/* A reader that was woken and then cancelled took nothing. */
bool datagram_keep(datagram *d) {
  if (d->closed)
    return false;
  if (d->fresh_count > 0 && wait_wake(&d->readers, 0))
    return true;
  for (; d->fresh_count > 0; d->fresh_count--)
    keep(d, d->fresh++);
  if (d->receiving &&
      (d->kept_count >= DATAGRAM_BATCH || d->kept_bytes >= KEPT_BYTES)) {
    d->transport->recv_stop(d);
    d->receiving = false;
  }
  return false;
}


static void tell_error(datagram *d, int status, const address *to) {
  trace_datagram_error(d, "recv", to, status);
  d->recv_error = status;
  wait_wake(&d->readers, 0);
}


void datagram_error(datagram *d, int status) {
  tell_error(d, status, NULL);
}


void datagram_failed(datagram *d, const failure *f) {
  if (d->failure == NULL)
    d->failure = memory_new(sizeof *d->failure);
  *d->failure = *f;
  tell_error(d, f->status, &f->to);
}


void datagram_forgive(datagram *d) {
  d->recv_error = 0;
  free(d->failure);
  d->failure = NULL;
}


void datagram_ended(datagram *d) {
  trace_datagram(d, TRACE_END);
  d->ended = true;
  d->transport->recv_stop(d);
  d->receiving = false;
  wait_wake_all(&d->readers, 0);
}


void datagram_room(datagram *d) {
  wait_wake_all(&d->writers, 0);
  if (d->both)
    wait_wake_all(&d->readers, 0);
  d->both = false;
}


void datagram_writable(datagram *d) {
  if (!d->closed && datagram_unblock(d))
    datagram_room(d);
}


int datagram_close(datagram *d) {
  datagram_flush(d);
  int status = d->send_error;
  if (datagram_drop(d) > 0 && status == 0)
    status = -ECANCELED;
  trace_datagram(d, TRACE_CLOSED);
  if (d->box != NULL)
    d->box->datagram = NULL;
  d->box = NULL;
  d->closed = true;
  wait_wake_all(&d->readers, -ECANCELED);
  wait_wake_all(&d->writers, -ECANCELED);
  if (!d->taking)
    datagram_empty(d);
  d->transport->close(d);
  return status;
}
