/*
** Listeners: a descriptor of our own, and accept4 on it, one connection a
** call.  libuv's would spin inside the library on most errors.
**
** The queue is looked at when epoll says so, and not once more to see it empty:
** an event is good for one connection, or for twice as many as the one before
** it if that was in the last turn of the loop.
**
** A unix listener's file is removed when it closes, if it is still the file
** that was made here: a newer server may have put its own in its place.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uv/backend.h"
#include "uv/socket.h"

enum {
  SKIP_LIMIT = 64, /* aborted connections skipped in one call */
  TAKE_LIMIT = 64  /* taken for one event, before others have their turn */
};

typedef struct acceptor {
  watch watch; /* first: it is how ready finds the acceptor */
  later later;
  dev_t device; /* of the file, if owns_file */
  ino_t inode;
  uint32_t turn; /* of the loop, of the last event */
  uint8_t limit; /* connections that it was good for */
  uint8_t left;  /* of these */
  bool owns_file;
  bool lingers; /* as in a wire; accepted sockets inherit it */
} acceptor;


static acceptor *acceptor_of(listener *l) {
  return listener_part(l);
}


static listener *listener_of(acceptor *a) {
  return (listener *)(void *)a - 1;
}


/*
** The file of a unix listener
*/

static bool has_file(const address *a) {
  return a->u.any.sa_family == AF_UNIX &&
         a->length > offsetof(struct sockaddr_un, sun_path) &&
         a->u.un.sun_path[0] != '\0';
}


/* A socket refuses when nobody listens on it; other files do always. */
static bool is_dead(const sockspec *spec) {
  int fd = socket(AF_UNIX, spec->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  int result = connect(fd, &spec->addr.u.any, spec->addr.length);
  bool refused = result != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}


/* Remove the file, if it is a socket that nobody listens on, and the same
 * before and after that was tried. */
static bool remove_stale(const sockspec *spec) {
  const char *path = spec->addr.u.un.sun_path;
  struct stat before, after;
  return lstat(path, &before) == 0 && S_ISSOCK(before.st_mode) &&
         is_dead(spec) && lstat(path, &after) == 0 &&
         after.st_dev == before.st_dev && after.st_ino == before.st_ino &&
         unlink(path) == 0;
}


/* Between bind and listen: until then nobody can connect.  The file is held
 * by a descriptor, so that what is changed is what was looked at. */
static int claim_file(acceptor *a, const sockspec *spec) {
  char held[32];
  struct stat st = {0};
  int fd = open(spec->addr.u.un.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  int status = 0;
  if (fd < 0)
    return -errno;
  snprintf(held, sizeof held, "/proc/self/fd/%d", fd);
  a->owns_file = fstat(fd, &st) == 0;
  a->device = st.st_dev;
  a->inode = st.st_ino;
  if (spec->mode >= 0 && chmod(held, (mode_t)spec->mode) != 0)
    status = -errno;
  close(fd);
  return status;
}


static void remove_file(const acceptor *a, const address *addr) {
  const char *path = addr->u.un.sun_path;
  struct stat st;
  if (a->owns_file && lstat(path, &st) == 0 && st.st_dev == a->device &&
      st.st_ino == a->inode)
    unlink(path);
}


/*
** Listening
*/

static int try_bind(int fd, const address *a) {
  return bind(fd, &a->u.any, a->length) == 0 ? 0 : -errno;
}


static int bind_file(int fd, const sockspec *spec, acceptor *a) {
  int status = try_bind(fd, &spec->addr);
  if (status == -EADDRINUSE && spec->unlink_stale && remove_stale(spec))
    status = try_bind(fd, &spec->addr);
  return status < 0 ? status : claim_file(a, spec);
}


static int bind_and_listen(int fd, const sockspec *spec, acceptor *a) {
  int status = has_file(&spec->addr) ? bind_file(fd, spec, a)
                                     : try_bind(fd, &spec->addr);
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
  if (lp->quiet)
    watch_drop(lp, w);
  else
    listener_ready(l);
  loop_round(lp);
}


/* The body, for a descriptor that listens. */
static listener *make(host *h, int fd, const sockspec *spec,
                      const acceptor *a) {
  listener *l = listener_new(h, sizeof(acceptor), spec);
  *acceptor_of(l) = *a;
  acceptor_of(l)->watch = (watch){.fd = fd, .ready = on_ready};
  address_local(fd, &l->addr);
  return l;
}


int acceptor_listen(host *h, const sockspec *spec, listener **out) {
  acceptor a = {0};
  int fd = socket_open(spec, true, &a.lingers);
  if (fd < 0)
    return fd;
  int status = bind_and_listen(fd, spec, &a);
  if (status < 0) {
    remove_file(&a, &spec->addr);
    close(fd);
    return status;
  }
  *out = make(h, fd, spec, &a);
  return 0;
}


int acceptor_adopt(host *h, int fd, listener **out) {
  acceptor a = {.lingers = true}; /* perhaps */
  sockspec spec = {
      .family = option_int(fd, SOL_SOCKET, SO_DOMAIN),
      .type = SOCK_STREAM,
      .protocol = option_int(fd, SOL_SOCKET, SO_PROTOCOL),
      .mode = -1,
  };
  address_local(fd, &spec.addr);
  *out = make(h, fd, &spec, &a);
  return 0;
}


/*
** Accepting
*/

/* These are the new connection's, not the listener's: accept(2). */
static bool is_passing(int error) {
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
    if (!is_passing(errno))
      return -errno;
  }
  return -EAGAIN;
}


int acceptor_accept(listener *l, stream **out) {
  acceptor *a = acceptor_of(l);
  address peer;
  if (a->watch.events != 0 && a->left == 0)
    return -EAGAIN;
  int fd = take(a->watch.fd, &peer);
  if (fd < 0)
    return fd;
  if (a->left > 0)
    a->left--;
  int family = l->addr.u.any.sa_family;
  stream *s = wire_new(l->host, socket_transport(family), fd, false);
  wire_peer(wire_of(s), &peer.u.any, peer.length);
  wire_of(s)->lingers = a->lingers;
  *out = s;
  return 0;
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


/* The file first: while the socket lives no other file has its inode. */
void acceptor_close(listener *l) {
  acceptor *a = acceptor_of(l);
  acceptor_rest(l);
  remove_file(a, &l->addr);
  close(a->watch.fd);
  a->watch.fd = -1;
  loop_later(loop_of(l->host), &a->later, on_closed);
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
