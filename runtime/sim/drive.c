/*
** The turns of the nodes.  A node's next turn is an event as any other: it is due when
** something was delivered, when a deadline comes, or at once while tasks are ready; but
** not before the turn before it is over, for that has taken some time.
**
** How long a turn takes is not measured: it is counted, and so the same whenever it is
** replayed.  Tasks that run take some 100 ns, which they do not see: the clock stands
** still in a turn, and what sleeps for a second finds that a second has passed.  What
** computes for long does see it (world.c).
*/

#include "sim/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/round.h"
#include "sched/life.h"
#include "sim/flight.h"

/* Of a turn, besides what its tasks take: a little chance, so that those who begin
 * together do not stay so. */
enum { PRICE = 500, PRICES = 1000 }; /* ns */


static node *node_of_turn(sim_event *e) {
  return (node *)((char *)e - offsetof(node, turn));
}


/*
** A turn
*/

static void plan(node *n, uint64_t next) {
  uint64_t at = next == 0 ? 0 : node_when(n, next);
  if (at != NEVER)
    sim_schedule(n->sim, &n->turn, at > n->seen ? at : n->seen);
}


static void finish(node *n, enum turn is, uint64_t next) {
  if (n->doomed) {
    n->doomed = false;
    node_crash(n, n->silent);
  } else if (is == TURN_ENDED) {
    node_end(n);
  } else if (n->state == NODE_RUNS) {
    plan(n, next);
  }
}


node *drive_enter(node *n) {
  node *before = n->sim->current;
  n->sim->current = n;
  n->run = 0;
  n->looks = 0;
  return before;
}


void drive_leave(node *n, node *before) {
  n->seen = node_here(n) + n->spent;
  n->computed += n->run + n->spent;
  n->run = n->spent = 0;
  n->sim->current = before;
}


/* Whatever its script has done shows in that. */
static uint64_t memory_of(const node *n) {
  return (uint64_t)lua_gc(n->host.L, LUA_GCCOUNT) * 1024 +
         (uint64_t)lua_gc(n->host.L, LUA_GCCOUNTB);
}


/* What failed is then who waits. */
static void tell_deadlock(host *h) {
  char text[512];
  char *waits = h->told == NULL ? life_eldest(h) : NULL;
  if (waits != NULL) {
    snprintf(text, sizeof text, "deadlock: %s", waits);
    h->told = memory_text(text, strlen(text));
  }
  free(waits);
  life_deadlock(h);
}


static void on_turn(sim_event *e) {
  node *n = node_of_turn(e);
  uint64_t next = NEVER;
  enum turn is = TURN_ENDED;
  node *before = drive_enter(n);
  n->spent = PRICE + chance_below(&n->sim->order, PRICES);
  if (!n->fails && !n->doomed) {
    sim_note(n->sim, HISTORY_TURN, n->index, memory_of(n), 0);
    is = life_turn(&n->host, node_now(n), &next);
    round_end(&n->host);
    if (is == TURN_STUCK)
      tell_deadlock(&n->host);
  }
  drive_leave(n, before);
  finish(n, is, next);
}


void drive_init(node *n) {
  n->turn.fire = on_turn;
}


void drive_wake(node *n) {
  if (n->state != NODE_RUNS || n->sim->current == n)
    return;
  uint64_t at = n->seen > n->sim->now ? n->seen : n->sim->now;
  if (!sim_is_scheduled(&n->turn) || n->turn.at > at)
    sim_schedule(n->sim, &n->turn, at);
}


void drive_rest(node *n) {
  sim_cancel(n->sim, &n->turn);
  n->fails = n->doomed = false;
}


void node_delivered(node *n) {
  if (!node_lives(n))
    return;
  round_end(&n->host);
  drive_wake(n);
}


/*
** The whole
*/

void sim_open(sim *s, uint64_t seed, const struct subsystem *subsystems) {
  *s = (sim){.now = SIM_START,
             .seed = seed,
             .limit = NEVER,
             .patience = SIM_PATIENCE,
             .wall = SIM_WALL,
             .subsystems = subsystems};
  chance_seed(&s->network, seed, "network", 0);
  chance_seed(&s->order, seed, "order", 0);
  chance_seed(&s->faults, seed, "faults", 0);
  chance_seed(&s->secrets, seed, "secrets", 0);
}


enum sim_step sim_step(sim *s) {
  if (sim_fire(s))
    return SIM_RAN;
  return sim_next(s) == NULL ? SIM_IDLE : SIM_LIMIT;
}


enum sim_step sim_run(sim *s, uint64_t until) {
  enum sim_step is = SIM_RAN;
  uint64_t limit = s->limit;
  if (until < limit)
    s->limit = until;
  while (is == SIM_RAN)
    is = sim_step(s);
  if (until < limit && s->now < until)
    s->now = until;
  s->limit = limit;
  return is;
}


void sim_deadlock(sim *s) {
  for (unsigned i = 0; i < s->node_count; i++) {
    node *n = s->nodes[i];
    if (n->state != NODE_RUNS)
      continue;
    node *before = drive_enter(n);
    tell_deadlock(&n->host);
    drive_leave(n, before);
    drive_wake(n);
  }
}


void sim_waiting(sim *s) {
  for (unsigned i = 0; i < s->node_count; i++) {
    node *n = s->nodes[i];
    if (!node_lives(n))
      continue;
    node *before = drive_enter(n);
    life_waiting(&n->host);
    drive_leave(n, before);
  }
}


void sim_close(sim *s) {
  s->outside = (sim_outside){0};
  flights_close(s);
  for (unsigned i = 0; i < s->node_count; i++)
    node_free(s->nodes[i]);
  links_close(s); /* streams wait in them */
  free(s->nodes);
  free(s->events);
  history_free(&s->history);
  *s = (sim){0};
}
