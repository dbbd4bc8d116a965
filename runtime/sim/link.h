/*
** Links: how long what one node sends another is under way, and whether it comes.
**
** Each direction between two nodes is a link of its own.  Its *manner* (latency,
** bandwidth, loss, ...) is the network's, or its own where one was set.  A link may
** be cut: messages are lost, streams wait; or held: both wait until it is released;
** or clogged: what is sent leaves later.  What is under way already arrives.
**
** A node's way to itself is no link.
*/

#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/sim.h"

/* Streams lose nothing: what is lost is sent again, later.  Messages keep their
 * order, unless one is drawn to leave it. */
typedef enum link_traffic { LINK_STREAM, LINK_MESSAGE } link_traffic;

typedef enum link_shape {
  LATENCY_FIXED,      /* least */
  LATENCY_UNIFORM,    /* from least to most */
  LATENCY_EXPONENTIAL /* least, and mean on average beyond it; most at most */
} link_shape;

/* Times in ns; chances in millionths. */
typedef struct link_manner {
  link_shape shape;
  uint64_t least, most, mean;
  uint64_t jitter;    /* up to this more, of each message */
  uint64_t bandwidth; /* bytes in a second; 0: no bound */
  uint64_t
      queue; /* bytes that may wait for it, before messages are lost; 0: any */
  uint32_t loss, duplicates, reordered;
  uint32_t slow;     /* so many pairs of nodes are slow for good, */
  uint32_t slowness; /* by this factor of latency */
} link_manner;

/* The manner of all links that have none of their own; of one, where NULL takes its
 * own away. */
void link_set_usual(sim *s, const link_manner *m);
const link_manner *link_usual(const sim *s);
void link_set(sim *s, struct node *from, struct node *to, const link_manner *m);
const link_manner *link_of(sim *s, struct node *from, struct node *to);

void link_cut(sim *s, struct node *from, struct node *to, bool cut);

/* Cut by a fault, too, until that ends; each of several that do ends once. */
void link_fault(sim *s, struct node *from, struct node *to, bool begins);

void link_hold(sim *s, struct node *from, struct node *to, bool held);
void link_clog(sim *s, struct node *from, struct node *to, uint64_t until);
void link_heal_all(sim *s); /* none is cut, held or clogged any more */

bool link_is_cut(sim *s, struct node *from, struct node *to);
bool link_is_held(sim *s, struct node *from, struct node *to);
uint64_t link_clogged(sim *s, struct node *from,
                      struct node *to); /* until then; 0: never was */

/* When so many bytes, headers and all, that are sent now arrive: NEVER: they are lost,
 * or the link is cut or held. */
uint64_t link_arrival(sim *s, struct node *from, struct node *to, size_t bytes,
                      link_traffic traffic);

/* When no more than so many bytes still wait for the bandwidth. */
uint64_t link_room(sim *s, struct node *from, struct node *to, size_t bytes);

/* Who cannot send, as the link is cut or held, is called once when it is neither: not
 * before the next event.  Zeroed: it waits for none. */
typedef struct link_waiter link_waiter;
struct link_waiter {
  sim_event event;
  sim *sim;
  link_waiter *next, **at;
  void (*open)(link_waiter *w);
};

void link_await(sim *s, struct node *from, struct node *to, link_waiter *w);
void link_forget(link_waiter *w); /* it waits no longer, if it did */

/* Where flight.c keeps what is under way, which goes first (flights_close). */
struct flights **links_flights(sim *s);

void links_close(sim *s);

#endif
