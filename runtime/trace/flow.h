/*
** What a tracer remembers of a socket: its name, its addresses, and whether the
** filter lets it through.  It is made when the socket is first heard of, and
** forgotten when that is closed.
*/

#ifndef TRACE_FLOW_H
#define TRACE_FLOW_H

#include "net/trace.h"
#include "trace/table.h"

typedef struct flow {
  entry entry; /* by serial; first */
  unsigned serial;
  unsigned other; /* the serial of the other end, where both were made at once;
                     0: unknown */
  const char *
      kind; /* "tcp", "udp", "listener", ...; or what is spoken by it: "http" */
  const char *own; /* without that */
  const char
      *below; /* of a layer: the kind of the lowest stream; else as kind */
  char *name; /* of mem:, or of a listener; malloc'ed; NULL: none */
  address local, remote;
  uint64_t in, out;  /* bytes */
  bool wanted;       /* the filter lets it through */
  bool is_message;   /* which is asked for each message then */
  bool is_late;      /* it was open before anything was heard of it */
  bool is_waiting;   /* nobody has accepted it yet */
  struct talk *talk; /* of pcapng */
  uint8_t side;      /* of the talk */
} flow;

/* The serial number of what an event is about; 0: no socket. */
unsigned flow_serial(const trace_event *e);

/* Make the flow of an event's socket, which has a serial number. */
flow *flow_new(const trace_event *e);

/* Look at its kind again, for a layer may be over it since: is it another one? */
bool flow_look(flow *f, const trace_event *e);

/* Ask for the addresses once more: the socket is connected now. */
void flow_ask(flow *f, const trace_event *e);

void flow_free(flow *f);

/* Does it say nothing: of none, or of a unix socket without a name? */
bool flow_is_unnamed(const address *a);

#endif
