/*
** A node: a host of the simulated network, with clocks, chance and addresses of its
** own, and what becomes of it.
**
** It outlives its host: a node that has crashed or ended can be started again, with a
** lua_State that knows nothing of the one before.  What its sockets have in the
** network (ports, what is under way) the other parts keep for it, and drop when it
** goes.
*/

#ifndef SIM_NODE_H
#define SIM_NODE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/host.h"
#include "net/address.h"
#include "sim/sim.h"

typedef struct node node;

enum node_state {
  NODE_OFF,  /* not started yet */
  NODE_RUNS, /* it gets turns */
  NODE_PAUSED, /* it gets none; its sockets stay, and take what they have room for */
  NODE_CRASHED, /* its state is gone: nobody has closed anything */
  NODE_ENDED    /* by itself; node.host.exit_status says how */
};

/* How it went.  Who is told by sim.changed may look at it. */
enum node_change {
  NODE_STARTED,
  NODE_CRASHES, /* its host is still there, but will not run any more */
  NODE_HAS_ENDED,
  NODE_PAUSES,
  NODE_RESUMES
};

/* A clock that may go wrong.  The monotonic one is continuous, whatever changes. */
typedef struct node_clock {
  uint64_t since; /* sim.now of the last change */
  uint64_t was;   /* the monotonic clock then */
  int64_t drift;  /* ns that it gains in a second */
  int64_t offset; /* ns that the wall clock is ahead of the true time, but for
                     the drift */
} node_clock;

struct node {
  host host; /* its `outside` is the node.  Zeroed where there is none */
  sim *sim;
  unsigned index; /* among sim.nodes */
  char *name;
  address ip4, ip6; /* of its interface to the network, port 0; it has its own
                       loopback, too */
  enum node_state state;
  node_clock clock;
  chance chance;  /* its own: world.random */
  unsigned lives; /* how often it was started */
  char *told;     /* of the life before: why it failed; malloc'ed, or NULL */

  /* The turns (drive.c) */
  sim_event turn;    /* the next one */
  uint64_t seen;     /* its own share of sim.now: what has computed is ahead */
  uint64_t spent;    /* ns of that turn which its tasks do not see */
  uint64_t computed; /* ns of processor time that it has used */
  uint64_t run;      /* of these, in this turn */
  unsigned looks;    /* at the clock, in this turn */
  bool fails;        /* its start has */
  bool doomed;       /* it crashes behind this turn, perhaps silently */
  bool silent;

  /* Signals (signals.c) */
  struct subscription *watches;
  uint64_t taken, missed, ignored; /* bits, as of sys/signals.h */
  int ending;                      /* by that signal; 0 */
  sim_event overdue;               /* its drain is */

  /* What it is started with */
  lua_CFunction start;
  void *about;
  void *owner; /* of who made it */

  /* Of the other parts, each NULL until it is needed */
  struct node_ports *ports; /* of streams: ports.h */
  struct node_mails *mails; /* of messages */
};

/* The node that a host is of; and where Lua runs. */
static inline node *node_of(const host *h) {
  return h->outside;
}

/* What its process is called, and its peers are told. */
static inline int node_pid(const node *n) {
  return 1000 + (int)n->index;
}

/* Has it sockets that the network can reach?  Also while it is paused. */
static inline bool node_lives(const node *n) {
  return n->state == NODE_RUNS || n->state == NODE_PAUSED;
}

/* A new one, off, with the next addresses: 10.0.0.1 and fd00::1 is the first one's.
 * The name is copied; it is the label of what its host tells. */
node *node_new(sim *s, const char *name);
node *node_find(const sim *s, const char *name); /* or NULL */

/* Who has this address, whatever its port; NULL: nobody.  Not for loopback. */
node *node_at(const sim *s, const address *a);

/* Open a host for it, and call start(about), which is to spawn the first task, with a
 * light userdata (life_start).  Its tasks run from the next step on.  0 or -errno:
 * -EBUSY where it lives.  What start raises ends the host at once. */
int node_start(node *n, lua_CFunction start, void *about);
int node_restart(node *n); /* by what it was started with before */

/* Drop it: no `<close>` and no code of its script runs any more.  `silent`: its peers
 * are told nothing, as where a machine loses its power; else their connections are
 * reset, as where a process dies.  Not from inside its turn: then it is done behind
 * it. */
void node_crash(node *n, bool silent);

/* A signal for it, by its number: as in a real process it is caught, or ends the program
 * in order (SIGINT, SIGTERM), or kills it. */
void node_signal(node *n, int signal);

void node_pause(node *n);
void node_resume(node *n);

/* Something has been delivered to it: it gets a turn, and what was closed is freed
 * (round_end).  Behind each delivery, of whatever. */
void node_delivered(node *n);

/* Where it is in sim.now: ahead of that while it computes. */
static inline uint64_t node_here(const node *n) {
  return n->seen > n->sim->now ? n->seen : n->sim->now;
}

/* Its clocks, now; and when, by sim.now, its monotonic one will show a time. */
uint64_t node_now(const node *n);
int64_t node_wall(const node *n);
uint64_t node_when(const node *n, uint64_t time);

/* From now on it gains so many ns a second, which are less than 10^8; or its wall clock
 * is set forward by so many ns, or back, at most 10^18 at a time. */
void node_drift(node *n, int64_t drift);
void node_step_wall(node *n, int64_t by);

#endif
