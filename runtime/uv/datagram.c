/*
** Messages over a descriptor: one recvmmsg a readable event, one sendmmsg a
** batch.
**
** Interest is kept as wires keep theirs (socket.c): added at once, taken back
** when an event comes in vain.
**
** Where the kernel has no room for a message, it says when there is some; but
** not for a full queue of a unix socket that we are not connected to, nor for
** a full queue of a device, nor where epoll refuses.  Then a pause is made, and
** it is tried again.
*/

#include "uv/datagram.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/datagram.h"
#include "uv/arena.h"
#include "uv/owned.h"
#include "uv/parcel.h"
#include "uv/place.h"
#include "uv/socket.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { PAUSE_FIRST = 1, PAUSE_LAST = 50 }; /* ms */

enum {
  FEWEST = 4,      /* messages to ask for, mostly at least */
  SINGLE = 4,      /* batches that brought one, before only one is asked for */
  SINGLES = 8,     /* such calls, before more are asked for again */
  MANY = 16,       /* at once: then it is worth to let the kernel join them */
  JOINED_MOST = 16 /* to ask for, where each is several: others wait for them */
};

/* Does the kernel join messages (UDP_GRO)?  Whoever else receives by the same
 * descriptor, as a child does, could not tell them apart: so where nobody
 * asked for it it is not begun before there is a gain, and ended when the
 * descriptor's number is asked for. */
enum { AS_ASKED, IF_MANY, BY_ITSELF };

/* What came before the socket was connected may be anybody's.  The kernel leaves
 * it in its queue: so messages are sifted, until a call has brought all that was
 * there. */
enum { NO_STRANGERS, STRANGERS, LAST_STRANGERS };

typedef struct pause {
  uv_timer_t timer;
  datagram *datagram; /* NULL: given up */
} pause_timer;

typedef struct port {
  watch watch; /* first: it is how ready finds the port */
  later later;
  place place;
  address addr;         /* of a unix socket with a file */
  pause_timer *pausing; /* NULL: no */
  uint8_t want;         /* as a wire's */
  uint8_t expected;     /* messages in the next batch */
  uint8_t singles;      /* batches of late that brought one */
  uint8_t pause;        /* the next one, ms */
  uint8_t joining;
  uint8_t strangers;
  bool congested;     /* the last failure was of a lack of buffers */
  bool tells_cred;    /* the script asked for passcred */
  bool queues_errors; /* recverr is on */
  parcels parcels;
} port;


static port *port_of(datagram *d) {
  assert(!d->closed);
  return datagram_part(d);
}


static datagram *port_datagram(port *p) {
  return (datagram *)(void *)p - 1;
}


static int peer_of(int fd, address *a) {
  a->length = sizeof a->u;
  return getpeername(fd, &a->u.any, &a->length) == 0 ? 0 : -errno;
}


/*
** Receiving
*/

static int settle(port *p) {
  loop *l = loop_of(port_datagram(p)->host);
  return watch_set(l, &p->watch, p->want);
}


static int want(port *p, uint8_t event) {
  p->want |= event;
  return (p->watch.events & event) != 0 ? 0 : settle(p);
}


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


/* Let the kernel put messages of one sender together; the arena cuts them
 * apart again. */
static int join(port *p, bool on) {
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
  unsigned most = messages > 4 * n ? JOINED_MOST : arena_room(port_datagram(p));
  unsigned least = fewest(p, n);
  unsigned next = n > 1 && 2 * n > least ? 2 * n : least;
  p->expected = (uint8_t)(next < most ? next : most);
  if (n >= MANY && p->joining == IF_MANY)
    p->joining = join(p, true) == 0 ? BY_ITSELF : AS_ASKED;
}


static unsigned without_strangers(port *p, arrival *list, unsigned n) {
  datagram *d = port_datagram(p);
  address peer;
  return peer_of(p->watch.fd, &peer) == 0 ? datagram_sift(d, &peer, list, n)
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


static void receive(port *p, loop *l) {
  datagram *d = port_datagram(p);
  arrival *list;
  unsigned count, total = 0;
  int n = arena_receive(l, d, p->watch.fd, p->expected);
  end_strangers(p, n, p->expected);
  if (n <= 0) {
    if (n < 0 && n != -EAGAIN)
      fail_read(d, n);
    round_run(d->host);
    return;
  }
  while (!d->closed && (count = arena_next(l, &list)) > 0) {
    total += count;
    deliver(p, list, count);
  }
  if (p->strangers == LAST_STRANGERS)
    p->strangers = NO_STRANGERS;
  if (!d->closed)
    expect(p, (unsigned)n, total);
}


/*
** What ICMP tells, in the order of the socket's queue of errors
*/

static const struct sock_extended_err *find_error(struct msghdr *m) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
    if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
      return (const struct sock_extended_err *)(const void *)CMSG_DATA(c);
  return NULL;
}


static void copy_address(address *a, const void *from) {
  sa_family_t family = ((const struct sockaddr *)from)->sa_family;
  a->length = 0;
  if (family == AF_INET)
    a->length = sizeof a->u.in4;
  else if (family == AF_INET6)
    a->length = sizeof a->u.in6;
  memcpy(&a->u, from, a->length);
}


/* Take one off; false when there is none. */
static bool pop_error(port *p, failure *f) {
  _Alignas(struct cmsghdr) char control[512];
  struct sockaddr_storage to = {.ss_family = AF_UNSPEC};
  struct msghdr m = {.msg_name = &to,
                     .msg_namelen = sizeof to,
                     .msg_control = control,
                     .msg_controllen = sizeof control};
  memset(f, 0, sizeof *f);
  if (recvmsg(p->watch.fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
    return false;
  const struct sock_extended_err *e = find_error(&m);
  if (e == NULL)
    return false;
  f->status = -(int)e->ee_errno;
  f->icmp =
      e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6;
  f->type = e->ee_type;
  f->code = e->ee_code;
  f->mtu = e->ee_errno == EMSGSIZE ? e->ee_info : 0;
  copy_address(&f->to, &to);
  copy_address(&f->by, SO_EE_OFFENDER(e));
  return true;
}


static void take_error(port *p) {
  failure f;
  if (pop_error(p, &f))
    datagram_failed(port_datagram(p), &f);
}


/* An error counts as readable and writable: whoever comes first is told. */
static void on_ready(watch *w, uint32_t events) {
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
    settle(p);
    return;
  }
  if (queued)
    take_error(p);
  if ((events & EPOLLOUT) != 0) {
    p->want &= (uint8_t)~EPOLLOUT;
    datagram_writable(d);
  }
  if ((events & p->want & EPOLLIN) != 0)
    receive(p, l);
  else
    round_run(d->host);
}


static int recv_start(datagram *d) {
  return want(port_of(d), EPOLLIN);
}


static void recv_stop(datagram *d) {
  port_of(d)->want &= (uint8_t)~EPOLLIN;
}


/*
** Sending
*/

/* A call of the socket gets what ICMP told before, too: of which message, only
 * the queue of errors says.  True when it was another's, which the receiver is
 * told; the sender is told what is its own, and with a single peer all is.  The
 * queue is emptied, for each of its entries would fail one more call. */
static bool was_anothers(port *p, int status) {
  datagram *d = port_datagram(p);
  bool another = false;
  failure f;
  while (p->queues_errors && pop_error(p, &f)) {
    another = another || (f.icmp && !d->connected);
    if (f.status != status || (f.icmp && !d->connected))
      datagram_failed(d, &f);
  }
  return another;
}


/* Where there are too few buffers, it is as if there were no room. */
static int send_batch(datagram *d, const outgoing *v, int n) {
  port *p = port_of(d);
  int status = parcel_send(p->watch.fd, d->family, &p->parcels, v, n);
  if (status < 0 && status != -EAGAIN && was_anothers(p, status))
    status = parcel_send(p->watch.fd, d->family, &p->parcels, v, n);
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

static void on_pause_closed(uv_handle_t *timer) {
  free(timer->data);
}


static void end_pause(port *p) {
  pause_timer *x = p->pausing;
  loop *l = loop_of(port_datagram(p)->host);
  p->pausing = NULL;
  x->datagram = NULL;
  uv_close((uv_handle_t *)&x->timer, on_pause_closed);
  loop_touch(l);
}


static void on_pause_over(uv_timer_t *timer) {
  datagram *d = ((pause_timer *)timer->data)->datagram;
  end_pause(port_of(d));
  datagram_writable(d);
}


static void begin_pause(datagram *d) {
  port *p = port_of(d);
  loop *l = loop_of(d->host);
  if (p->pausing != NULL)
    return;
  pause_timer *x = memory_new(sizeof *x);
  x->datagram = d;
  x->timer.data = x;
  p->pausing = x;
  uv_timer_init(&l->uv, &x->timer);
  uv_update_time(&l->uv);
  uv_timer_start(&x->timer, on_pause_over, p->pause, 0);
  loop_touch(l);
  p->pause = p->pause < PAUSE_LAST / 2 ? (uint8_t)(p->pause * 2) : PAUSE_LAST;
}


static void want_send(datagram *d, const address *to) {
  port *p = port_of(d);
  if (p->congested || (d->family == AF_UNIX && to != NULL) ||
      want(p, EPOLLOUT) < 0)
    begin_pause(d);
}


/*
** Peers and groups
*/

static int connect_fd(int fd, const void *to, socklen_t size) {
  int result;
  do
    result = connect(fd, to, size);
  while (result < 0 && errno == EINTR);
  return result == 0 ? 0 : -errno;
}


/* Where there are no ports, the protocol's number: a peer without one the kernel
 * would not tell (getpeername). */
static int connect_to(int fd, int family, int type, int protocol,
                      const address *to) {
  struct sockaddr_in6 mapped;
  address name;
  const void *bytes = parcel_name(family, to, &mapped, &name.length);
  memcpy(&name.u, bytes, name.length);
  if (!datagram_has_ports(type, protocol))
    address_set_port(&name, protocol);
  return connect_fd(fd, &name.u, name.length);
}


/* What ICMP told of the messages to a former peer is no news of the next.  A
 * unix socket has no such queue, and would give a message. */
static void forget_errors(port *p) {
  failure f;
  while (port_datagram(p)->family != AF_UNIX && pop_error(p, &f))
    continue;
  option_int(p->watch.fd, SOL_SOCKET, SO_ERROR);
}


/* What was received before, and is still in the kernel or here. */
static void forget_strangers(port *p) {
  address peer;
  p->strangers = STRANGERS;
  if (peer_of(p->watch.fd, &peer) == 0)
    datagram_sift_kept(port_datagram(p), &peer);
}


static bool is_scoped(const address *a) {
  return a->u.any.sa_family == AF_INET6 && a->u.in6.sin6_scope_id != 0;
}


/* The port that the kernel chose is lost, and the interface that a script did:
 * a peer of the link's scope took its own. */
static int dissolve(port *p) {
  static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
  int fd = p->watch.fd;
  address before, after, peer = {0};
  char device[IFNAMSIZ] = "";
  socklen_t size = sizeof device;
  address_local(fd, &before);
  peer_of(fd, &peer);
  getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size);
  int status = connect_fd(fd, &nobody, sizeof nobody);
  if (status < 0 || before.u.any.sa_family == AF_UNIX)
    return status;
  port_datagram(p)->connected = false;
  p->strangers = NO_STRANGERS;
  if (device[0] != '\0' && !is_scoped(&peer))
    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, size);
  status = address_local(fd, &after);
  if (status < 0 || after.u.in4.sin_port == before.u.in4.sin_port)
    return status;
  address_set_port(&after, ntohs(before.u.in4.sin_port));
  if (after.u.any.sa_family == AF_INET6)
    after.u.in6.sin6_scope_id = before.u.in6.sin6_scope_id;
  return bind(fd, &after.u.any, after.length) == 0 ? 0 : -errno;
}


/* A raw socket that was connected would receive nothing any more. */
static int disconnect_port(datagram *d) {
  if (!d->connected)
    return 0;
  return d->type == SOCK_RAW ? -EOPNOTSUPP : dissolve(port_of(d));
}


static int connect_port(datagram *d, const address *to) {
  port *p = port_of(d);
  int status =
      to != NULL ? connect_to(p->watch.fd, d->family, d->type, d->protocol, to)
                 : disconnect_port(d);
  if (status == 0)
    forget_errors(p);
  if (status == 0 && to != NULL)
    forget_strangers(p);
  return status;
}


static int change_group(datagram *d, bool leave, const address *group,
                        const address *source, unsigned interface) {
  struct group_source_req r = {.gsr_interface = interface};
  struct group_req any = {.gr_interface = interface};
  int fd = port_of(d)->watch.fd;
  int level = group->u.any.sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  int result;
  if (source != NULL) {
    memcpy(&r.gsr_group, &group->u, group->length);
    memcpy(&r.gsr_source, &source->u, source->length);
    result = setsockopt(
        fd, level, leave ? MCAST_LEAVE_SOURCE_GROUP : MCAST_JOIN_SOURCE_GROUP,
        &r, sizeof r);
  } else {
    memcpy(&any.gr_group, &group->u, group->length);
    result = setsockopt(fd, level, leave ? MCAST_LEAVE_GROUP : MCAST_JOIN_GROUP,
                        &any, sizeof any);
  }
  return result == 0 ? 0 : -errno;
}


static int shutdown_port(datagram *d) {
  return shutdown(port_of(d)->watch.fd, SHUT_WR) == 0 ? 0 : -errno;
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
  if (p->pausing != NULL)
    end_pause(p);
  watch_forget(l, &p->watch);
  place_leave(&p->place, &p->addr);
  owned_close(p->watch.fd);
  p->watch.fd = -1;
  p->want = 0;
  round_later(d->host, &p->later, on_closed);
}


static bool is_recverr(const sockopt *o) {
  return (o->level == IPPROTO_IP && o->name == IP_RECVERR) ||
         (o->level == IPPROTO_IPV6 && o->name == IPV6_RECVERR);
}


static bool is_gro(const sockopt *o) {
  return o->level == IPPROTO_UDP && o->name == UDP_GRO;
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
  int status = peer_of(port_of(d)->watch.fd, a);
  if (status == 0 && !datagram_has_ports(d->type, d->protocol))
    address_set_port(a, 0);
  return status;
}


static int fd_of(datagram *d) {
  return port_of(d)->watch.fd;
}


static void share(datagram *d) {
  port *p = port_of(d);
  if (p->joining == BY_ITSELF)
    join(p, false);
  p->joining = AS_ASKED;
}


static const datagram_transport port_transport = {
    .outside = true,
    .size = sizeof(port),
    .recv_start = recv_start,
    .recv_stop = recv_stop,
    .send = send_batch,
    .want_send = want_send,
    .connect = connect_port,
    .join = change_group,
    .shutdown = shutdown_port,
    .close = close_port,
    .set = set_option,
    .get = get_option,
    .localaddr = localaddr,
    .remoteaddr = remoteaddr,
    .fd = fd_of,
    .share = share,
};


/*
** Opening
*/

static datagram *make(host *h, int fd, int family, int type, int protocol) {
  datagram *d = datagram_new(h, &port_transport, family, type, protocol);
  port *p = port_of(d);
  p->watch = (watch){.fd = fd, .ready = on_ready};
  owned_add(fd);
  p->expected = FEWEST;
  p->pause = PAUSE_FIRST;
  p->parcels = parcels_of(family, type, protocol);
  if (type == SOCK_SEQPACKET)
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
  if (family == AF_PACKET)
    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &(int){1}, sizeof(int));
  return d;
}


static datagram *make_by_spec(host *h, int fd, const sockspec *spec) {
  datagram *d = make(h, fd, spec->family, spec->type, spec->protocol);
  if (parcels_of(spec->family, spec->type, spec->protocol).largest > 0 &&
      spec->filter_count == 0)
    port_of(d)->joining = IF_MANY; /* a filter is to see each message */
  for (unsigned i = 0; i < spec->option_count; i++) {
    const sockopt *o = &spec->options[i];
    if (o->level == SOL_SOCKET && o->name == SO_PASSCRED)
      port_of(d)->tells_cred = true;
    if (is_recverr(o))
      port_of(d)->queues_errors = o->value[0] != 0;
    if (is_gro(o))
      port_of(d)->joining = AS_ASKED;
  }
  return d;
}


static int attach_filter(int fd, const sockspec *spec) {
  struct sock_filter *list;
  int result;
  if (spec->filter_count == 0)
    return 0;
  list = memory_new(spec->filter_count * sizeof *list);
  for (unsigned i = 0; i < spec->filter_count; i++) {
    const bpf_instruction *x = &spec->filter[i];
    list[i] = (struct sock_filter){x->code, x->jt, x->jf, x->k};
  }
  struct sock_fprog program = {(unsigned short)spec->filter_count, list};
  result =
      setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  int status = result == 0 ? 0 : -errno;
  free(list);
  return status;
}


/* A socket of protocol 0 receives nothing until it is bound to all. */
static int bind_packet(int fd, const sockspec *spec) {
  struct sockaddr_ll a = {.sll_family = AF_PACKET,
                          .sll_protocol = htons(ETH_P_ALL)};
  if (spec->interface[0] != '\0') {
    struct ifreq r = {.ifr_ifindex = 0};
    memcpy(r.ifr_name, spec->interface, sizeof r.ifr_name);
    if (ioctl(fd, SIOCGIFINDEX, &r) != 0)
      return -errno;
    a.sll_ifindex = r.ifr_ifindex;
  }
  return bind(fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : -errno;
}


static int bind_by_spec(int fd, const sockspec *spec, place *p) {
  int status = attach_filter(fd, spec);
  if (status < 0)
    return status;
  return spec->family == AF_PACKET ? bind_packet(fd, spec)
                                   : place_take(fd, spec, p);
}


int port_bind(host *h, const sockspec *spec, datagram **out) {
  bool lingers;
  place p = {0};
  int fd = socket_open(spec, false, &lingers);
  if (fd < 0)
    return fd;
  int status = bind_by_spec(fd, spec, &p);
  if (status < 0) {
    place_leave(&p, &spec->addr);
    close(fd);
    return status;
  }
  *out = make_by_spec(h, fd, spec);
  port_of(*out)->place = p;
  port_of(*out)->addr = spec->addr;
  return 0;
}


/* A unix socket gets a name, where none was given, so that it can be
 * answered. */
static int bind_local(int fd, const sockspec *spec, place *p) {
  sockspec local = *spec;
  local.addr = spec->local;
  if (local.addr.length == 0 && spec->family != AF_UNIX)
    return 0;
  if (local.addr.length == 0) {
    local.addr.u.any.sa_family = AF_UNIX;
    local.addr.length = sizeof local.addr.u.any.sa_family;
  }
  return place_take(fd, &local, p);
}


static int dial(int fd, const sockspec *spec, place *p) {
  int status = attach_filter(fd, spec);
  if (status == 0)
    status = bind_local(fd, spec, p);
  if (status < 0)
    return status;
  return connect_to(fd, spec->family, spec->type, spec->protocol, &spec->addr);
}


/* Who has one peer wants to hear what becomes of his messages. */
static void hear_errors(datagram *d, const sockspec *spec) {
  int fd = port_of(d)->watch.fd;
  if (d->type != SOCK_DGRAM || d->family == AF_UNIX)
    return;
  for (unsigned i = 0; i < spec->option_count; i++)
    if (is_recverr(&spec->options[i]))
      return;
  setsockopt(fd, IPPROTO_IP, IP_RECVERR, &(int){1}, sizeof(int));
  if (d->family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &(int){1}, sizeof(int));
  port_of(d)->queues_errors = true;
}


int port_connect(host *h, const sockspec *spec, datagram **out) {
  bool lingers;
  place p = {0};
  int fd = socket_open(spec, false, &lingers);
  if (fd < 0)
    return fd;
  int status = dial(fd, spec, &p);
  if (status < 0) {
    place_leave(&p, &spec->local);
    close(fd);
    return status;
  }
  *out = make_by_spec(h, fd, spec);
  port_of(*out)->place = p;
  port_of(*out)->addr = spec->local;
  if (spec->type != SOCK_SEQPACKET)
    port_of(*out)->strangers = STRANGERS;
  hear_errors(*out, spec);
  return 0;
}


datagram *port_accepted(host *h, int fd) {
  datagram *d = make(h, fd, AF_UNIX, SOCK_SEQPACKET, 0);
  d->connected = true;
  return d;
}


int port_pair(host *h, int type, datagram **a, datagram **b) {
  int fd[2];
  if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) != 0)
    return -errno;
  *a = make(h, fd[0], AF_UNIX, type, 0);
  *b = make(h, fd[1], AF_UNIX, type, 0);
  (*a)->connected = (*b)->connected = true;
  return 0;
}


/* A message socket, and none that listens. */
static int check_type(int fd) {
  int type = option_int(fd, SOL_SOCKET, SO_TYPE);
  if (type < 0)
    return type;
  if ((type != SOCK_DGRAM && type != SOCK_RAW && type != SOCK_SEQPACKET) ||
      option_int(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0)
    return -EPROTOTYPE;
  return type;
}


int port_adopt(host *h, int fd, datagram **out) {
  address peer = {.length = sizeof peer.u};
  int type = owned_has(fd) ? -EBUSY : check_type(fd);
  int flags = fcntl(fd, F_GETFL);
  if (type < 0)
    return type;
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return -errno;
  if (!owned_add(fd))
    return -EBUSY; /* another thread was faster */
  *out = make(h, fd, option_int(fd, SOL_SOCKET, SO_DOMAIN), type,
              option_int(fd, SOL_SOCKET, SO_PROTOCOL));
  (*out)->connected = getpeername(fd, &peer.u.any, &peer.length) == 0;
  return 0;
}
