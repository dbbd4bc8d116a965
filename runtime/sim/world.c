/*
** Time, chance and order of a simulated host.
**
** Its clocks stand still while its tasks run, but for two things.  What computes is
** counted, by a hook (host.counted), and for each thousand instructions its time goes
** on; so who waits for the clock in a loop comes to an end, who serves slowly is slow,
** and an endless loop is found out, at the same instruction each time.  And who asks
** for the time again and again is given a little more of it.
*/

#include "sim/world.h"

#include <errno.h>

#include "net/round.h"
#include "sched/task.h"
#include "sim/node.h"

/* What so many instructions take (HOST_COUNT, which is what one call of thread_cpu
 * stands for); a look at the ticks; a look at the clock, behind the first ones; ns. */
enum { COMPUTING = 10 * HOST_COUNT, RUNNING = 100, LOOKING = 1000 };

enum { FREE_LOOKS = 1000 };


static void pass(node *n, uint64_t ns) {
  if (n->sim->current != n)
    return;
  n->seen += ns;
  n->run += ns;
}


static void look(node *n) {
  if (n->sim->current == n && ++n->looks > FREE_LOOKS)
    pass(n, LOOKING);
}


static uint64_t now(void *w) {
  look(w);
  return node_now(w);
}


static uint64_t coarse(void *w) {
  return node_now(w);
}


static uint64_t ticks(void *w) {
  node *n = w;
  if (n->sim->current == n)
    n->spent += RUNNING;
  return node_now(n) + n->spent;
}


static int64_t wall(void *w) {
  look(w);
  return node_wall(w);
}


static uint64_t cpu(void *w) {
  const node *n = w;
  look(w);
  return n->computed + n->run;
}


/* Called by the hook, so often. */
static uint64_t thread_cpu(void *w) {
  node *n = w;
  bool before = n->run <= n->sim->patience;
  pass(n, COMPUTING);
  if (before && n->run > n->sim->patience)
    sched_overrun(&n->host);
  return n->computed + n->run;
}


static void draw(void *w, void *bytes, size_t n) {
  node *one = w;
  chance_fill(&one->chance, bytes, n);
  sim_note(one->sim, HISTORY_DRAW, one->index, n, history_hash(bytes, n));
}


static size_t pick(void *w, size_t n) {
  node *one = w;
  size_t which = one->sim->fifo ? 0 : (size_t)chance_below(&one->sim->order, n);
  sim_note(one->sim, HISTORY_PICK, one->index, n, which);
  return which;
}


static void nothing(void *w) {
  (void)w;
}


static int descriptors(void *w) {
  (void)w;
  return -1;
}


static ssize_t list(void *w, const char *path, char *names, size_t room) {
  const sim_outside *o = &((node *)w)->sim->outside;
  return o->list != NULL ? o->list(w, path, names, room) : -ENOENT;
}


static bool never(void *w) {
  (void)w;
  return false;
}


static void end(host *h) {
  while (round_end(h))
    ;
}


const world sim_world = {
    .name = "simulated",
    .now = now,
    .coarse = coarse,
    .ticks = ticks,
    .wall = wall,
    .cpu = cpu,
    .thread_cpu = thread_cpu,
    .random = draw,
    .pick = pick,
    .hear = nothing,
    .nudge = nothing,
    .hush = nothing,
    .descriptors = descriptors,
    .list = list,
    .busy = never,
    .close = end,
    .net = &sim_backend,
    .sys = &sim_system,
};
