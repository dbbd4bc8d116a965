/*
** Descriptors that somebody else made: inherited ones, and those of stdin,
** stdout and stderr.
**
** To *take* one is to own it: it becomes non-blocking and close-on-exec.  To
** *borrow* one is to leave it as it is, for the C library's stdio uses it, and
** its open file description is perhaps the shell's too, which a change of
** O_NONBLOCK would confuse.  So a terminal or pipe is opened once more, and
** anything else is duplicated: a terminal's master, and many another device, would
** be a new one.
**
** What a socket of this process has already is refused: the two would close it
** under each other.
*/

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard/guard.h"
#include "uv/again.h"
#include "uv/backend.h"
#include "uv/file.h"
#include "uv/owned.h"
#include "uv/socket.h"
#include "uv/sockopt.h"

enum kind { KIND_SOCKET, KIND_PIPE, KIND_TTY, KIND_FILE };


/* Devices such as /dev/null are always ready, and epoll refuses them (EPERM), as it does
 * itself (EINVAL). */
static bool is_watchable(host *h, int fd) {
  int epoll = loop_of(h)->epoll;
  struct epoll_event none = {0};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &none) != 0)
    return errno != EPERM && errno != EINVAL;
  epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
  return true;
}


static int device_kind(host *h, int fd) {
  if (isatty(fd))
    return KIND_TTY;
  return is_watchable(h, fd) ? KIND_PIPE : KIND_FILE;
}


/* An enum kind, or a negative errno. */
static int kind_of(host *h, int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return -errno;
  switch (st.st_mode & S_IFMT) {
  case S_IFSOCK:
    return KIND_SOCKET;
  case S_IFIFO:
    return KIND_PIPE;
  case S_IFCHR:
    return device_kind(h, fd);
  case S_IFREG:
  case S_IFBLK:
    return KIND_FILE;
  case S_IFDIR:
    return -EISDIR;
  case 0: /* what the kernel has no name for, as of inotify(7) */
    return is_watchable(h, fd) ? KIND_PIPE : -ENOTSOCK;
  default:
    return -ENOTSOCK;
  }
}


/* One that was reset has no peer any more; but, unlike one that never had any, an
 * end. */
static bool has_ended(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLRDHUP};
  return poll(&p, 1, 0) > 0 && (p.revents & POLLRDHUP) != 0;
}


/* A listening socket has no peer; any other must have one, or have had one, and be
 * a stream's (datagram_open.c adopts the others). */
static int check_socket(int fd, address *peer, bool *listening) {
  int type = option_int(fd, SOL_SOCKET, SO_TYPE);
  *listening = option_int(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0;
  if (type != SOCK_STREAM && (type != SOCK_SEQPACKET || !*listening))
    return type < 0 ? type : -EPROTOTYPE;
  *peer = (address){.length = sizeof peer->u};
  if (*listening || getpeername(fd, &peer->u.any, &peer->length) == 0)
    return 0;
  int status = -errno;
  *peer = (address){.length = 0};
  return has_ended(fd) ? 0 : status;
}


static stream *socket_new(host *h, int fd, const address *peer) {
  int family = option_int(fd, SOL_SOCKET, SO_DOMAIN);
  int protocol = option_int(fd, SOL_SOCKET, SO_PROTOCOL);
  stream *s = wire_new(h, socket_transport(family, protocol), fd, false);
  wire_peer(wire_of(s), &peer->u.any, peer->length);
  wire_of(s)->lingers = true; /* perhaps */
  wire_of(s)->adopted = true;
  return s;
}


/* Between what is written to standard descriptors C's stdio writes. */
static stream *other_new(host *h, int kind, int fd, bool standard) {
  if (kind == KIND_FILE)
    return file_new(h, fd, !standard);
  return wire_new(h, kind == KIND_TTY ? &socket_tty : &socket_pipe, fd, false);
}


/*
** Taking
*/

static int make_ours(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return -errno;
  return 0;
}


static int take_socket(host *h, int fd, stream **s, listener **l) {
  address peer;
  bool listening = false;
  int status = check_socket(fd, &peer, &listening);
  if (status == 0 && (listening ? l == NULL : s == NULL))
    status = -EINVAL;
  if (status == 0)
    status = make_ours(fd);
  if (status < 0)
    return status;
  if (listening)
    return acceptor_adopt(h, fd, l);
  *s = socket_new(h, fd, &peer);
  return 0;
}


static int take_kind(host *h, int kind, int fd, stream **s, listener **l) {
  if (kind == KIND_SOCKET)
    return take_socket(h, fd, s, l);
  int status = s != NULL ? make_ours(fd) : -EINVAL;
  if (status == 0)
    *s = other_new(h, kind, fd, fd <= STDERR_FILENO);
  return status;
}


int adopt_take(host *h, int fd, stream **s, listener **l) {
  int kind = owned_has(fd) ? -EBUSY : kind_of(h, fd);
  if (kind < 0)
    return kind;
  if (!owned_add(fd))
    return -EBUSY;
  int status = take_kind(h, kind, fd, s, l);
  if (status < 0)
    owned_remove(fd);
  return status;
}


/*
** Rules
**
** A socket is as if it had been made here; a file as if it had been opened.  A pipe, or a
** pair of sockets, leads to whoever gave it.  What was given has come by exec, or was let
** go of by a Descriptor, and so is not close-on-exec as the runtime's own are: libuv
** believes what it reads from its pipes, and would call what a pointer in it names.
*/

static int permits_socket(int fd) {
  address a = {.length = sizeof a.u};
  bool listening = option_int(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0;
  int status =
      option_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_RAW ? guard_raw() : 0;
  if (status < 0)
    return status;
  if (!listening && getpeername(fd, &a.u.any, &a.length) == 0)
    return guard_address(GUARD_CONNECT, &a.u.any, a.length);
  status = address_local(fd, &a);
  guard_deed deed = listening ? GUARD_LISTEN : GUARD_BIND;
  return status < 0 ? status : guard_address(deed, &a.u.any, a.length);
}


static bool is_anonymous_pipe(int fd) {
  char link[32], name[8];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  return readlink(link, name, sizeof name) >= 5 &&
         memcmp(name, "pipe:", 5) == 0;
}


int adopt_permits(host *h, int fd) {
  struct stat st;
  int flags = fcntl(fd, F_GETFD);
  (void)h;
  if (flags < 0 || fstat(fd, &st) != 0)
    return -errno;
  if (S_ISSOCK(st.st_mode))
    return permits_socket(fd);
  if ((flags & FD_CLOEXEC) != 0)
    return -EBUSY;
  return is_anonymous_pipe(fd) ? 0 : guard_descriptor(fd);
}


/*
** Borrowing
*/

static int duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  return copy >= 0 ? copy : -errno;
}


static int borrow_socket(host *h, int fd, stream **s) {
  address peer;
  bool listening = false;
  int status = check_socket(fd, &peer, &listening);
  if (status < 0 || listening)
    return status < 0 ? status : -EPROTOTYPE;
  int copy = duplicate(fd);
  if (copy < 0)
    return copy;
  *s = socket_new(h, copy, &peer);
  wire_of(*s)->borrowed = true;
  return 0;
}


/* Another user's terminal, or a pipe whose other end is closed, can't be
 * opened again. */
static int borrow_other(host *h, int kind, int fd, bool reading, stream **s) {
  int copy = again_can(fd) ? again_open(fd, reading ? O_RDONLY : O_WRONLY) : -1;
  bool shared = copy < 0;
  if (shared)
    copy = duplicate(fd);
  if (copy < 0)
    return copy;
  *s = other_new(h, kind, copy, true);
  if (kind != KIND_FILE) {
    wire_of(*s)->shared = shared;
    wire_of(*s)->borrowed = true;
  }
  return 0;
}


int adopt_borrow(host *h, int fd, bool reading, stream **s) {
  int kind = kind_of(h, fd);
  *s = NULL;
  if (kind < 0)
    return kind;
  return kind == KIND_SOCKET ? borrow_socket(h, fd, s)
                             : borrow_other(h, kind, fd, reading, s);
}


/*
** Descriptors that were passed
*/

void adopt_disown(host *h, int fd) {
  (void)h;
  if (guard_stands())
    fcntl(fd, F_SETFD, 0); /* for adopt_permits */
  owned_remove(fd);
}


void adopt_discard(host *h, int fd) {
  owned_close(fd, loop_of(h)->epoll);
}
