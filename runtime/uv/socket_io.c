/*
** Bytes over a descriptor: one read a readable event, one write a batch of
** bytes, and no other system call while a connection goes on.
**
** What the stream wants to know (wire.want) and what epoll was asked for
** (watch.events) may differ.  Interest is added at once, and taken back only
** when an event comes in vain: so stopping and starting to read, or waiting
** for room to write again and again, cost nothing.
**
** What a child may read, too (an inherited stdin), is not read ahead of who waits.
** Sockets are read and written by recv and send with MSG_DONTWAIT, so that one
** shared with other processes (an inherited stdin) stays as they set it.
*/

#include "uv/socket.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/inbox.h"
#include "net/layer.h"
#include "net/outbox.h"
#include "uv/owned.h"
#include "uv/quiet.h"
#include "uv/rights.h"
#include "uv/sockopt.h"
#include "uv/wire.h"

enum { SENDING = MSG_DONTWAIT | MSG_NOSIGNAL };


/*
** Wires
*/

const transport *socket_transport(int family, int protocol) {
  if (!is_ip_family(family))
    return family == AF_VSOCK ? &socket_vsock : &socket_unix;
  return protocol == IPPROTO_SCTP    ? &socket_sctp
         : protocol == IPPROTO_MPTCP ? &socket_mptcp
                                     : &socket_tcp;
}


static bool is_far(socklen_t n) {
  return n > sizeof((wire *)NULL)->u.peer;
}


void wire_forget_peer(wire *w) {
  if (is_far(w->peer_size))
    free(w->u.far_peer);
  w->peer_size = 0;
}


void wire_peer(wire *w, const struct sockaddr *a, socklen_t n) {
  if ((!is_ip_family(a->sa_family) && a->sa_family != AF_VSOCK) ||
      n > sizeof(struct sockaddr_in6))
    return;
  wire_forget_peer(w);
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
    return sctp_recv(fd, bytes, n);
  ssize_t got = w->shared ? read_shared(fd, bytes, n) : read(fd, bytes, n);
  return got < 0 && errno == EIO ? end_terminal(fd) : got;
}


static ssize_t read_once(const wire *w, char *bytes, size_t n) {
  if (w->is_socket && !w->notified)
    return recv(w->watch.fd, bytes, n, MSG_DONTWAIT);
  return read_other(w, bytes, n);
}


ssize_t wire_read(wire *w, char *bytes, size_t n) {
  ssize_t got;
  do
    got = read_once(w, bytes, n);
  while (got < 0 && errno == EINTR);
  return got < 0 ? sctp_told(w, -errno) : got;
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
 * for more than that lets it grow.  A few bytes are no room for some devices, which
 * then fail (inotify). */
static size_t room(const stream *s) {
  enum { LEAST = 1024 };
  size_t unread = inbox_size(&s->in);
  return unread < HIGH_WATER - LEAST ? ROUND_ROOM - unread
         : unread < HIGH_WATER       ? LEAST
                                     : ROUND_ROOM;
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
  if (w->borrowed)
    stream_quiet(s);
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

static void on_pause_over(loop_timer *timer) {
  wire *w = (wire *)((char *)timer - offsetof(wire, pause));
  if (w->watch.ready == wire_ready)
    stream_writable(wire_stream(w));
}


/* The kernel tells a reset only once: keep it for the reader (end_read). */
ssize_t wire_written(wire *w, ssize_t n) {
  if (n >= 0 || n == -EAGAIN)
    return n;
  if (w->is_socket && is_transient((int)-n)) {
    loop_timer_start(loop_of(wire_stream(w)->host), &w->pause, WIRE_PAUSE,
                     on_pause_over);
    return -EAGAIN;
  }
  if (w->is_socket && n != -EPIPE)
    w->failed = (int16_t)n;
  return n;
}


/* What a call gave that sets errno. */
static ssize_t written(wire *w, ssize_t n) {
  return wire_written(w, n < 0 ? -errno : n);
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


ssize_t wire_send(stream *s, const struct iovec *v, int n) {
  wire *w = wire_of(s);
  ssize_t sent;
  do
    sent = n == 1 ? send(w->watch.fd, v->iov_base, v->iov_len, SENDING)
                  : gather_out(w->watch.fd, v, n);
  while (sent < 0 && errno == EINTR);
  return written(w, sent);
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
  wire *w = wire_of(s);
  return loop_timer_runs(&w->pause) ? 0 : want(w, EPOLLOUT);
}


/*
** Descriptors
*/

/* Of what fails, only a reset is the stream's own failure, and the reader's too. */
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
  bool is_own = sent < 0 && (errno == ECONNRESET || is_transient(errno));
  return sent < 0 && !is_own ? -errno : written(w, sent);
}


static void collect(stream *s) {
  wire_of(s)->collects = true;
}


/*
** Asking
*/

bool wire_splices(stream *s) {
  return wire_of(s)->is_socket && !wire_of(s)->deferred &&
         s->transport->kind.protocol != IPPROTO_SCTP;
}


bool wire_is(const stream *s) {
  return s->transport->close == wire_close;
}


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
  return address_remote(w->watch.fd, a);
}


int wire_fd(stream *s) {
  return wire_of(s)->watch.fd;
}


int wire_resize(stream *s, unsigned rows, unsigned columns) {
  struct winsize size = {.ws_row = (unsigned short)rows,
                         .ws_col = (unsigned short)columns};
  return ioctl(wire_fd(s), TIOCSWINSZ, &size) < 0 ? -errno : 0;
}


#define WIRE(named, of, number, write, half_close, forget, passes, collects, \
             takes, lacks) \
  { \
    .kind = {named, of, number, true}, .size = sizeof(wire), \
    .start_read = start_read, .stop_read = stop_read, .try_write = write, \
    .want_write = want_write, .shutdown = half_close, .discard = forget, \
    .takes_back = takes, .unacknowledged = lacks, .pass = passes, \
    .collect = collects, .close = wire_close, .detach = wire_detach, \
    .set = wire_set, .get = wire_get, .localaddr = wire_localaddr, \
    .remoteaddr = wire_remoteaddr, .fd = wire_fd, .resize = wire_resize, \
  }

#define TCP(name, scheme, protocol) \
  WIRE(name, scheme, protocol, wire_send, wire_shutdown, wire_discard, NULL, \
       NULL, wire_takes_back, wire_unacknowledged)

const transport socket_tcp = TCP("tcp", NULL, IPPROTO_TCP);
const transport socket_mptcp = TCP("mptcp", "tcp", IPPROTO_MPTCP);
const transport socket_sctp =
    WIRE("sctp", NULL, IPPROTO_SCTP, sctp_send, sctp_shutdown, wire_discard,
         NULL, NULL, NULL, NULL);
const transport socket_unix =
    WIRE("unix", NULL, 0, wire_send, wire_shutdown, wire_discard, pass_some,
         collect, NULL, NULL);
const transport socket_vsock = WIRE("vsock", NULL, 0, wire_send, wire_shutdown,
                                    wire_discard, NULL, NULL, NULL, NULL);
const transport socket_pipe =
    WIRE("pipe", NULL, 0, write_some, wire_shutdown_pipe, NULL, NULL, NULL,
         NULL, NULL);
const transport socket_tty = WIRE("tty", NULL, 0, write_some, wire_shutdown_tty,
                                  NULL, NULL, NULL, NULL, NULL);
