/*
** Messages over a descriptor: one recvmmsg a readable event, one sendmmsg a
** batch.
**
** Interest is kept as wires keep theirs (socket_io.c): added at once, taken back
** when an event comes in vain.
**
** Where the kernel has no room for a message, it says when there is some; but
** not for a full queue of a unix socket that we are not connected to, nor for
** a full queue of a device, nor where epoll refuses.  Then a pause is made, and
** it is tried again.
*/

#include "uv/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "host/memory.h"
#include "net/round.h"
#include "uv/owned.h"
#include "uv/sockopt.h"

#define MILLISECOND UINT64_C(1000000)


int port_peer(int fd, address *a) {
  a->length = sizeof a->u;
  return getpeername(fd, &a->u.any, &a->length) == 0 ? 0 : -errno;
}


/*
** Readiness
*/

int port_settle(port *p) {
  loop *l = loop_of(port_datagram(p)->host);
  return watch_set(l, &p->watch, p->want);
}


int port_want(port *p, uint8_t event) {
  p->want |= event;
  return (p->watch.events & event) != 0 ? 0 : port_settle(p);
}


void port_ready(watch *w, uint32_t events) {
  port *p = (port *)w;
  datagram *d = port_datagram(p);
  loop *l = loop_of(d->host);
  if (d->host->quiet)
    p->want &= EPOLLOUT;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0)
    events |= EPOLLIN | EPOLLOUT;
  bool queued = p->queues_errors && (events & EPOLLERR) != 0;
  events &= p->want;
  if (events == 0) {
    port_settle(p);
    return;
  }
  if (queued)
    port_take_error(p);
  if ((events & EPOLLOUT) != 0) {
    p->want &= (uint8_t)~EPOLLOUT;
    datagram_writable(d);
  }
  if ((events & p->want & EPOLLIN) != 0)
    port_receive(p, l);
  else
    round_run(d->host);
}


static int recv_start(datagram *d) {
  return port_want(port_of(d), EPOLLIN);
}


static void recv_stop(datagram *d) {
  port_of(d)->want &= (uint8_t)~EPOLLIN;
}


/*
** Sending
*/

/* Where there are too few buffers, it is as if there were no room. */
static int give_messages(datagram *d, const outgoing *v, int n) {
  port *p = port_of(d);
  int status = gso_send(p->watch.fd, d->family, &p->gso, v, n);
  if (status < 0 && status != -EAGAIN && port_was_anothers(p, status))
    status = gso_send(p->watch.fd, d->family, &p->gso, v, n);
  if (status > 0 && !d->blocked) /* others may have room where one has none */
    p->pause = PAUSE_FIRST;
  if (status >= 0)
    return status;
  p->congested = status == -ENOBUFS || status == -ENOMEM;
  return p->congested ? -EAGAIN : status;
}


/*
** Pauses
*/

static void on_pause_over(loop_timer *timer) {
  port *p = (port *)((char *)timer - offsetof(port, timer));
  datagram_writable(port_datagram(p));
}


static void begin_pause(datagram *d) {
  port *p = port_of(d);
  if (loop_timer_runs(&p->timer))
    return;
  loop_timer_start(loop_of(d->host), &p->timer, p->pause * MILLISECOND,
                   on_pause_over);
  p->pause = p->pause < PAUSE_LAST / 2 ? (uint8_t)(p->pause * 2) : PAUSE_LAST;
}


static void want_send(datagram *d, const address *to) {
  port *p = port_of(d);
  if (p->congested || (d->family == AF_UNIX && to != NULL) ||
      port_want(p, EPOLLOUT) < 0)
    begin_pause(d);
}


/*
** Closing and asking
*/

static void on_closed(later *x) {
  port *p = (port *)((char *)x - offsetof(port, later));
  datagram_closed(port_datagram(p));
}


static void close_port(datagram *d) {
  port *p = datagram_part(d);
  loop *l = loop_of(d->host);
  loop_timer_stop(l, &p->timer);
  watch_forget(l, &p->watch);
  bound_path_leave(&p->path, &p->addr);
  owned_close(p->watch.fd, l->epoll);
  p->watch.fd = -1;
  p->want = 0;
  round_later(d->host, &p->later, on_closed);
}


/* Of a seqpacket the credentials stay on, for until_end. */
static int set_option(datagram *d, const sockopt *o) {
  port *p = port_of(d);
  bool lingers;
  int on;
  if (o->level == SOL_SOCKET && o->name == SO_PASSCRED) {
    memcpy(&on, o->value, sizeof on);
    p->tells_cred = on != 0;
    if (d->type == SOCK_SEQPACKET)
      return 0;
  }
  if (is_recverr(o)) {
    memcpy(&on, o->value, sizeof on);
    p->queues_errors = on != 0;
  }
  if (is_gro(o))
    p->joining = AS_ASKED;
  return option_set(p->watch.fd, o, &lingers);
}


static int get_option(datagram *d, sockopt *o) {
  return option_get(port_of(d)->watch.fd, o);
}


/* What raw sockets have for a port is their protocol. */
static int localaddr(datagram *d, address *a) {
  a->length = 0;
  if (d->family == AF_PACKET)
    return 0;
  int status = address_local(port_of(d)->watch.fd, a);
  if (status == 0 && d->type == SOCK_RAW)
    address_set_port(a, 0);
  return status;
}


static int remoteaddr(datagram *d, address *a) {
  int status = port_peer(port_of(d)->watch.fd, a);
  if (status == 0 && !datagram_has_ports(d->type, d->protocol))
    address_set_port(a, 0);
  return status;
}


static int shutdown_port(datagram *d) {
  return shutdown(port_of(d)->watch.fd, SHUT_WR) == 0 ? 0 : -errno;
}


static int fd_of(datagram *d) {
  return port_of(d)->watch.fd;
}


static void share(datagram *d) {
  port *p = port_of(d);
  if (p->joining == BY_ITSELF)
    port_join(p, false);
  p->joining = AS_ASKED;
}


const datagram_transport port_transport = {
    .outside = true,
    .size = sizeof(port),
    .recv_start = recv_start,
    .recv_stop = recv_stop,
    .send = give_messages,
    .want_send = want_send,
    .connect = port_set_peer,
    .join = port_change_group,
    .shutdown = shutdown_port,
    .close = close_port,
    .set = set_option,
    .get = get_option,
    .localaddr = localaddr,
    .remoteaddr = remoteaddr,
    .fd = fd_of,
    .share = share,
};
