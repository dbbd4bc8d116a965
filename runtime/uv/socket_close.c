/*
** How a wire ends: half closed, as far as it has halves; and closed, so that the
** peer gets what it was sent, and the loop is not held up.
*/

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "uv/owned.h"
#include "uv/wire.h"

enum { DISCARD_LIMIT = 64 }; /* reads of 16 KiB that one close may take */


/* While it connects the kernel would give up. */
int wire_shutdown(stream *s) {
  wire *w = wire_of(s);
  if (w->deferred) {
    wire_dial(w);
    w->half_closed = true;
    return 0;
  }
  return shutdown(wire_fd(s), SHUT_WR) == 0 ? 0 : -errno;
}


/* A pipe has no halves: its reader sees the end when the descriptor lets go of
 * it.  The number stays taken, by a device that swallows everything. */
int wire_shutdown_pipe(stream *s) {
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
int wire_shutdown_tty(stream *s) {
  (void)s;
  return 0;
}


/* Not into the host's buffer: another stream's bytes may lie there. */
bool wire_discard(stream *s) {
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
bool wire_takes_back(stream *s) {
  struct linger linger = {.l_onoff = 0};
  socklen_t n = sizeof linger;
  if (wire_of(s)->adopted)
    return false;
  if (wire_of(s)->lingers)
    getsockopt(wire_fd(s), SOL_SOCKET, SO_LINGER, &linger, &n);
  return linger.l_onoff == 0 || linger.l_linger > 0;
}


int wire_unacknowledged(stream *s) {
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


/* One that connects with its first write has a peer from then on: others would
 * perhaps read first. */
int wire_detach(stream *s) {
  wire *w = stream_part(s);
  int fd = w->watch.fd;
  if (w->deferred)
    wire_dial(w);
  loop_timer_stop(loop_of(s->host), &w->pause);
  watch_drop(loop_of(s->host), &w->watch);
  owned_remove(fd);
  w->watch.fd = -1;
  w->want = 0;
  wire_forget_peer(w);
  stream_gone(s);
  return fd;
}


/* close(2) is not repeated on EINTR: the descriptor is gone then, too. */
void wire_close(stream *s, bool reset) {
  wire *w = stream_part(s);
  loop *l = loop_of(s->host);
  if (w->attempting)
    attempt_stop(w->u.attempt);
  loop_timer_stop(l, &w->pause);
  if (w->is_socket)
    watch_forget(l, &w->watch);
  else
    watch_drop(l, &w->watch);
  if (w->is_socket && (reset || w->lingers))
    set_linger(w, reset);
  owned_close(w->watch.fd, l->epoll);
  w->watch.fd = -1;
  w->want = 0;
  wire_forget_peer(w);
  stream_gone(s);
}
