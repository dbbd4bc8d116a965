#include "sim/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/arena.h"
#include "host/memory.h"
#include "sched/drain.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sim/drive.h"
#include "sim/finalizers.h"
#include "sim/message.h"
#include "sim/ports.h"
#include "sim/signals.h"
#include "sim/world.h"

#define SECOND INT64_C(1000000000)

/* Of the network: 10.0.0.0/8 and fd00::/64. */
enum { NETWORK4 = 10 << 24 };


/*
** Clocks
*/

/* What a span of the true time is on a clock that gains so many ns a second, without
 * leaving 64 bits: the whole seconds, and the rest. */
static uint64_t drifted(uint64_t span, int64_t drift) {
  int64_t seconds = (int64_t)(span / SECOND), rest = (int64_t)(span % SECOND);
  return span + (uint64_t)(seconds * drift + rest * drift / SECOND);
}


static uint64_t monotonic(const node_clock *c, uint64_t at) {
  return c->was + drifted(at - c->since, c->drift);
}


uint64_t node_now(const node *n) {
  return monotonic(&n->clock, node_here(n));
}


int64_t node_wall(const node *n) {
  return n->sim->wall + (int64_t)(node_now(n) - SIM_START) + n->clock.offset;
}


/* Between the two bounds it is looked for by halves. */
uint64_t node_when(const node *n, uint64_t time) {
  const node_clock *c = &n->clock;
  if (time == NEVER)
    return NEVER;
  if (time <= c->was)
    return c->since;
  if (c->drift == 0)
    return c->since + (time - c->was);
  uint64_t low = 0, high = 1;
  while (drifted(high, c->drift) < time - c->was && high < NEVER / 4)
    high *= 2;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (drifted(middle, c->drift) < time - c->was)
      low = middle + 1;
    else
      high = middle;
  }
  return c->since + low;
}


/* From its turn, or from another one's: what waits for a time looks again. */
void node_drift(node *n, int64_t drift) {
  n->clock.was = node_now(n);
  n->clock.since = node_here(n);
  n->clock.drift = drift;
  drive_wake(n);
}


/* A century, either way, is as far as it goes. */
void node_step_wall(node *n, int64_t by) {
  const int64_t most = INT64_C(100) * 365 * 86400 * SECOND;
  int64_t offset = n->clock.offset + by;
  n->clock.offset = offset > most ? most : offset < -most ? -most : offset;
}


/*
** Nodes
*/

static void give_addresses(node *n) {
  uint32_t ip = NETWORK4 + n->index + 1;
  n->ip4.length = sizeof n->ip4.u.in4;
  n->ip4.u.in4.sin_family = AF_INET;
  n->ip4.u.in4.sin_addr.s_addr = htonl(ip);
  n->ip6.length = sizeof n->ip6.u.in6;
  n->ip6.u.in6.sin6_family = AF_INET6;
  unsigned char *bytes = n->ip6.u.in6.sin6_addr.s6_addr;
  bytes[0] = 0xfd;
  for (int i = 0; i < 4; i++)
    bytes[15 - i] = (unsigned char)((n->index + 1) >> 8 * i);
}


static void append(sim *s, node *n) {
  if (s->node_count == s->node_room) {
    s->node_room = s->node_room == 0 ? 16 : s->node_room * 2;
    s->nodes = memory_grow(s->nodes, s->node_room * sizeof(node *));
  }
  n->index = s->node_count;
  s->nodes[s->node_count++] = n;
}


node *node_new(sim *s, const char *name) {
  node *n = memory_new(sizeof *n);
  n->sim = s;
  n->name = memory_text(name, strlen(name));
  n->clock = (node_clock){.since = s->now, .was = s->now};
  append(s, n);
  give_addresses(n);
  chance_seed(&n->chance, s->seed, "node", n->index);
  drive_init(n);
  return n;
}


node *node_find(const sim *s, const char *name) {
  for (unsigned i = 0; i < s->node_count; i++)
    if (strcmp(s->nodes[i]->name, name) == 0)
      return s->nodes[i];
  return NULL;
}


static node *at_index(const sim *s, uint32_t index) {
  return index < s->node_count ? s->nodes[index] : NULL;
}


node *node_at(const sim *s, const address *a) {
  if (a->u.any.sa_family == AF_INET)
    return at_index(s, ntohl(a->u.in4.sin_addr.s_addr) - NETWORK4 - 1);
  if (a->u.any.sa_family != AF_INET6)
    return NULL;
  uint32_t number = 0;
  const unsigned char *bytes = a->u.in6.sin6_addr.s6_addr;
  for (int i = 12; i < 16; i++)
    number = number << 8 | bytes[i];
  node *n = at_index(s, number - 1);
  return n != NULL && memcmp(bytes, n->ip6.u.in6.sin6_addr.s6_addr, 16) == 0
             ? n
             : NULL;
}


/*
** Lives
*/

static void tell(node *n, enum node_change change) {
  sim_note(n->sim, HISTORY_CHANGE, n->index, change, 0);
  if (n->sim->outside.changed != NULL)
    n->sim->outside.changed(n->sim, n, change);
}


/* Another seed gives tables another order; another life may have the same. */
static int enter(host *h) {
  const node *n = node_of(h);
  chance order;
  chance_seed(&order, n->sim->seed, "tables", n->index);
  h->world = &sim_world;
  h->arena = arena_new(n->index, chance_next(&order));
  return h->arena != NULL ? 0 : -errno;
}


static int open_host(node *n) {
  n->host = (host){.outside = n,
                   .label = n->name,
                   .drain = n->sim->drain,
                   .no_environment = true,
                   .counted = true};
  int status = life_open(&n->host, enter, n->sim->subsystems);
  if (status < 0)
    n->host = (host){0};
  return status;
}


/* Does it begin well? */
static bool start_host(node *n) {
  lua_pushcfunction(n->host.L, finalizers_open);
  return host_call(&n->host, 0, 0) && life_start(&n->host, n->start, n->about);
}


int node_start(node *n, lua_CFunction start, void *about) {
  if (node_lives(n))
    return -EBUSY;
  node *before = drive_enter(n);
  int status = open_host(n);
  if (status == 0) {
    n->start = start;
    n->about = about;
    n->state = NODE_RUNS;
    n->lives++;
    tell(n, NODE_STARTED);
    n->fails = !start_host(n);
  }
  drive_leave(n, before);
  drive_wake(n);
  return status;
}


int node_restart(node *n) {
  return node_start(n, n->start, n->about);
}


static void vanish(node *n, bool silent) {
  ports_vanish(n, silent);
  messages_vanish(n);
}


/* In a line, with where it was. */
static void keep_told(node *n) {
  const char *text = n->host.told, *at = n->host.told_at;
  free(n->told);
  n->told = NULL;
  if (text == NULL)
    return;
  size_t length = strcspn(text, "\n");
  bool adds = at != NULL && strstr(text, at) == NULL;
  size_t room = length + (adds ? strlen(at) : 0) + 4;
  n->told = memory_new(room);
  snprintf(n->told, room, "%.*s%s%s%s", (int)length, text, adds ? " (" : "",
           adds ? at : "", adds ? ")" : "");
}


/* What its sockets still do is for nobody. */
static void drop(node *n) {
  node *before = drive_enter(n);
  keep_told(n);
  life_close(&n->host);
  drive_leave(n, before);
  n->host = (host){.exit_status = n->host.exit_status};
  signals_drop(n);
  drive_rest(n);
}


void node_end(node *n) {
  n->state = NODE_ENDED;
  tell(n, NODE_HAS_ENDED);
  drop(n);
}


static void crash(node *n, bool silent) {
  n->state = NODE_CRASHED;
  tell(n, NODE_CRASHES);
  vanish(n, silent);
  finalizers_forget(&n->host);
  drop(n);
}


void node_crash(node *n, bool silent) {
  if (node_lives(n) && n->sim->current == n) {
    n->doomed = true;
    n->silent = silent;
  } else if (node_lives(n)) {
    crash(n, silent);
  }
}


void node_pause(node *n) {
  if (n->state != NODE_RUNS)
    return;
  n->state = NODE_PAUSED;
  sim_cancel(n->sim, &n->turn);
  tell(n, NODE_PAUSES);
}


void node_resume(node *n) {
  if (n->state != NODE_PAUSED)
    return;
  n->state = NODE_RUNS;
  tell(n, NODE_RESUMES);
  drive_wake(n);
}


void node_free(node *n) {
  if (node_lives(n))
    crash(n, true);
  ports_close(n);
  mails_close_node(n);
  sim_cancel(n->sim, &n->turn);
  free(n->name);
  free(n->told);
  free(n);
}
