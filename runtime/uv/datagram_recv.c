/*
** Receiving messages: one recvmmsg a readable event, and as much as it takes.
*/

#include <errno.h>
#include <sys/socket.h>

#include "net/round.h"
#include "uv/port.h"
#include "uv/recv_ring.h"

enum {
  SINGLE = 4,      /* batches that brought one, before only one is asked for */
  SINGLES = 8,     /* such calls, before more are asked for again */
  MANY = 16,       /* at once: then it is worth to let the kernel join them */
  JOINED_MOST = 16 /* to ask for, where each is several: others wait for them */
};


/* A seqpacket's end looks like an empty message, but that nobody sent it:
 * messages have their sender's credentials. */
static unsigned until_end(const datagram *d, const arrival *list, unsigned n,
                          bool *end) {
  unsigned i = 0;
  *end = false;
  if (d->type != SOCK_SEQPACKET)
    return n;
  while (i < n && !*end) {
    const extras *x = list[i].extras;
    *end = list[i].full == 0 && (x == NULL || !x->has_cred);
    i += !*end;
  }
  return i;
}


static void hide_credentials(const port *p, arrival *list, unsigned n) {
  for (unsigned i = 0; i < n && !p->tells_cred; i++) {
    extras *x = list[i].extras;
    if (x == NULL || !x->has_cred)
      continue;
    x->has_cred = false;
    if (x->fd_count == 0 && !x->has_time && !x->cut)
      list[i].extras = NULL;
  }
}


int port_join(port *p, bool on) {
  int result =
      setsockopt(p->watch.fd, IPPROTO_UDP, UDP_GRO, &(int){on}, sizeof(int));
  return result == 0 ? 0 : -errno;
}


/* How many to ask for when the last ones came one by one.  To ask for more than
 * there is costs a look in vain; but that there is more, only asking tells. */
static unsigned fewest(port *p, unsigned n) {
  if (n > 1) {
    p->singles = 0;
    return FEWEST;
  }
  p->singles = p->singles < SINGLE + SINGLES ? p->singles + 1 : SINGLE;
  return p->singles >= SINGLE && p->singles < SINGLE + SINGLES ? 1 : FEWEST;
}


/* After a batch of so many, of which each may have been several messages. */
static void expect(port *p, unsigned n, unsigned messages) {
  unsigned most =
      messages > 4 * n ? JOINED_MOST : recv_ring_room(port_datagram(p));
  unsigned least = fewest(p, n);
  unsigned next = n > 1 && 2 * n > least ? 2 * n : least;
  p->expected = (uint8_t)(next < most ? next : most);
  if (n >= MANY && p->joining == IF_MANY)
    p->joining = port_join(p, true) == 0 ? BY_ITSELF : AS_ASKED;
}


static unsigned without_strangers(port *p, arrival *list, unsigned n) {
  datagram *d = port_datagram(p);
  address peer;
  return port_peer(p->watch.fd, &peer) == 0 ? datagram_sift(d, &peer, list, n)
                                            : n;
}


static void deliver(port *p, arrival *list, unsigned n) {
  datagram *d = port_datagram(p);
  bool end;
  unsigned count = until_end(d, list, n, &end);
  if (p->strangers != NO_STRANGERS)
    count = without_strangers(p, list, count);
  hide_credentials(p, list, count);
  if (count > 0)
    datagram_messages(d, list, count);
  do
    round_run(d->host);
  while (datagram_keep(d));
  if (end && !d->closed) {
    datagram_ended(d);
    round_run(d->host);
  }
}


/* Fewer than were asked for: what lay there before is among them. */
static void end_strangers(port *p, int n, int asked) {
  if (p->strangers != NO_STRANGERS && n < asked)
    p->strangers = n > 0 ? LAST_STRANGERS : NO_STRANGERS;
}


/* A lack of memory stays: whoever asks again looks for himself. */
static void fail_read(datagram *d, int status) {
  if (status == -ENOMEM) {
    d->transport->recv_stop(d);
    d->receiving = false;
  }
  datagram_error(d, status);
}


void port_receive(port *p, loop *l) {
  datagram *d = port_datagram(p);
  arrival *list;
  unsigned count, total = 0;
  int n = recv_ring_receive(l, d, p->watch.fd, p->expected);
  end_strangers(p, n, p->expected);
  if (n <= 0) {
    if (n < 0 && n != -EAGAIN)
      fail_read(d, n);
    round_run(d->host);
    return;
  }
  while (!d->closed && (count = recv_ring_next(l, &list)) > 0) {
    total += count;
    deliver(p, list, count);
  }
  if (p->strangers == LAST_STRANGERS)
    p->strangers = NO_STRANGERS;
  if (!d->closed)
    expect(p, (unsigned)n, total);
}
