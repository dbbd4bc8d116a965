/*
** Messages in flight: sent, and not there yet.
**
** All that are under way are in one list, in the order in which they were sent, so
** that a world can look at them, drop them or let them arrive.  A *rule* is a
** function over each message that is sent; it runs from an event, and not from inside
** of who has sent.  It may be asked about a segment of a stream, too, which is in the
** list until that is decided.
*/

#ifndef SIM_FLIGHT_H
#define SIM_FLIGHT_H

#include "net/backend.h"
#include "sim/link.h"

typedef struct flight flight;

/* A rule's verdict.  It may change a message's bytes (flight_set_bytes), and give the
 * time of its arrival. */
typedef enum flight_verdict {
  FLIGHT_PASS,      /* as its link says */
  FLIGHT_DROP,      /* it is lost */
  FLIGHT_DELAY,     /* as its link says, and `delay` later */
  FLIGHT_DOUBLE,    /* twice */
  FLIGHT_CUT,       /* it, and with it its connection: of a segment */
  FLIGHT_UNDECIDED, /* flight_decide says it */
} flight_verdict;

typedef flight_verdict flight_rule(void *about, flight *f, uint64_t *delay);
typedef void flight_decided(flight *f, flight_verdict verdict, uint64_t delay);

struct flight {
  sim_event event;    /* first */
  link_waiter waiter; /* its link is held */
  sim *sim;
  flight *next, **at; /* of all, the oldest first */
  flight *later;      /* the next one that is undecided */
  struct node *from, *to;
  uint64_t serial, sent, arrives; /* NEVER: its link is held */
  address source, target;
  int protocol; /* IPPROTO_x */
  unsigned ttl, tos;
  bool raw;                  /* of a raw socket */
  bool many;                 /* to a group, or to all */
  bool looped;               /* over lo */
  unsigned fragments;        /* packets that it is sent as; 0 is 1 */
  void (*arrive)(flight *f); /* it is there; flight_free follows */
  void *about;               /* the sender's, not the flight's */
  failure *failure; /* what it tells of, malloc'ed; NULL: it is a message */
  flight_decided *decided; /* of who asks (flight_ask); NULL: it is sent */
  uint32_t seq, ack;       /* of TCP, as its header has them, */
  uint8_t flags;           /* and those */
  size_t size;
  char *bytes; /* flight_set_bytes */
  char own[];
};

/* NULL: none.  What it has left undecided still is.  It is not asked about what tells
 * of a failure; about segments where `streams` says so. */
void flight_set_rule(sim *s, flight_rule *rule, void *about, bool streams);
bool flight_rules_streams(sim *s);

/* The first that is undecided, or NULL; and what becomes of that. */
flight *flight_undecided(sim *s);
void flight_decide(sim *s, flight_verdict verdict, uint64_t delay);

/* With a copy of the bytes. */
flight *flight_new(sim *s, struct node *from, struct node *to,
                   const char *bytes, size_t n);
void flight_free(flight *f); /* of one that is not sent */
void flight_set_bytes(flight *f, const char *bytes, size_t n);

/* It is on its way, and frees itself in the end.  Without a link it takes so many ns;
 * with one (0) as long as that takes. */
void flight_send(flight *f, uint64_t local);

/* Only ask the rule: it tells f->decided, and frees itself then.  What has gone
 * meanwhile is disowned: `about` is NULL. */
void flight_ask(flight *f);
void flight_disown(sim *s, const void *about);

/* Those under way, the oldest first; let one arrive now, or never. */
flight *flight_first(sim *s);
void flight_deliver(flight *f);
void flight_drop(flight *f);

void flights_close(sim *s);

#endif
