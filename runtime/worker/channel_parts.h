/*
** Channels within: the queue and who waits (channel_queue.c), which there are
** (channel_registry.c), and what Lua has of them (channel_class.c).
*/

#ifndef WORKER_CHANNEL_PARTS_H
#define WORKER_CHANNEL_PARTS_H

#include <pthread.h>

#include "sched/wait.h"
#include "worker/channel.h"
#include "worker/message.h"

enum outcome { DONE, CLOSED, FULL, EMPTY };

/* Its two sides: who waits for a message, who for room. */
enum { RECV, SEND, SIDES };

typedef struct side {
  waitq tasks;              /* of this host */
  struct channel_end *next; /* in the channel's list; under the lock */
  bool waits, called;       /* under the lock */
} side;

typedef struct channel_end {
  channel *channel; /* NULL: collected */
  host *host;
  message *taken; /* from the channel, not decoded yet: a list */
  struct channel_end *newer, *older; /* of this host */
  side sides[SIDES];
} channel_end;

struct channel {
  /* Under the registry's lock. */
  unsigned refs;   /* in boxes and messages */
  unsigned queued; /* of these, in messages that are in a channel */
  channel *next;   /* in the registry */

  /* While channel_drop looks, under the same lock. */
  enum { UNSEEN, SUSPECT, ALIVE } state;
  unsigned inner; /* references by suspects */
  channel *next_suspect, *next_alive;

  char *name; /* NULL: it has none */
  pthread_mutex_t lock;
  unsigned capacity, count;
  bool closed;
  message *cause; /* what it was closed with, or NULL */
  message *first, *last;
  channel_end *waiting[SIDES]; /* oldest first */
};


/*
** The registry
*/

/* The one of that name, or a new one; the caller gets a reference. */
channel *channel_find(const char *name, unsigned capacity);

/* What is in a message goes into a channel with it (by 1), or does not (-1). */
void channel_queued(const message *m, int by);


/*
** The queue
*/

/* DONE: the channel has the message, or b->taken is one; CLOSED; or else the box
 * waits, if it is to. */
enum outcome channel_put(channel_end *b, message *m, bool wait);
enum outcome channel_take(channel_end *b, bool wait);

/* Whoever was called goes away: the next one may want what there is. */
void channel_pass_on(channel_end *b);

/* The box goes away. */
void channel_leave(channel_end *b);

/* The message is the channel's from now on; it names no channels, or is NULL. */
void channel_close(channel *c, message *cause);

/* How many messages it holds. */
unsigned channel_length(channel *c, bool *closed);

#endif
