/*
** What the sockets of a host share: the net part of a host.
**
** The files of net/ keep what they have per host in it, each its own fields; net.c
** makes it and frees it.
*/

#ifndef NET_STATE_H
#define NET_STATE_H

#include "host/pool.h"
#include "net/backend.h"
#include "sched/world.h"

/* Streams that lower ones make more at once, whose readers then run together
 * (round.h). */
enum { ROUND_MORE = 8 };

/* A call behind the current batch of events.  Embedded in what is to be freed. */
typedef struct later later;
struct later {
  later *next;
  void (*call)(later *l);
};

typedef struct rounds {
  char *buffer;
  size_t used; /* of it, by what was handed up and is not kept yet */
  char *made;  /* as the two above, for what layers hand up; NULL: none has */
  size_t made_used;
  stream *lent[TOGETHER + ROUND_MORE]; /* whose that is */
  unsigned count;
  bool gives;          /* what arrives now is to be copied */
  bool lends;          /* what layers hand up now is followed by a round */
  later *first, *last; /* calls due when the batch is over, in their order */
} rounds;

/* Bytes from and to the kernel, and accepted connections. */
typedef struct traffic {
  uint64_t received, sent, accepted;
} traffic;

struct net {
  host *host;
  int stream_class;  /* host_class */
  struct slab *slab; /* the streams' memory */
  stream *streams;   /* all whose bodies live, the newest first */
  listener *listeners;
  datagram *datagrams;
  stream *dirty[TOGETHER]; /* those with gathered bytes; NULL: no more */
  unsigned dirty_count;
  pool outboxes;      /* free ones */
  datagram *gathered; /* those with gathered messages */
  pool batches;       /* free ones */
  stream *closing; /* those that go on behind their close(), the oldest first */
  stream **closing_end; /* what is to point to the next of them */
  uint64_t forgotten;   /* bytes that these have read since the last pause */
  uint64_t pause;       /* until then they read no more; 0: they do */
  uint64_t look;        /* the program has ended: the next time to see which of
                           them need not be waited for; 0: it goes on */
  traffic gone;         /* of what is closed */
  struct mem_name *names; /* listeners of mem: */
  rounds rounds;
};

/* Lists by `next` and `at`, what points to an element. */
#define LIST_ADD(head, x) \
  do { \
    (x)->next = (head); \
    (x)->at = &(head); \
    if ((head) != NULL) \
      (head)->at = &(x)->next; \
    (head) = (x); \
  } while (0)

#define LIST_REMOVE(x) \
  do { \
    *(x)->at = (x)->next; \
    if ((x)->next != NULL) \
      (x)->next->at = (x)->at; \
  } while (0)

static inline struct net *net_of(host *h) {
  return h->net;
}

/* Add what went over a stream or a message socket that is the world's: what layers and
 * mem: move, moves between ours. */
static inline void traffic_add(traffic *t, bool counts, uint64_t received,
                               uint64_t sent) {
  if (counts) {
    t->received += received;
    t->sent += sent;
  }
}

/* Send what has gathered, of all tasks: also before a descriptor goes to
 * another process, which may write by it at once. */
void net_flush(host *h);

#endif
