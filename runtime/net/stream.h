/*
** Streams: connection-oriented byte streams.
**
** Lua owns a *box*, a userdata with one pointer; the *body* below belongs to
** the transport from stream_new until it calls stream_closed.  close() empties
** the box, wakes the waiters, sends what was accepted, and lets the transport
** go.  Either side may die first.
*/

#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "net/backend.h"
#include "sched/wait.h"

/* A run of received bytes.  Borrowed: they lie in the loop's shared read
 * buffer, and are copied away (stream_keep) before the next read. */
typedef struct inbox {
  char *bytes;
  uint32_t start, end; /* the unread part */
  uint32_t room;       /* allocated; 0 while borrowed or empty */
} inbox;

/* What Lua holds. */
typedef struct box {
  stream *stream; /* NULL: closed */
  unsigned serial;
  const void *mark; /* &stream_mark: net_marked */
} box;

enum stream_state { CONNECTING, OPEN, CLOSING, LINGERING, CLOSED };

struct stream {
  host *host;
  stream *next, **at; /* in the list of all of this host; what points to it */
  uint64_t received, sent; /* bytes, from and to the transport */
  const transport *transport;
  box *box;      /* Lua's; NULL once it has closed or lost the stream */
  waitq readers; /* at most one task */
  waitq writers; /* until what they wrote has gone, mostly */
  waitq turns;   /* writers whose bytes are not accepted yet, in order */
  inbox in;
  struct outbox *out; /* what is to go out; NULL: nothing (outbox.h) */
  stream *link;       /* in the list of those with gathered bytes, or of those
                         that send what is left behind close() */
  struct relaying *relaying; /* net.relay has it; NULL: no */
  struct passing *passing; /* descriptors that came along (passing.h); NULL: the
                              script has not asked */
  const char *where;       /* malloc'ed endpoint, for messages; may be NULL */
  uint64_t timeout; /* of each suspension, ns; while closing the deadline;
                         0: none */
  int read_error;   /* negative errno that ended reading; see eof */
  int write_error;  /* that ended writing */
  uint32_t scanned; /* of in: searched already for the delimiter */
  uint32_t want;    /* the reader is not woken before so many are there */
  uint8_t state;
  bool eof;        /* the peer's end of its bytes was read */
  bool shut;       /* shutdown() was called: no more writes */
  bool reading;    /* the transport delivers */
  bool read_busy;  /* a task waits to read, or was woken and has not run */
  bool called;     /* the first of `turns` was woken and has not run */
  bool reported;   /* write_error was given to the script */
  bool linked;     /* by `link`, among those with gathered bytes */
  bool hidden;     /* no trace sees it */
  unsigned serial; /* what it is called instead of by its pointer */
};

/* The transport's own part, right behind the stream. */
static inline void *stream_part(stream *s) {
  return s + 1;
}

/* Allocate a stream, open (connecting: not yet), with the transport's part
 * zeroed.  Out of memory aborts, as everywhere in C here. */
stream *stream_new(host *h, const transport *t, bool connecting);

/* Bytes arrived, in a buffer of the transport's.  The transport then runs
 * sched_round(), so that the reader finds them where they lie, and calls
 * stream_keep(), which copies what was not read:
 *   stream_data(s, bytes, n); sched_round(h); stream_keep(s);
 * The stream may have been closed in between; it is freed later, never then. */
void stream_data(stream *s, char *bytes, size_t n);
void stream_keep(stream *s);

/* With so many bytes, told of next, came these. */
void stream_passed(stream *s, const passed *x, size_t bytes);

void stream_eof(stream *s);
void stream_error(stream *s, int status); /* of reading: a negative errno */
void stream_writable(stream *s);
void stream_connected(stream *s, int status);

/* Send bytes that a relay has taken from another stream; what the kernel
 * refuses is kept. */
void stream_send(stream *s, char *bytes, size_t n);

/* The transport is done with it: free the body.  The only free. */
void stream_closed(stream *s);

/* Listeners: the same, smaller. */
struct listener {
  host *host;
  listener *next, **at; /* as a stream's */
  uint64_t accepted;    /* connections */
  struct listener_box *box;
  const backend *backend; /* its functions: the world's, or those of mem: */
  waitq acceptors;
  const char *where;    /* the endpoint as printed */
  address addr;         /* bound to */
  const sockspec *spec; /* its own copy: for what is accepted */
  uint64_t rearm;       /* after a lack of resources: not before; 0: now */
  uint64_t backoff;     /* the next such pause, ns */
  int protocol;         /* as in sockspec */
  unsigned serial;
  bool closed, watched, outside;
  bool hidden; /* no trace sees it, or what it accepts */
};

typedef struct listener_box {
  listener *listener; /* NULL: closed */
  unsigned serial;
} listener_box;

static inline void *listener_part(listener *l) {
  return l + 1;
}

listener *listener_new(host *h, size_t part, const sockspec *spec);

void listener_ready(listener *l);  /* accept may succeed */
void listener_closed(listener *l); /* frees the body */

#endif
