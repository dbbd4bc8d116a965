/*
** Bytes over a descriptor: one read a readable event, one write a batch of
** bytes, and no other system call while a connection goes on.
**
** What the stream wants to know (wire.want) and what epoll was asked for
** (watch.events) may differ.  Interest is added at once, and taken back only
** when an event comes in vain: so stopping and starting to read, or waiting
** for room to write again and again, cost nothing.
**
** Sockets are read and written by recv and send with MSG_DONTWAIT, so that one
** shared with other processes (an inherited stdin) stays as they set it.
*/

#include "uv/socket.h"
#include "uv/owned.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/mptcp.h>
#include <linux/sctp.h>
#include <linux/sockios.h>

#include "host/memory.h"
#include "net/inbox.h"
#include "net/layer.h"
#include "net/outbox.h"
#include "uv/process.h"
#include "uv/rights.h"

#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif
#ifndef TCP_IS_MPTCP
#define TCP_IS_MPTCP 43
#endif


enum {
  DISCARD_LIMIT = 64,   /* reads of 16 KiB that one close may take */
  MESSAGE = 15 * 1024,  /* the longest of SCTP that is sent: see send_long */
  SHORT_MESSAGE = 4096, /* fits the smallest buffer that can be set */
};

enum { SENDING = MSG_DONTWAIT | MSG_NOSIGNAL };


/*
** Options and addresses of a bare descriptor
*/

int option_set(int fd, const sockopt *o, bool *lingers) {
  if (setsockopt(fd, o->level, o->name, o->value, o->length) != 0)
    return -errno;
  if (o->level == SOL_SOCKET && o->name == SO_LINGER)
    *lingers = true;
  return 0;
}


/* Is MPTCP in use?  For kernels without TCP_IS_MPTCP: those that know of a
 * connection with MPTCP, and that it has not fallen back, have it. */
static int ask_multipath(int fd, sockopt *o) {
  struct mptcp_info info = {0};
  socklen_t n = sizeof info;
  int is = getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &n) == 0 &&
           (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) == 0;
  memcpy(o->value, &is, sizeof is);
  o->length = sizeof is;
  return 0;
}


int option_get(int fd, sockopt *o) {
  if (getsockopt(fd, o->level, o->name, o->value, &o->length) == 0)
    return 0;
  if (o->level == IPPROTO_TCP && o->name == TCP_IS_MPTCP)
    return ask_multipath(fd, o);
  return -errno;
}


int option_int(int fd, int level, int name) {
  int value = 0;
  socklen_t n = sizeof value;
  return getsockopt(fd, level, name, &value, &n) == 0 ? value : -errno;
}


static void switch_on(int fd, int level, int name) {
  setsockopt(fd, level, name, &(int){1}, sizeof(int));
}


/* The kernel tells the full length of a name that it had to cut. */
static int fit(address *a, int result) {
  if (result != 0)
    return -errno;
  if (a->length > sizeof a->u)
    a->length = sizeof a->u;
  return 0;
}


int address_local(int fd, address *a) {
  a->length = sizeof a->u;
  return fit(a, getsockname(fd, &a->u.any, &a->length));
}


static bool is_ip(int family) {
  return family == AF_INET || family == AF_INET6;
}


/* Small replies leave at once, and a server may start again while connections
 * of its last run linger.  Accepted sockets inherit both. */
static void set_defaults(int fd, const sockspec *spec, bool listening) {
  if (!is_ip(spec->family) || spec->type != SOCK_STREAM)
    return;
  if (spec->protocol == 0 || spec->protocol == IPPROTO_TCP ||
      spec->protocol == IPPROTO_MPTCP)
    switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
  if (spec->protocol == IPPROTO_SCTP)
    switch_on(fd, IPPROTO_SCTP, SCTP_NODELAY);
  if (listening)
    switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
}


int socket_open(const sockspec *spec, bool listening, bool *lingers) {
  int fd = socket(spec->family, spec->type | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  spec->protocol);
  if (fd < 0)
    return -errno;
  set_defaults(fd, spec, listening);
  for (unsigned i = 0; i < spec->option_count; i++) {
    int status = option_set(fd, &spec->options[i], lingers);
    if (status < 0) {
      close(fd);
      return status;
    }
  }
  return fd;
}


/*
** Wires
*/

const transport *socket_transport(int family, int protocol) {
  if (!is_ip(family))
    return family == AF_VSOCK ? &socket_vsock : &socket_unix;
  return protocol == IPPROTO_SCTP    ? &socket_sctp
         : protocol == IPPROTO_MPTCP ? &socket_mptcp
                                     : &socket_tcp;
}


static bool is_far(socklen_t n) {
  return n > sizeof((wire *)NULL)->u.peer;
}


static void forget_peer(wire *w) {
  if (is_far(w->peer_size))
    free(w->u.far_peer);
  w->peer_size = 0;
}


void wire_peer(wire *w, const struct sockaddr *a, socklen_t n) {
  if ((!is_ip(a->sa_family) && a->sa_family != AF_VSOCK) ||
      n > sizeof(struct sockaddr_in6))
    return;
  forget_peer(w);
  if (is_far(n))
    w->u.far_peer = memory_grow(NULL, n);
  memcpy(is_far(n) ? w->u.far_peer : w->u.peer, a, n);
  w->peer_size = (uint8_t)n;
}


/*
** Reading
*/

static bool is_ready(int fd, short event) {
  struct pollfd p = {.fd = fd, .events = event};
  return poll(&p, 1, 0) > 0;
}


/* Any message of the kernel's own is the end: see shutdown_sctp. */
static ssize_t recv_notified(int fd, char *bytes, size_t n) {
  struct iovec v = {bytes, n};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  ssize_t got = recvmsg(fd, &m, MSG_DONTWAIT);
  if (got < 0 || (m.msg_flags & MSG_NOTIFICATION) == 0)
    return got;
  errno = option_int(fd, SOL_SOCKET, SO_ERROR);
  return errno == 0 ? 0 : -1;
}


static ssize_t read_shared(int fd, char *bytes, size_t n) {
  if (is_ready(fd, POLLIN))
    return read(fd, bytes, n);
  errno = EAGAIN;
  return -1;
}


/* EIO is also the end of a terminal whose other side was closed. */
static ssize_t end_terminal(int fd) {
  if (is_ready(fd, POLLHUP))
    return 0;
  errno = EIO;
  return -1;
}


static ssize_t read_other(const wire *w, char *bytes, size_t n) {
  int fd = w->watch.fd;
  if (w->notified)
    return recv_notified(fd, bytes, n);
  ssize_t got = w->shared ? read_shared(fd, bytes, n) : read(fd, bytes, n);
  return got < 0 && errno == EIO ? end_terminal(fd) : got;
}


static ssize_t read_once(const wire *w, char *bytes, size_t n) {
  if (w->is_socket && !w->notified)
    return recv(w->watch.fd, bytes, n, MSG_DONTWAIT);
  return read_other(w, bytes, n);
}


static bool is_transient(int error) {
  return error == EAGAIN || error == ENOMEM || error == ENOBUFS;
}


/* An abort of SCTP is told once; then recv and poll(2) say nothing at all.  Once
 * it is shut the socket has an end to be read, as one of TCP has. */
static int told(wire *w, int status) {
  const stream *s = wire_stream(w);
  if (s->kind->protocol == IPPROTO_SCTP && !is_transient(-status))
    shutdown(w->watch.fd, SHUT_RDWR);
  return status;
}


ssize_t wire_read(wire *w, char *bytes, size_t n) {
  ssize_t got;
  do
    got = read_once(w, bytes, n);
  while (got < 0 && errno == EINTR);
  return got < 0 ? told(w, -errno) : got;
}


int wire_settle(wire *w) {
  return watch_set(loop_of(wire_stream(w)->host), &w->watch, w->want);
}


static int want(wire *w, uint8_t event) {
  w->want |= event;
  return (w->watch.events & event) != 0 ? 0 : wire_settle(w);
}


/* Where a reset already failed a write, the kernel calls it an end here. */
static void end_read(wire *w, int status) {
  stream *s = wire_stream(w);
  w->want &= (uint8_t)~EPOLLIN;
  if (status == 0)
    status = w->failed;
  if (status == 0)
    stream_eof(s);
  else
    stream_error(s, status);
}


/* What nobody has read is to stay within HIGH_WATER; only a reader that waits
 * for more than that lets it grow. */
static size_t room(const stream *s) {
  size_t unread = inbox_size(&s->in);
  return unread < HIGH_WATER ? ROUND_ROOM - unread : ROUND_ROOM;
}


/* As wire_read, and what came along is told. */
static ssize_t read_passed(wire *w, char *bytes, size_t n) {
  rights r;
  passed x;
  struct iovec v = {bytes, n};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  ssize_t got;
  rights_expect(&r, &m);
  do
    got = recvmsg(w->watch.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return -errno;
  x.count = rights_take(&m, x.fds);
  x.cut = (m.msg_flags & MSG_CTRUNC) != 0;
  for (int i = 0; i < x.count; i++)
    owned_add(x.fds[i]);
  stream_passed(wire_stream(w), &x, (size_t)got);
  return got;
}


/* One read.  What did not fit into the buffer makes the next event: other
 * streams have their turn in between. */
static void read_some(wire *w) {
  stream *s = wire_stream(w);
  char *bytes = round_room(s->host);
  ssize_t n = w->collects ? read_passed(w, bytes, room(s))
                          : wire_read(w, bytes, room(s));
  if (n > 0)
    round_hand(s, (size_t)n);
  else if (n != -EAGAIN)
    end_read(w, (int)n);
}


/* A hang-up or error counts as readable and as writable: the next read finds
 * the bytes that came before it, and the next write finds what happened. */
void wire_ready(watch *x, uint32_t events) {
  wire *w = (wire *)x;
  stream *s = wire_stream(w);
  if (s->host->quiet && layer_top(s)->state == OPEN)
    w->want &= EPOLLOUT;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0)
    events |= EPOLLIN | EPOLLOUT;
  events &= w->want;
  if (events == 0) {
    wire_settle(w);
    return;
  }
  if ((events & EPOLLOUT) != 0) {
    w->want &= (uint8_t)~EPOLLOUT;
    stream_writable(s);
  }
  if ((events & w->want & EPOLLIN) != 0)
    read_some(w);
}


/* Before the first step nothing is known of it but its address. */
void wire_expect(watch *x, int step) {
  const stream *s = wire_stream((wire *)x);
  if (step == 0)
    memory_expect(&s->host, sizeof *s - offsetof(stream, host) + sizeof *x);
  else if (x->ready == wire_ready)
    wait_expect(&s->readers, step - 1);
}


stream *wire_new(host *h, const transport *t, int fd, bool connecting) {
  stream *s = stream_new(h, t, connecting);
  wire *w = wire_of(s);
  w->watch.fd = fd;
  w->is_socket = t != &socket_pipe && t != &socket_tty;
  w->watch.ready = wire_ready;
  owned_add(fd);
  return s;
}


static int start_read(stream *s) {
  return want(wire_of(s), EPOLLIN);
}


static void stop_read(stream *s) {
  wire_of(s)->want &= (uint8_t)~EPOLLIN;
}


/*
** Writing
*/

/* The kernel tells a reset only once: keep it for the reader (end_read). */
static ssize_t written(wire *w, ssize_t n) {
  if (n >= 0)
    return n;
  if (w->is_socket && errno != EPIPE && !is_transient(errno))
    w->failed = (int16_t)-errno;
  return -errno;
}


void wire_dial(wire *w) {
  ssize_t n = send(w->watch.fd, "", 0, SENDING);
  if (n < 0 && errno != EINPROGRESS)
    written(w, n);
}


static int at_most(int n) {
  return n < IOV_MAX ? n : IOV_MAX;
}


static ssize_t gather_out(int fd, const struct iovec *v, int n) {
  struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v,
                     .msg_iovlen = (size_t)at_most(n)};
  return sendmsg(fd, &m, SENDING);
}


static ssize_t send_some(stream *s, const struct iovec *v, int n) {
  wire *w = wire_of(s);
  ssize_t sent;
  do
    sent = n == 1 ? send(w->watch.fd, v->iov_base, v->iov_len, SENDING)
                  : gather_out(w->watch.fd, v, n);
  while (sent < 0 && errno == EINTR);
  return written(w, sent);
}


/* SCTP takes a call's bytes as one message, whole or not at all, and none that
 * is longer than its buffer.  So long ones go in parts.  They are such that one
 * and its headers fit 16 KiB: of an allocation of twice that, the receiver's
 * kernel counts all, and drops what is within the window that it promised. */
static ssize_t send_long(stream *s, const struct iovec *v, size_t max) {
  ssize_t sum = 0;
  while ((size_t)sum < v->iov_len) {
    size_t left = v->iov_len - (size_t)sum;
    struct iovec part = {(char *)v->iov_base + sum, left < max ? left : max};
    ssize_t sent = send_some(s, &part, 1);
    if (sent < 0)
      return sum > 0 ? sum : sent;
    sum += sent;
  }
  return sum;
}


/* How many of the pieces fit in one message. */
static int fitting(const struct iovec *v, int n, size_t max) {
  size_t size = 0;
  int i = 0;
  while (i < n && size + v[i].iov_len <= max)
    size += v[i++].iov_len;
  return i;
}


static ssize_t send_pieces(stream *s, const struct iovec *v, int n,
                           size_t max) {
  ssize_t sum = 0;
  for (int i = 0; i < n;) {
    int count = fitting(v + i, n - i, max);
    ssize_t sent =
        count > 0 ? send_some(s, v + i, count) : send_long(s, v + i, max);
    if (sent < 0)
      return sum > 0 ? sum : sent;
    sum += sent;
    if (count == 0 && (size_t)sent < v[i].iov_len)
      break;
    i += count > 0 ? count : 1;
  }
  return sum;
}


static ssize_t send_messages(stream *s, const struct iovec *v, int n) {
  ssize_t sent = send_pieces(s, v, n, MESSAGE);
  if (sent == -EMSGSIZE) {
    wire_of(s)->failed = 0;
    sent = send_pieces(s, v, n, SHORT_MESSAGE);
  }
  if (sent == -ESHUTDOWN) { /* an end like any other */
    wire_of(s)->failed = 0;
    sent = -EPIPE;
  }
  return sent < 0 ? told(wire_of(s), (int)sent) : sent;
}


/* A pipe or terminal that reports room takes PIPE_BUF bytes without blocking. */
static ssize_t write_shared(int fd, const struct iovec *v) {
  if (!is_ready(fd, POLLOUT)) {
    errno = EAGAIN;
    return -1;
  }
  return write(fd, v->iov_base, v->iov_len < PIPE_BUF ? v->iov_len : PIPE_BUF);
}


static ssize_t write_some(stream *s, const struct iovec *v, int n) {
  wire *w = wire_of(s);
  int fd = w->watch.fd;
  ssize_t sent;
  signals_quiet(true);
  do
    sent = w->shared ? write_shared(fd, v) : writev(fd, v, at_most(n));
  while (sent < 0 && errno == EINTR);
  signals_quiet(false);
  return written(w, sent);
}


static int want_write(stream *s) {
  return want(wire_of(s), EPOLLOUT);
}


/*
** Descriptors
*/

/* Only a reset is the stream's own failure, and the reader's too. */
static ssize_t pass_some(stream *s, const struct iovec *v, const int *fds,
                         int n) {
  wire *w = wire_of(s);
  rights r;
  struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = 1};
  ssize_t sent;
  rights_put(&r, &m, fds, n);
  do
    sent = sendmsg(w->watch.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == ECONNRESET)
    w->failed = -ECONNRESET;
  return sent < 0 ? -errno : sent;
}


static void collect(stream *s) {
  wire_of(s)->collects = true;
}


/*
** Closing
*/

/* While it connects the kernel would give up. */
static int shutdown_socket(stream *s) {
  wire *w = wire_of(s);
  if (w->deferred) {
    wire_dial(w);
    w->half_closed = true;
    return 0;
  }
  return shutdown(wire_fd(s), SHUT_WR) == 0 ? 0 : -errno;
}


/* SCTP has no halves, either: the peer reads its end and can't write any more,
 * but what it had written until then comes.  That this is over, and no more can
 * come, the kernel tells only by a message that is to be asked for. */
static int shutdown_sctp(stream *s) {
  static const struct sctp_event_subscribe events = {
      .sctp_association_event = 1,
  };
  wire *w = wire_of(s);
  if (setsockopt(w->watch.fd, IPPROTO_SCTP, SCTP_EVENTS, &events,
                 sizeof events) == 0)
    w->notified = true;
  return shutdown_socket(s);
}


/* A pipe has no halves: its reader sees the end when the descriptor lets go of
 * it.  The number stays taken, by a device that swallows everything. */
static int shutdown_pipe(stream *s) {
  wire *w = wire_of(s);
  if ((fcntl(w->watch.fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
    return 0;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0)
    return -errno;
  watch_drop(loop_of(s->host), &w->watch);
  int result = dup3(null, w->watch.fd, O_CLOEXEC);
  close(null);
  return result < 0 ? -errno : 0;
}


/* A terminal has no end to be told of. */
static int shutdown_tty(stream *s) {
  (void)s;
  return 0;
}


/* Not into the host's buffer: another stream's bytes may lie there. */
static bool discard(stream *s) {
  char bytes[16 * 1024];
  ssize_t n = 0;
  bool any = false;
  for (int i = 0; i < DISCARD_LIMIT; i++) {
    n = wire_read(wire_of(s), bytes, sizeof bytes);
    if (n <= 0)
      break;
    any = true;
  }
  return any && (n > 0 || n == -EAGAIN);
}


/* The kernel resets a connection to which bytes come that nobody can read any
 * more, and forgets what it had not sent yet; the peer's may forget what it was
 * sent and has not read (RFC 9112, 9.6).  Where the script has asked for a reset
 * on close it gets that; and to half close what others may have would end it for
 * them. */
static bool takes_back(stream *s) {
  struct linger linger = {.l_onoff = 0};
  socklen_t n = sizeof linger;
  if (wire_of(s)->adopted)
    return false;
  if (wire_of(s)->lingers)
    getsockopt(wire_fd(s), SOL_SOCKET, SO_LINGER, &linger, &n);
  return linger.l_onoff == 0 || linger.l_linger > 0;
}


static int unacknowledged(stream *s) {
  int n = 0;
  return ioctl(wire_fd(s), SIOCOUTQ, &n) == 0 ? n : 0;
}


/* close(2) with a positive linger time would hold up the loop.  The kernel
 * sends what was accepted without it, too. */
static void set_linger(wire *w, bool reset) {
  struct linger linger = {.l_onoff = 1};
  socklen_t n = sizeof linger;
  int fd = w->watch.fd;
  if (!reset) {
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &n);
    if (linger.l_linger > 0)
      linger.l_onoff = 0;
  }
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}


/* close(2) is not repeated on EINTR: the descriptor is gone then, too. */
static void close_wire(stream *s, bool reset) {
  wire *w = stream_part(s);
  loop *l = loop_of(s->host);
  if (w->attempting)
    attempt_stop(w->u.attempt);
  if (w->is_socket)
    watch_forget(l, &w->watch);
  else
    watch_drop(l, &w->watch);
  if (w->is_socket && (reset || w->lingers))
    set_linger(w, reset);
  owned_close(w->watch.fd, l->epoll);
  w->watch.fd = -1;
  w->want = 0;
  forget_peer(w);
  stream_gone(s);
}


bool wire_splices(stream *s) {
  return wire_of(s)->is_socket && !wire_of(s)->deferred &&
         s->kind->protocol != IPPROTO_SCTP;
}


bool wire_is(const stream *s) {
  return s->transport->close == close_wire;
}


/*
** Asking
*/

int wire_set(stream *s, const sockopt *o) {
  wire *w = wire_of(s);
  return option_set(w->watch.fd, o, &w->lingers);
}


int wire_get(stream *s, sockopt *o) {
  return option_get(wire_fd(s), o);
}


int wire_localaddr(stream *s, address *a) {
  return address_local(wire_fd(s), a);
}


/* Once an ip peer is gone the kernel forgets its address. */
int wire_remoteaddr(stream *s, address *a) {
  wire *w = wire_of(s);
  if (w->peer_size > 0) {
    a->length = w->peer_size;
    memcpy(&a->u, is_far(w->peer_size) ? w->u.far_peer : w->u.peer,
           w->peer_size);
    return 0;
  }
  a->length = sizeof a->u;
  return fit(a, getpeername(w->watch.fd, &a->u.any, &a->length));
}


int wire_fd(stream *s) {
  return wire_of(s)->watch.fd;
}


#define WIRE(named, of, number, write, half_close, forget, passes, collects, \
             takes, lacks) \
  { \
    .kind = {named, of, number, true}, .size = sizeof(wire), \
    .start_read = start_read, .stop_read = stop_read, .try_write = write, \
    .want_write = want_write, .shutdown = half_close, .discard = forget, \
    .takes_back = takes, .unacknowledged = lacks, .pass = passes, \
    .collect = collects, .close = close_wire, .set = wire_set, \
    .get = wire_get, .localaddr = wire_localaddr, \
    .remoteaddr = wire_remoteaddr, .fd = wire_fd, \
  }

#define TCP(name, scheme, protocol) \
  WIRE(name, scheme, protocol, send_some, shutdown_socket, discard, NULL, \
       NULL, takes_back, unacknowledged)

const transport socket_tcp = TCP("tcp", NULL, IPPROTO_TCP);
const transport socket_mptcp = TCP("mptcp", "tcp", IPPROTO_MPTCP);
const transport socket_sctp =
    WIRE("sctp", NULL, IPPROTO_SCTP, send_messages, shutdown_sctp, discard,
         NULL, NULL, NULL, NULL);
const transport socket_unix = WIRE("unix", NULL, 0, send_some, shutdown_socket,
                                   discard, pass_some, collect, NULL, NULL);
const transport socket_vsock =
    WIRE("vsock", NULL, 0, send_some, shutdown_socket, discard, NULL, NULL,
         NULL, NULL);
const transport socket_pipe = WIRE("pipe", NULL, 0, write_some, shutdown_pipe,
                                   NULL, NULL, NULL, NULL, NULL);
const transport socket_tty = WIRE("tty", NULL, 0, write_some, shutdown_tty,
                                  NULL, NULL, NULL, NULL, NULL);
