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
#include "net/state.h"
#include "sched/wait.h"

/* A run of received bytes.  Borrowed: they lie in the loop's shared read
 * buffer, and are copied away when the round is over (round.h). */
typedef struct inbox {
  char *bytes;
  uint32_t start, end; /* the unread part */
  uint32_t room;       /* allocated; 0 while borrowed or empty */
  uint32_t scanned;    /* of the unread: searched already for the delimiter */
} inbox;

/* What Lua holds. */
typedef struct box {
  stream *stream; /* NULL: closed */
  unsigned serial;
  uint32_t mark; /* host_mark(&stream_mark) */
} box;

/* What few streams have: made when the first of it is needed. */
struct extra {
  struct relaying *relaying; /* net.relay has it; NULL: no */
  struct said *said; /* the addresses that a proxy has told; NULL: none has */
  struct passing *passing; /* descriptors that came along (passing.h); NULL: the
                              script has not asked */
  char where[];            /* its endpoint, for messages; "": it has none */
};

/* The client's, and what that has connected to. */
struct said {
  address remote, local;
};

/* UNDER: open, and another stream is made of it (layer.h). */
enum stream_state { CONNECTING, OPEN, UNDER, CLOSING, LINGERING, CLOSED };

/* What a message touches is from `host` on, up to the first fields of the
 * transport's part: that it lies close together is a good part of the speed with
 * many connections. */
struct stream {
  stream *next, **at;  /* in the list of all of this host; what points to it */
  box *box;            /* Lua's; NULL once it has closed or lost the stream */
  waitq writers;       /* until what they wrote has gone, mostly */
  struct extra *extra; /* NULL: nothing of it */
  host *host;
  const transport *transport;
  waitq readers; /* at most one task */
  waitq turns;   /* writers whose bytes are not accepted yet, in order */
  inbox in;
  uint64_t received, sent; /* bytes, from and to the transport */
  struct outbox *out;      /* what is to go out; NULL: nothing (outbox.h) */
  union {
    struct {
      stream *link,
          **link_at; /* in the list of those that go on behind close() */
    };
    later gone; /* of a closed one */
  };
  union {
    uint64_t timeout; /* of each suspension, ns; while closing the deadline;
                         0: none */
    stream *upper;    /* UNDER: whose layer has it */
  };
  uint32_t want;       /* the reader is not woken before so many are there */
  unsigned serial;     /* what it is called instead of by its pointer */
  int16_t read_error;  /* negative errno that ended reading; see eof */
  int16_t write_error; /* that ended writing */
  uint8_t state : 6;
  uint8_t pair : 2;   /* an enum pair_end */
  uint8_t use;        /* what is spoken by it: an index of stream_uses */
  bool eof : 1;       /* the peer's end of its bytes was read */
  bool shut : 1;      /* shutdown() was called: no more writes */
  bool reading : 1;   /* the transport delivers */
  bool read_busy : 1; /* a task waits to read, or was woken and has not run */
  bool called : 1;    /* the first of `turns` was woken and has not run */
  bool reported : 1;  /* write_error was given to the script */
  bool linked : 1;    /* among those with gathered bytes */
  bool relayed : 1;   /* extra.relaying is set */
  bool hidden : 1;    /* no trace sees it */
  bool shared : 1;    /* its descriptor was given to another process, which goes
                         on with the connection behind our close() */
  bool both : 1;      /* the reader also waits to write (ready.c) */
  bool spoke : 1;     /* while closing: its peer has, since closing.c looked */
  bool outside : 1;   /* as its transport's kind has it, or the lower one's */
  bool lingers : 1;   /* closing it with unread bytes may cost the peer some */
  bool layered : 1;   /* it is made of another one (layer.h) */
};

/* Its endpoint, or NULL. */
static inline const char *stream_where(const stream *s) {
  return s->extra != NULL && s->extra->where[0] != '\0' ? s->extra->where
                                                        : NULL;
}

/* The protocols that are known to be spoken by streams, ended by NULL; the first is "". */
extern const char *const stream_uses[];

/* Note its endpoint, a text of n bytes. */
void stream_name(stream *s, const char *text, size_t n);

/* Its extra, made if it is not there. */
struct extra *stream_extra(stream *s);

/* The transport's own part, right behind the stream.  Transports assert in what
 * they find theirs by that the stream is not closed: a body outlives its closing
 * by a moment, and who still calls for it would use a stranger's descriptor. */
static inline void *stream_part(stream *s) {
  return s + 1;
}

/* Allocate a stream, open (connecting: not yet), with the transport's part
 * zeroed.  Out of memory aborts, as everywhere in C here. */
stream *stream_new(host *h, const transport *t, bool connecting);

/* Its news.  Bytes are told by round_hand and its like (round.h).  With so many
 * bytes, told of next, came these descriptors. */
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

/* The same, behind the batch of events: some may name it, or somebody have it in
 * hand. */
void stream_gone(stream *s);

/* Close it as the script does: the box is emptied, the waiters are woken, what
 * was accepted goes out.  Returns 0, or an error of a write that nobody was
 * told of. */
int stream_close(stream *s, bool reset);

/* Let go of an open one whose transport can detach, and return its descriptor: it
 * ends as by stream_close, but nothing is sent, and what is unread is forgotten. */
int stream_detach(stream *s);

/*
** For net/ itself
*/

/* Bytes arrived; whoever calls this (round.c) calls stream_keep when they do not
 * stay any longer where they are, which copies what was not read.  The stream may
 * have been closed in between. */
void stream_data(stream *s, char *bytes, size_t n);
void stream_keep(stream *s);

/* Have the transport deliver; and, as long as nobody reads, leave what arrives outside,
 * where its descriptor tells of it. */
void stream_hear(stream *s);
void stream_quiet(stream *s);

/* The same for a reader, who is to see why it can't. */
static inline void stream_start_read(stream *s) {
  s->reading = true;
  int status = s->transport->start_read(s);
  if (status < 0)
    stream_error(s, status);
}

/* Wake the first of those who wait to write, unless one was woken already. */
void stream_next_turn(stream *s);

/* Half close, once all was written. */
int stream_shut(stream *s);

/* The same without what the script is told, for a layer: its bytes are all there
 * is to be sent, and the peer's end need not be waited for.  And before that, when
 * it becomes the layer's: the box is emptied, and so on. */
void stream_let_go(stream *s, bool reset);
void stream_leave(stream *s);

/* Of one that waits for its peer's end: has that got all, and been silent since
 * the last call? */
bool stream_is_settled(stream *s);

/* Its time to send the rest is over. */
void stream_give_up(stream *s);

#endif
