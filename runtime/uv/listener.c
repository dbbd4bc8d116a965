/*
** Listeners: a descriptor of our own, and accept4 on it, one connection a
** call.  libuv's would spin inside the library on most errors.
**
** The queue is looked at when epoll says so, and not once more to see it empty:
** an event is good for one connection, or for twice as many as the one before
** it if that was in the last turn of the loop.
*/

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/listener.h"
#include "net/round.h"
#include "uv/backend.h"
#include "uv/bound_path.h"
#include "uv/datagram.h"
#include "uv/holding.h"
#include "uv/owned.h"
#include "uv/socket.h"
#include "uv/sockopt.h"

enum {
  SKIP_LIMIT = 64, /* aborted connections skipped in one call */
  TAKE_LIMIT = 64  /* taken for one event, before others have their turn */
};

typedef struct acceptor {
  watch watch; /* first: it is how ready finds the acceptor */
  later later;
  bound_path path;
  holding *holding;
  uint32_t turn; /* of the loop, of the last event */
  uint8_t limit; /* connections that it was good for */
  uint8_t left;  /* of these */
  bool messages; /* seqpacket */
  bool mixed;    /* MPTCP: those of a peer without it come as TCP sockets */
  bool lingers;  /* as in a wire; accepted sockets inherit it */
} acceptor;


static acceptor *acceptor_of(listener *l) {
  assert(!l->closed);
  return listener_part(l);
}


static listener *listener_of(acceptor *a) {
  return (listener *)(void *)a - 1;
}


/*
** Listening
*/

static int bind_and_listen(int fd, const sockspec *spec, acceptor *a) {
  int status = bound_path_take(fd, spec, &a->path);
  if (status == 0 && listen(fd, spec->backlog) != 0)
    status = -errno;
  return status;
}


static uint8_t twice(uint8_t n) {
  return n == 0 ? 1 : n < TAKE_LIMIT ? (uint8_t)(n * 2) : TAKE_LIMIT;
}


static void allow(acceptor *a, uint32_t turn) {
  bool again = turn == a->turn + 1 && a->left == 0;
  a->limit = again ? twice(a->limit) : 1;
  a->left = a->limit;
  a->turn = turn;
}


static void on_ready(watch *w, uint32_t events) {
  acceptor *a = (acceptor *)w;
  listener *l = listener_of(a);
  loop *lp = loop_of(l->host);
  (void)events;
  allow(a, lp->turn);
  if (l->host->quiet)
    watch_drop(lp, w);
  else
    listener_ready(l);
  round_run(l->host);
}


/* The body, for a descriptor that listens.  What seqpackets need to tell an
 * empty message from the end (datagram_recv.c) the accepted inherit, so that it holds
 * for their first message. */
static listener *make(host *h, int fd, const sockspec *spec,
                      const acceptor *a) {
  listener *l = listener_new(h, sizeof(acceptor), spec);
  *acceptor_of(l) = *a;
  if (spec->type == SOCK_SEQPACKET) {
    acceptor_of(l)->messages = true;
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
  }
  acceptor_of(l)->mixed = spec->protocol == IPPROTO_MPTCP;
  acceptor_of(l)->watch = (watch){.fd = fd, .ready = on_ready};
  owned_add(fd);
  address_local(fd, &l->addr);
  return l;
}


/* As it was left by who listened before. */
static int take_over(int fd, const sockspec *spec, acceptor *a) {
  a->lingers = true; /* perhaps */
  for (unsigned i = 0; i < spec->option_count; i++)
    option_set(fd, &spec->options[i], &a->lingers);
  listen(fd, spec->backlog);
  return fd;
}


int acceptor_listen(host *h, const sockspec *spec, listener **out) {
  acceptor a = {0};
  int fd = holding_take(h, spec, &a.path);
  if (fd >= 0) {
    *out = make(h, take_over(fd, spec, &a), spec, &a);
    acceptor_of(*out)->holding = holding_add(h, fd, spec);
    return 0;
  }
  fd = socket_open(spec, true, &a.lingers);
  if (fd < 0)
    return fd;
  int status = bind_and_listen(fd, spec, &a);
  if (status < 0) {
    bound_path_leave(&a.path, &spec->addr);
    close(fd);
    return status;
  }
  *out = make(h, fd, spec, &a);
  acceptor_of(*out)->holding = holding_add(h, fd, spec);
  return 0;
}


int acceptor_adopt(host *h, int fd, listener **out) {
  acceptor a = {.lingers = true}; /* perhaps */
  sockspec spec = {
      .family = option_int(fd, SOL_SOCKET, SO_DOMAIN),
      .type = option_int(fd, SOL_SOCKET, SO_TYPE),
      .protocol = option_int(fd, SOL_SOCKET, SO_PROTOCOL),
      .mode = -1,
  };
  address_local(fd, &spec.addr);
  *out = make(h, fd, &spec, &a);
  acceptor_of(*out)->holding = holding_add(h, fd, NULL);
  return 0;
}


/*
** Accepting
*/

/* These are the new connection's, not the listener's: accept(2). */
static bool is_transient(int error) {
  static const int passing[] = {
      EINTR,     ECONNABORTED, EPROTO,       ENETDOWN,   ENOPROTOOPT,
      EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH,
  };
  for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
    if (passing[i] == error)
      return true;
  return false;
}


/* A descriptor and its peer, or a negative errno. */
static int take(int fd, address *peer) {
  for (int i = 0; i < SKIP_LIMIT; i++) {
    peer->length = sizeof peer->u;
    int taken =
        accept4(fd, &peer->u.any, &peer->length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (taken >= 0)
      return taken;
    if (!is_transient(errno))
      return -errno;
  }
  return -EAGAIN;
}


int acceptor_accept(listener *l, stream **out, datagram **message_socket) {
  acceptor *a = acceptor_of(l);
  address peer;
  holding_serves(a->holding);
  if (l->drains && holding_is_passed(a->holding))
    return -EAGAIN; /* its queue is another's now */
  if (a->watch.events != 0 && a->left == 0)
    return -EAGAIN;
  int fd = take(a->watch.fd, &peer);
  if (fd < 0)
    return fd;
  if (a->left > 0)
    a->left--;
  *out = NULL;
  *message_socket = NULL;
  if (a->messages) {
    *message_socket = port_accepted(l->host, fd);
    return 0;
  }
  int family = l->addr.u.any.sa_family;
  int protocol =
      a->mixed ? option_int(fd, SOL_SOCKET, SO_PROTOCOL) : l->protocol;
  stream *s = wire_new(l->host, socket_transport(family, protocol), fd, false);
  wire_peer(wire_of(s), &peer.u.any, peer.length);
  wire_of(s)->lingers = a->lingers;
  *out = s;
  return 0;
}


bool acceptor_acceptable(listener *l) {
  struct pollfd p = {.fd = acceptor_of(l)->watch.fd, .events = POLLIN};
  return poll(&p, 1, 0) > 0;
}


int acceptor_watch(listener *l) {
  return watch_set(loop_of(l->host), &acceptor_of(l)->watch, EPOLLIN);
}


void acceptor_rest(listener *l) {
  watch_drop(loop_of(l->host), &acceptor_of(l)->watch);
}


/*
** Closing and asking
*/

static void on_closed(later *x) {
  acceptor *a = (acceptor *)((char *)x - offsetof(acceptor, later));
  listener_closed(listener_of(a));
}


void acceptor_close(listener *l) {
  acceptor *a = listener_part(l);
  if (holding_drop(a->holding))
    watch_drop(loop_of(l->host), &a->watch);
  else
    bound_path_leave(&a->path, &l->addr);
  watch_forget(loop_of(l->host), &a->watch);
  owned_close(a->watch.fd, loop_of(l->host)->epoll);
  a->watch.fd = -1;
  round_later(l->host, &a->later, on_closed);
}


int acceptor_set(listener *l, const sockopt *o) {
  acceptor *a = acceptor_of(l);
  return option_set(a->watch.fd, o, &a->lingers);
}


int acceptor_get(listener *l, sockopt *o) {
  return option_get(acceptor_fd(l), o);
}


int acceptor_fd(listener *l) {
  return acceptor_of(l)->watch.fd;
}
