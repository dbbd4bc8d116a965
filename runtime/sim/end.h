/*
** Connections of streams, as the kernels of their nodes have them: what outlives the
** stream that is closed, and the host that has ended.
**
** A *connection* has two *ends*, and two *flows*: the bytes of each direction, cut into
** *segments* that are under way.  Segments come in order, so a flow has one event for
** the first of them.  Acknowledgements are events only where somebody would notice
** when they come: a writer that waits for room, or bytes that wait for the window.
**
** What is lost for good (its link is cut, or nobody is there) is sent again, with
** pauses as the kernel's, until its patience is over.  So a node that crashed answers
** nothing, and one that has started again resets what it does not know.
**
** Unix sockets and pairs are connections, too: of one node, without a window, and an
** end is seen at once by who writes.
*/

#ifndef SIM_END_H
#define SIM_END_H

#include "net/stream.h"
#include "sim/link.h"
#include "sim/node.h"
#include "sim/options.h"
#include "sim/sim.h"

typedef struct end end;
typedef struct flow flow;
typedef struct segment segment;
typedef struct connection connection;
struct listening; /* ports.h */
struct passage;

/* Bytes that nobody has taken yet. */
typedef struct store {
  char *at;
  size_t start, size, room; /* size: of those from start on */
} store;

struct flow {
  sim_event arrival;   /* of the first segment */
  sim_event ack;       /* on its way back */
  sim_event retry;     /* it waits for this, and sends nothing until then */
  link_waiter release; /* and where its link is held, for that, too */
  connection *connection;
  segment *first, **last;                  /* under way */
  store waiting;                           /* for the window, or a retry */
  uint64_t latest;                         /* when the last segment arrives */
  uint64_t sent, arrived, consumed, acked; /* bytes since the beginning */
  uint64_t window;  /* so many may be sent, since the beginning */
  uint64_t shown;   /* of what arrived, is acknowledged for who watches */
  uint64_t trouble; /* since then nobody has answered; 0: somebody has */
  unsigned attempts;
  unsigned asks; /* about so many segments a rule is asked */
  bool
      asking; /* of these one is the next bytes, or the end: nothing else is sent */
  uint8_t side;  /* of who sends */
  bool fin;      /* its end follows what waits */
  bool fin_sent; /* and is under way */
  bool fin_arrived;
};

struct connection {
  sim *sim;
  connection *next, **at;
  node *nodes[2]; /* the second is NULL where there is no such node */
  end *ends[2];   /* NULL: gone */
  flow flows[2];  /* flows[i]: from ends[i] */
  unsigned held;  /* it is not freed now */
  bool local;     /* its ends are of one node */
  bool is_unix;
};

enum end_state {
  END_CONNECTING, /* SYN_SENT; of unix: its peer's queue is full */
  END_ANSWERING,  /* SYN_RECV */
  END_OPEN,
  END_FAILED, /* reset or given up: its stream is still to be told, or was */
  END_WAITS   /* TIME_WAIT: it has only its name */
};

struct end {
  connection *connection; /* NULL: END_WAITS */
  node *node;
  end *next, **at;             /* of the node's */
  stream *stream;              /* NULL: not accepted yet, or closed */
  struct listening *listening; /* in whose queue it is; NULL: none's */
  end *queued;                 /* behind it there */
  address local, remote;
  address name;   /* of a unix one that is bound */
  sim_event news; /* what is there is to be told to the stream */
  sim_event keep; /* keepalive */
  store received; /* and not read */
  options options;
  uint64_t heard;   /* the peer was, last: for keepalive */
  uint64_t expires; /* of END_WAITS */
  unsigned probes;  /* that nobody has answered */
  uint8_t side, state;
  int16_t error;      /* the socket's: told once */
  int16_t failed;     /* by which writing ended: the reader is told, too */
  bool reading : 1;   /* the stream wants what comes */
  bool wants : 1;     /* it waits for room to write */
  bool writable : 1;  /* that is to be told */
  bool connected : 1; /* so is this */
  bool fin : 1;       /* the peer's end has come */
  bool ended : 1;     /* and was told */
  bool shut : 1;      /* half closed by us */
  bool active : 1;    /* before the peer was */
};

/* The transports' part of a stream. */
typedef struct plug {
  end *end; /* NULL: its node has crashed */
} plug;

extern const transport sim_tcp, sim_unix;

/* {== stream_end.c */

connection *connection_new(sim *s, node *from, node *to, bool is_unix);

/* Until the other one is called it is not freed. */
void connection_hold(connection *c);
void connection_let_go(connection *c);

end *end_new(connection *c, unsigned side, node *n);
void end_free(end *e); /* its connection goes with the last of both */

static inline flow *end_out(const end *e) {
  return &e->connection->flows[e->side];
}

static inline flow *end_in(const end *e) {
  return &e->connection->flows[1 - e->side];
}

static inline end *end_peer(const end *e) {
  return e->connection->ends[1 - e->side];
}

static inline bool end_is_orphan(const end *e) {
  return e->stream == NULL && e->listening == NULL;
}

/* Give it a stream of a host, open or not. */
stream *end_plug(end *e, bool connecting);

/* It can send and receive. */
void end_open(end *e);

/* A segment has come. */
void end_receive(end *e, flow *f, segment *s);

/* It has failed, by a reset or because nobody answers: tell its stream. */
void end_fail(end *e, int status);

/* Tell its stream what there is to tell, from an event, soon. */
void end_tell(end *e);

/* Its stream is closed, or it was never accepted. */
void end_close(end *e, bool reset);

/* The kernel's error, which is told once: 0 or a negative errno. */
int end_take_error(end *e);

/* Is it over on both sides?  Then it goes. */
void end_check(end *e);

/* Its node has crashed: nobody is told; or its peer is. */
void end_vanish(end *e);
void end_abort(end *e);

/* What has come is forgotten, as if it had been read. */
void end_forget_received(end *e);

/* ==} */


/* {== stream_flow.c */

enum { SEGMENT_SYN = 1, SEGMENT_FIN = 2, SEGMENT_RST = 4, SEGMENT_PROBE = 8 };

struct segment {
  segment *next;
  uint64_t arrives;
  uint32_t size;
  uint8_t flags;
  char bytes[];
};

void flow_open(connection *c, unsigned side);
void flow_drop(flow *f); /* all that is under way, and waits */

/* Send nothing but flags.  False: it is lost, and nobody tries again. */
bool flow_signal(flow *f, uint8_t flags);

/* Send a segment, whatever a rule says, so much later than its link has it; false: it
 * is lost. */
bool flow_launch(flow *f, const char *bytes, size_t n, uint8_t flags,
                 uint64_t delay);

/* The first n bytes that wait are under way. */
void flow_sent(flow *f, size_t n);

/* Bytes that it would take now. */
size_t flow_room(const flow *f);

/* Take n bytes of the pieces; there is room.  And send what may be sent. */
void flow_take(flow *f, const struct iovec *v, size_t n);
void flow_push(flow *f);

/* Its end follows what was taken. */
void flow_finish(flow *f);

/* What waits is forgotten, and the other end is told. */
void flow_reset(flow *f);

/* So much has come, or was read: the sender learns of it. */
void flow_acknowledge(flow *f);

/* Nobody has answered: try again later.  `first` is how long the first pause is. */
void flow_stall(flow *f, uint64_t first);
void flow_heard(flow *f); /* somebody has */

/* ==} */


/* {== stream_rule.c */

/* Is a rule to be asked about its segments?  What only acknowledges it is not. */
bool rule_applies(const flow *f);

/* Ask: the first n bytes that wait, or flags, are sent when it says so. */
void rule_ask(flow *f, size_t n, uint8_t flags);
void rule_forget(flow *f); /* it goes */

/* ==} */


/* {== stream_passage.c */

/* A segment as who watches sees it, when it is not counted in `sent` yet.  False:
 * nobody is left. */
bool flow_passage(const flow *f, const char *bytes, size_t n, uint8_t flags,
                  struct passage *p);

/* For who watches: a segment leaves, and is not counted in `sent` yet; or what has
 * arrived is acknowledged, if it was not. */
void flow_shows(flow *f, uint64_t at, const char *bytes, size_t n,
                uint8_t flags);
void flow_shows_ack(flow *f, uint64_t at);

/* ==} */


/* {== stream_keepalive.c */

void keepalive_set(end *e); /* as its options say */
void keepalive_stop(end *e);
void keepalive_heard(end *e);

/* ==} */


/* {== connect.c */

/* Its pause is over. */
void connect_again(end *e);

/* A SYN has come to where no end is: an end that answers it; or NULL, and *refused
 * says whether that is told. */
end *connect_answer(connection *c, bool *refused);

int sim_connect(host *h, const sockspec *spec, stream **out);
int sim_pair(host *h, int type, stream **a, stream **b);

/* ==} */

#endif
