/*
** What the files of links share (link.c, flight.c).
*/

#ifndef SIM_LINKS_H
#define SIM_LINKS_H

#include "sim/flight.h"

typedef struct direction {
  uint64_t key;     /* of both nodes */
  link_manner *own; /* NULL: the usual one */
  uint64_t free_at; /* then all that was sent has left, of a bandwidth */
  uint64_t last;    /* no message that keeps its place arrives before this */
  uint64_t clogged; /* what is sent leaves behind this */
  uint32_t factor;  /* of latency; 0: not drawn yet */
  bool cut, held;
  link_waiter *waiters; /* the first comes first */
} direction;

struct links {
  link_manner usual;
  direction **table;
  size_t count, room;
  flight *first, **last; /* under way */
  uint64_t serial;       /* the last flight's */
  flight_rule *rule;     /* NULL: none */
  void *rule_about;
};

struct links *links_of(sim *s); /* made if there are none */
direction *link_get(sim *s, const struct node *from, const struct node *to);

#endif
