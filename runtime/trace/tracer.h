/*
** Tracers: each sees what the sockets do, through its filters, and gives it a
** form (text, pcapng, or events for a script) on its way into a sink.
*/

#ifndef TRACE_TRACER_H
#define TRACE_TRACER_H

#include "net/trace.h"
#include "sched/wait.h"
#include "trace/filter.h"
#include "trace/flow.h"
#include "trace/sink.h"
#include "trace/table.h"

enum {
  TRACERS = 8,           /* of one host at a time */
  TRACE_BYTES = 1 << 20, /* of one event that are shown, at most */
  TRACE_QUEUE = 4096     /* events that may wait for a script */
};

typedef struct tracer tracer;
typedef struct note note;

/* An event, and what was found out about it. */
typedef struct seen {
  const trace_event *e;
  flow *f;              /* NULL: of no socket */
  const address *peer;  /* of a message; NULL: unknown */
  const address *local; /* of a message: it was sent to; NULL: unknown */
  uint64_t now;         /* monotonic, ns */
} seen;

typedef struct form {
  const char *name;
  void (*begin)(tracer *t); /* NULL: nothing to do */
  void (*event)(tracer *t,
                const seen *x);           /* one that the filters let through */
  void (*lost)(tracer *t, const seen *x); /* there is no room for it */
  void (*forget)(tracer *t, flow *f);     /* it is freed next */
  void (*end)(tracer *t);
} form;

extern const form text_form, pcapng_form, events_form;

struct tracer {
  tracer *next;
  int id; /* from 1; the smallest that none has */
  host *host;
  const form *form;
  struct tracer_box *box; /* Lua's; NULL: collected */
  char *path;             /* malloc'ed, for messages; NULL: none */
  sink out;
  note *first, *last; /* of events */
  unsigned notes;
  size_t note_bytes;
  waitq readers;
  filter filters[FILTERS];
  unsigned filter_count;
  table flows;
  uint64_t began;   /* monotonic, ns */
  int64_t epoch;    /* what makes wall-clock time of it */
  size_t bytes;     /* of an event that are shown */
  uint64_t count;   /* events */
  uint64_t dropped; /* of them */
  uint64_t untold;  /* of these, since it was last told */
  bool coloured;
  bool stopped;
  bool told;               /* that writing has failed */
  struct capture *capture; /* of pcapng */
};

/* Listen, from now on.  The tracer is made by who calls, zeroed, with form,
 * out, filters and bytes set.  -EBUSY when there are too many. */
int tracer_start(host *h, tracer *t);

/* Write what is there and let go of all but what a script still takes.  0, or
 * the error of writing. */
int tracer_stop(tracer *t);

/* The tracers of a host that are not stopped, by `next`; or NULL. */
tracer *tracer_first(const host *h);

/* Free a stopped one. */
void tracer_free(tracer *t);

/* An event is lost. */
void tracer_drop(tracer *t);

/* Something came for a script to take. */
void tracer_ready(tracer *t);

/* Take the oldest event and push it, as a table; false when there is none. */
bool notes_push(lua_State *L, tracer *t);
void notes_clear(tracer *t);

/* Nothing but scripts that wait for events goes on: end their waits.  True if
 * there were any. */
bool tracer_starved(host *h);

#endif
