/*
** Wires: the transports' part of a stream that is one descriptor in the loop,
** a socket, a pipe or a terminal.
*/

#ifndef UV_SOCKET_H
#define UV_SOCKET_H

#include <assert.h>
#include <netinet/in.h>

#include "net/stream.h"
#include "uv/loop.h"
#include "uv/timer.h"

struct attempt;

typedef struct wire {
  watch watch;       /* first: it is how ready finds the wire */
  int16_t failed;    /* the negative errno by which writing ended */
  uint8_t want;      /* EPOLLIN, EPOLLOUT: what the stream waits for; epoll may
                        still be asked for more: socket_io.c */
  uint8_t peer_size; /* bytes of the peer's address; 0: ask the kernel */
  bool is_socket : 1;
  bool attempting : 1; /* u.attempt is set */
  bool collects : 1;   /* descriptors that arrive are handed up */
  bool notified : 1;   /* of SCTP, shut by us: the kernel's messages come too */
  bool shared : 1;     /* blocks: its description is others' too, and could not
                        be opened again */
  bool adopted : 1;    /* so others may have its descriptor, too */
  bool borrowed : 1; /* 0, 1 or 2: what this process starts reads there, too */
  bool deferred : 1; /* its first write connects it, and that is not over */
  bool half_closed : 1; /* to be shut when it is */
  bool lingers;         /* SO_LINGER was set here or at its listener */
  loop_timer pause; /* runs: the kernel has no buffers, so nothing is sent */
  union {
    unsigned char peer[sizeof(struct sockaddr_in)]; /* of an ip or vsock one */
    void *far_peer;          /* malloc'ed, one that is longer */
    struct attempt *attempt; /* of a unix socket: connect.c */
  } u;
} wire;

/* ns until the kernel is asked again that had no buffers: it says that there is room. */
enum { WIRE_PAUSE = 10000000 };

extern const transport socket_tcp, socket_mptcp, socket_sctp, socket_unix,
    socket_vsock, socket_pipe, socket_tty;

/* The transport for stream sockets of a family and protocol. */
const transport *socket_transport(int family, int protocol);

static inline wire *wire_of(stream *s) {
  assert(s->state != CLOSED);
  return stream_part(s);
}

static inline stream *wire_stream(wire *w) {
  return (stream *)(void *)w - 1;
}

/* A stream of this transport over fd, which is its own from now on. */
stream *wire_new(host *h, const transport *t, int fd, bool connecting);

/* Is s one of these? */
bool wire_is(const stream *s);

/* May its bytes go through splice?  If epoll allows. */
bool wire_splices(stream *s);

/* A count, 0 at the end, or a negative errno. */
ssize_t wire_read(wire *w, char *bytes, size_t n);

/* The ready of an open stream's watch. */
void wire_ready(watch *x, uint32_t events);

/* Ask epoll for what the stream wants, no more and no less: after something
 * else had the descriptor in the epoll.  0 or -errno. */
int wire_settle(wire *w);

/* Note the peer's address, of n bytes. */
void wire_peer(wire *w, const struct sockaddr *a, socklen_t n);

/* Functions for transports whose part begins with a wire. */
int wire_set(stream *s, const sockopt *o);
int wire_get(stream *s, sockopt *o);
int wire_localaddr(stream *s, address *a);
int wire_remoteaddr(stream *s, address *a);
int wire_fd(stream *s);

/* Send the SYN of a deferred one, unless a write did. */
void wire_dial(wire *w);

/* Stop an attempt to connect that waits for room in the peer's queue. */
void attempt_stop(struct attempt *a);

#endif
