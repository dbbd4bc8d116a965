/*
** Connecting.
**
** An ip or vsock socket becomes writable when the peer has answered.  A unix socket is
** connected at once, or its peer's queue is full: then there is nothing to
** wait for, and an *attempt* tries again and again, until the stream is closed
** or somebody has accepted.
*/

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "guard/guard.h"
#include "host/memory.h"
#include "net/round.h"
#include "uv/backend.h"
#include "uv/socket.h"
#include "uv/sockopt.h"
#include "uv/timer.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { PAUSE_FIRST = 1, PAUSE_LAST = 50 }; /* between attempts, ms */

#define MILLISECOND UINT64_C(1000000)

struct attempt {
  loop_timer timer; /* first: it is how its call finds the attempt */
  stream *stream;
  unsigned pause;
  address addr;
};


/* Interrupted, the kernel goes on to connect. */
static int try_once(int fd, const address *a) {
  int result;
  do
    result = connect(fd, &a->u.any, a->length);
  while (result < 0 && errno == EINTR);
  if (result == 0 || errno == EISCONN)
    return 0;
  return errno == EALREADY ? -EINPROGRESS : -errno;
}


/* What is connected to is what was looked at. */
static int try_connect(int fd, const address *a) {
  int held;
  if (!guard_stands() || a->u.any.sa_family != AF_UNIX)
    return try_once(fd, a);
  address pinned = *a;
  int status = guard_pin(&pinned.u.any, &pinned.length, &held);
  if (status == 0)
    status = try_once(fd, &pinned);
  if (held >= 0)
    close(held);
  return status;
}


/*
** Unix sockets: attempts
*/

void attempt_stop(struct attempt *a) {
  wire *w = stream_part(a->stream); /* it may be being closed */
  w->attempting = false;
  loop_timer_stop(loop_of(a->stream->host), &a->timer);
  free(a);
}


static void on_pause_over(loop_timer *timer);

static void attempt_later(struct attempt *a) {
  loop_timer_start(loop_of(a->stream->host), &a->timer, a->pause * MILLISECOND,
                   on_pause_over);
  a->pause = a->pause < PAUSE_LAST / 2 ? a->pause * 2 : PAUSE_LAST;
}


static void on_pause_over(loop_timer *timer) {
  struct attempt *a = (struct attempt *)timer;
  stream *s = a->stream;
  int status = try_connect(wire_fd(s), &a->addr);
  if (status == -EAGAIN) {
    attempt_later(a);
    return;
  }
  attempt_stop(a);
  stream_connected(s, status);
}


static void attempt_begin(stream *s, const address *addr) {
  wire *w = wire_of(s);
  struct attempt *a = memory_new(sizeof *a);
  a->stream = s;
  a->addr = *addr;
  a->pause = PAUSE_FIRST;
  w->u.attempt = a;
  w->attempting = true;
  attempt_later(a);
}


/*
** Ip and vsock sockets
*/

/* Two ends that send at once also connect, and one socket can be both: dialled
 * often enough, an unused local port answers by itself. */
static bool is_own(int fd, const struct sockaddr *peer, socklen_t n) {
  address local;
  return address_local(fd, &local) == 0 && local.length == n &&
         memcmp(&local.u, peer, n) == 0;
}


/* Who has a peer is connected; who has none is told why not. */
static int finish(wire *w) {
  address peer = {.length = sizeof peer.u};
  int fd = w->watch.fd;
  if (getpeername(fd, &peer.u.any, &peer.length) != 0) {
    int error = option_int(fd, SOL_SOCKET, SO_ERROR);
    return error > 0 ? -error : -ENOTCONN;
  }
  if (is_own(fd, &peer.u.any, peer.length))
    return -ECONNREFUSED;
  wire_peer(w, &peer.u.any, peer.length);
  return 0;
}


static void on_answer(watch *x, uint32_t events) {
  wire *w = (wire *)x;
  stream *s = wire_stream(w);
  loop *l = loop_of(s->host);
  int status = finish(w);
  (void)events;
  if (status < 0)
    watch_drop(l, x);
  x->ready = wire_ready;
  stream_connected(s, status);
  round_run(s->host);
}


/*
** TCP Fast Open: the kernel knows the peer, and what is written first goes out
** with the SYN.  Until then it calls the socket writable: so the loop, which asks
** when the tasks have run, sends the SYN alone where nobody wrote.
*/

static bool is_connected(const wire *w) {
  address peer = {.length = sizeof peer.u};
  return getpeername(w->watch.fd, &peer.u.any, &peer.length) == 0;
}


static void on_deferred(watch *x, uint32_t events) {
  wire *w = (wire *)x;
  if (!is_connected(w) && (events & (EPOLLERR | EPOLLHUP)) == 0) {
    wire_dial(w);
    return;
  }
  w->deferred = false;
  x->ready = wire_ready;
  if (w->half_closed)
    shutdown(x->fd, SHUT_WR);
  wire_ready(x, events);
}


static int defer(stream *s) {
  wire *w = wire_of(s);
  w->deferred = true;
  w->want = EPOLLOUT;
  w->watch.ready = on_deferred;
  int status = wire_settle(w);
  if (status < 0)
    stream_close(s, true);
  return status;
}


/* A port is taken by bind only where one is asked for: connect chooses among
 * those that are free for this peer, which are many more. */
static int bind_local(int fd, const address *a) {
  if (a->length == 0)
    return 0;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
  return bind(fd, &a->u.any, a->length) == 0 ? 0 : -errno;
}


static int await_answer(stream *s) {
  wire *w = wire_of(s);
  w->watch.ready = on_answer;
  int status = watch_set(loop_of(s->host), &w->watch, EPOLLOUT);
  if (status < 0)
    stream_close(s, true);
  return status;
}


/* Bind and connect: 0, or -EINPROGRESS, or -EAGAIN if attempts are to follow,
 * or a failure. */
static int dial(int fd, const sockspec *spec) {
  int status = bind_local(fd, &spec->local);
  return status < 0 ? status : try_connect(fd, &spec->addr);
}


/* Then connect(2) says that it is done before it has begun. */
static bool is_fast_open(const sockspec *spec) {
  for (unsigned i = 0; i < spec->option_count; i++)
    if (spec->options[i].level == IPPROTO_TCP &&
        spec->options[i].name == TCP_FASTOPEN_CONNECT)
      return true;
  return false;
}


static bool is_underway(const sockspec *spec, int status) {
  return status == -EINPROGRESS ||
         (status == -EAGAIN && spec->family == AF_UNIX);
}


int connect_begin(host *h, const sockspec *spec, stream **out) {
  bool lingers = false;
  int fd = socket_open(spec, false, &lingers);
  if (fd < 0)
    return fd;
  int status = dial(fd, spec);
  if (status < 0 && !is_underway(spec, status)) {
    close(fd);
    return status;
  }
  const transport *t = socket_transport(spec->family, spec->protocol);
  stream *s = wire_new(h, t, fd, status < 0);
  wire_of(s)->lingers = lingers;
  wire_peer(wire_of(s), &spec->addr.u.any, spec->addr.length);
  *out = s;
  if (status == -EINPROGRESS)
    return await_answer(s);
  if (status == -EAGAIN)
    attempt_begin(s, &spec->addr);
  else if (is_fast_open(spec))
    return defer(s);
  return 0;
}


int connect_pair(host *h, int type, stream **a, stream **b) {
  int fd[2];
  if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) != 0)
    return -errno;
  *a = wire_new(h, &socket_unix, fd[0], false);
  *b = wire_new(h, &socket_unix, fd[1], false);
  return 0;
}
