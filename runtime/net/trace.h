/*
** What the sockets of a host do, told to who listens.
**
** Every open, movement of bytes, end, error and close of a socket passes one
** of the functions below, from wherever it happens: under Lua and in the
** backend's callbacks.  That costs one untaken branch while nobody listens
** (host.tap is NULL).  A tap may look at the socket and at the bytes
** during its call; it runs no Lua, and changes nothing here.
*/

#ifndef NET_TRACE_H
#define NET_TRACE_H

#include "net/datagram.h"
#include "net/listener.h"
#include "net/stream.h"

typedef enum trace_kind {
  TRACE_LISTEN,    /* a listener is there */
  TRACE_CONNECT,   /* a stream begins to connect */
  TRACE_CONNECTED, /* its peer has answered */
  TRACE_ACCEPT,    /* `listener` hands out a stream or a message socket */
  TRACE_OPEN,     /* a socket is there otherwise: bound, a pair, adopted, ... */
  TRACE_READ,     /* bytes, or a message, arrived */
  TRACE_WRITE,    /* the kernel took bytes, or a message */
  TRACE_END,      /* the peer's end of its bytes arrived */
  TRACE_SHUTDOWN, /* our end of ours has gone out */
  TRACE_ERROR,    /* `op` failed, with `status` */
  TRACE_CLOSE,    /* the script has closed it, and `size` bytes still go out */
  TRACE_CLOSED,   /* the descriptor is closed; nothing more about it */
  TRACE_RESET,    /* the same, abortively */
  TRACE_SPAWN,    /* a child runs; `where` is its program */
  TRACE_EXIT      /* it has ended */
} trace_kind;

typedef struct trace_event {
  trace_kind kind;
  int status;            /* of an error: as everywhere */
  const char *op;        /* of an error: "connect", "read", ... */
  const char *where;     /* of an error without a socket: the endpoint */
  stream *stream;        /* one of these, or none */
  datagram *datagram;    /* */
  listener *listener;    /* also of an accept */
  const struct iovec *v; /* the first `size` bytes of these; NULL: unknown */
  size_t size;           /* bytes; of an error: those that were not sent */
  size_t full;           /* of a message as it was sent; more: it was cut */
  const struct sockaddr *peer; /* of a message, where it has one */
  socklen_t peer_size;
  const address *local; /* a message was sent to; NULL: unknown */
  int pid;              /* of a child */
  int code, signal;     /* its exit's; signal 0: none ended it */
} trace_event;

static inline bool trace_is_on(const host *h) {
  return h->tap != NULL;
}

static inline void trace_tell(host *h, const trace_event *e) {
  h->tap->see(h->tap, e);
}

static inline void trace_stream(stream *s, trace_kind kind, size_t size) {
  if (trace_is_on(s->host))
    trace_tell(s->host,
               &(trace_event){.kind = kind, .stream = s, .size = size});
}

static inline void trace_bytes(stream *s, trace_kind kind,
                               const struct iovec *v, size_t size) {
  if (trace_is_on(s->host))
    trace_tell(s->host,
               &(trace_event){.kind = kind, .stream = s, .v = v, .size = size});
}

static inline void trace_read(stream *s, void *bytes, size_t size) {
  if (trace_is_on(s->host))
    trace_bytes(s, TRACE_READ, &(struct iovec){bytes, size}, size);
}

static inline void trace_stream_error(stream *s, const char *op, int status) {
  if (trace_is_on(s->host))
    trace_tell(s->host, &(trace_event){.kind = TRACE_ERROR,
                                       .stream = s,
                                       .op = op,
                                       .status = status});
}

/* The time to send what a closed stream had accepted is over. */
void trace_unsent(stream *s, size_t size);

static inline void trace_listener(listener *l, trace_kind kind) {
  if (trace_is_on(l->host))
    trace_tell(l->host, &(trace_event){.kind = kind, .listener = l});
}

static inline void trace_datagram(datagram *d, trace_kind kind) {
  if (trace_is_on(d->host))
    trace_tell(d->host, &(trace_event){.kind = kind, .datagram = d});
}

/* Who is accepted: a stream or a message socket. */
void trace_accept(listener *l, stream *s, datagram *d);
void trace_accept_error(listener *l, int status);

/* A socket could not be made. */
void trace_failure(host *h, const char *op, const char *where, int status);

/* Messages that arrived, and those that the kernel took. */
void trace_arrivals(datagram *d, const arrival *list, unsigned n);
void trace_outgoing(datagram *d, const outgoing *list, int n);

/* Receiving or sending failed; `to` may be NULL. */
void trace_datagram_error(datagram *d, const char *op, const address *to,
                          int status);

/* A child was started, or has ended: then with a code, or by a signal. */
void trace_child(host *h, trace_kind kind, int pid, const char *command,
                 int code, int signal);

#endif
