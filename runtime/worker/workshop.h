/*
** What workers, channels and messages need of a host.
*/

#ifndef WORKER_WORKSHOP_H
#define WORKER_WORKSHOP_H

#include <stdbool.h>
#include <stddef.h>

#include "host/host.h"

/* What is being encoded.  One a host, used again and again.  It holds no channel:
 * the values on the stack do. */
typedef struct scratch {
  char *bytes;
  size_t size, room;
  struct channel **channels;
  unsigned channel_count, channel_room;
} scratch;

struct workshop {
  struct worker *self;          /* the worker whose host it is; NULL: none's */
  struct channel_end *channels; /* its ends of channels, the newest first */
  void (*live)(struct worker *w); /* see workers_open */
  bool hung;                      /* there is a bell to ring */
  struct worker *started;         /* by this host, and not ended */
  scratch scratch;
};

static inline struct workshop *workshop_of(host *h) {
  return h->workshop;
}

#endif
