/*
** What SCTP does otherwise than the other sockets that carry bytes: it keeps the
** messages apart in which they were sent, has no halves to close, and tells of an
** abort only once.
*/

#include <stdint.h>
#include <sys/socket.h>

#include <linux/sctp.h>

#include "uv/sockopt.h"
#include "uv/wire.h"

enum {
  MESSAGE = 15 * 1024,  /* the longest that is sent: see send_long */
  SHORT_MESSAGE = 4096, /* fits the smallest buffer that can be set */
};


/* Any message of the kernel's own is the end: see sctp_shutdown. */
ssize_t sctp_recv(int fd, char *bytes, size_t n) {
  struct iovec v = {bytes, n};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  ssize_t got = recvmsg(fd, &m, MSG_DONTWAIT);
  if (got < 0 || (m.msg_flags & MSG_NOTIFICATION) == 0)
    return got;
  errno = option_int(fd, SOL_SOCKET, SO_ERROR);
  return errno == 0 ? 0 : -1;
}


/* An abort of SCTP is told once; then recv and poll(2) say nothing at all.  Once
 * it is shut the socket has an end to be read, as one of TCP has. */
int sctp_told(wire *w, int status) {
  const stream *s = wire_stream(w);
  if (s->transport->kind.protocol == IPPROTO_SCTP && !is_transient(-status))
    shutdown(w->watch.fd, SHUT_RDWR);
  return status;
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
    ssize_t sent = wire_send(s, &part, 1);
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
        count > 0 ? wire_send(s, v + i, count) : send_long(s, v + i, max);
    if (sent < 0)
      return sum > 0 ? sum : sent;
    sum += sent;
    if (count == 0 && (size_t)sent < v[i].iov_len)
      break;
    i += count > 0 ? count : 1;
  }
  return sum;
}


ssize_t sctp_send(stream *s, const struct iovec *v, int n) {
  ssize_t sent = send_pieces(s, v, n, MESSAGE);
  if (sent == -EMSGSIZE) {
    wire_of(s)->failed = 0;
    sent = send_pieces(s, v, n, SHORT_MESSAGE);
  }
  if (sent == -ESHUTDOWN) { /* an end like any other */
    wire_of(s)->failed = 0;
    sent = -EPIPE;
  }
  return sent < 0 ? sctp_told(wire_of(s), (int)sent) : sent;
}


/* SCTP has no halves, either: the peer reads its end and can't write any more,
 * but what it had written until then comes.  That this is over, and no more can
 * come, the kernel tells only by a message that is to be asked for. */
int sctp_shutdown(stream *s) {
  static const struct sctp_event_subscribe events = {
      .sctp_association_event = 1,
  };
  wire *w = wire_of(s);
  if (setsockopt(w->watch.fd, IPPROTO_SCTP, SCTP_EVENTS, &events,
                 sizeof events) == 0)
    w->notified = true;
  return wire_shutdown(s);
}
