/*
** A simulated network: hosts on one clock, in one thread, and what is under way
** between them.
**
** All that will happen is an *event*: a delivery, the end of a pause, a host's next
** turn.  The simulation takes the earliest, sets its clock to it, and lets it happen;
** so what takes no time in the world takes none here, and nothing but the seed
** decides.  Where two events have the same time, the one that was scheduled first
** comes first.
**
** Times are nanoseconds of the simulation's own clock, `sim.now`; a node's clocks go
** by that, but may be wrong (node.h).  What happens is told to the tasks by events
** only, never from inside of a call that one of them makes: no host runs in another
** one's turn.
*/

#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sched/world.h"
#include "sim/chance.h"
#include "sim/history.h"

typedef struct sim sim;
typedef struct sim_event sim_event;
struct node;
struct passage;
struct subsystem;

#define SIM_START UINT64_C(1000000000)             /* of `now`: 1 s */
#define SIM_PATIENCE UINT64_C(1000000000)          /* 10^8 instructions */
#define SIM_WALL (INT64_C(946684800) * 1000000000) /* then: 2000-01-01 UTC */

/* Part of what it happens to, which its `fire` finds from it.  Its memory is the
 * owner's, who cancels it before it goes.  Zeroed: not scheduled. */
struct sim_event {
  uint64_t at, serial;
  size_t place;               /* in the queue, from 1; 0: not in it */
  void (*fire)(sim_event *e); /* it is not scheduled any more */
};

/* What a simulation has of the real world, and of who made it; each may be NULL. */
typedef struct sim_outside {
  /* The names in a folder, as world.list: for what `require` says. */
  ssize_t (*list)(void *w, const char *path, char *names, size_t room);

  /* Something has become of a node (enum node_change): start no host in it, but stop
   * what you like. */
  void (*changed)(sim *s, struct node *n, int change);

  /* Something leaves one node for another: passage.h. */
  void (*passes)(sim *s, const struct passage *p);
} sim_outside;

/* What a step has done. */
enum sim_step {
  SIM_RAN,   /* something has happened */
  SIM_IDLE,  /* nothing will ever happen: sim_deadlock, or the end */
  SIM_LIMIT, /* nothing more until the limit */
};

struct sim {
  uint64_t now;
  uint64_t seed;
  uint64_t limit;    /* of `now`, behind which nothing happens; NEVER */
  uint64_t patience; /* so long a task may compute, ns of its node's clock */
  bool whole;   /* segments are as large as they can be; else: cut by chance */
  bool fifo;    /* of tasks that are ready the first is next; else: drawn */
  int64_t wall; /* when the clock was at SIM_START, ns since 1970 UTC */

  chance network, order, faults; /* each node has its own, too */
  chance secrets;                /* of libraries: world_chance */
  history history;               /* of all this */

  struct sim_entry {
    uint64_t at, serial; /* as the event's */
    sim_event *event;
  } * events; /* a binary heap, from 1 */
  size_t event_count, event_room;
  uint64_t event_serial; /* of the last that was scheduled */

  struct node **nodes; /* by their index, from 0: node.h */
  unsigned node_count, node_room;

  const struct subsystem *subsystems; /* of each host: sched/life.h */
  sim_outside outside;
  struct node *current; /* whose Lua runs, or of whom is told; NULL: nobody's */
  uint64_t drain;       /* host.drain of each, ns */
  void *owner;          /* who made it */

  /* Of the other parts; each opens its own when it is first needed, and closes it in
   * sim_close. */
  struct links *links; /* link.h */
  struct wires *wires; /* streams under way */
};

/* What has happened: history.h.  HISTORY_NOBODY: to no node. */
static inline void sim_note(sim *s, enum history_kind kind, unsigned node,
                            uint64_t a, uint64_t b) {
  const history_entry e = {s->now, kind, node, a, b};
  history_note(&s->history, &e);
}

/* Events (event.c).  One that is scheduled already is moved; a time that has passed is
 * now. */
void sim_schedule(sim *s, sim_event *e, uint64_t at);
void sim_cancel(sim *s, sim_event *e); /* or nothing */

static inline bool sim_is_scheduled(const sim_event *e) {
  return e->place != 0;
}

/* The next one, or NULL. */
static inline sim_event *sim_next(const sim *s) {
  return s->event_count > 0 ? s->events[1].event : NULL;
}

/* Set the clock to the next event, and let it happen: false when there is none, or
 * only behind the limit. */
bool sim_fire(sim *s);

/* A zeroed one begins, with no node (drive.c).  The subsystems are those of each of
 * its hosts: sched/life.h. */
void sim_open(sim *s, uint64_t seed, const struct subsystem *subsystems);

/* One event: a delivery, a turn of a node, whatever comes next.  Not from inside of
 * one. */
enum sim_step sim_step(sim *s);

/* All until then; and what of that there was. */
enum sim_step sim_run(sim *s, uint64_t until);

/* All nodes wait for each other: each tells its tasks, and ends. */
void sim_deadlock(sim *s);

/* Each node tells who waits for what. */
void sim_waiting(sim *s);

/* Nobody is told of anything any more. */
void sim_close(sim *s);

#endif
