/*
** Messages among simulated nodes, in virtual time: each node runs sim_messages.lua,
** which learns which node of how many it is.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/closing.h"
#include "net/net.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sim/flight.h"
#include "sim/mails.h"
#include "sim/names.h"
#include "sim/node.h"
#include "sys/sys.h"

#define MS UINT64_C(1000000)
#define HOUR (3600 * 1000 * MS)

static const char *script;

static const subsystem subsystems[] = {
    {.open = net_open, .end = closing_give_up, .close = net_close},
    {.open = sys_open},
    {NULL},
};


static int start(lua_State *L) {
  const char *name = lua_touserdata(L, 1);
  if (host_load_file(L, script) != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, name);
  task_spawn(L, NULL, 1);
  return 0;
}


static void expect(bool met, const char *what) {
  if (met)
    return;
  fprintf(stderr, "sim_messages: %s\n", what);
  exit(EXIT_FAILURE);
}


static void begin(uint64_t seed, sim *s, const char *const *names) {
  sim_open(s, seed, subsystems);
  for (int i = 0; names[i] != NULL; i++)
    node_new(s, names[i]);
  for (int i = 0; names[i] != NULL; i++)
    expect(node_start(s->nodes[i], start, (void *)(uintptr_t)names[i]) == 0,
           "a node did not start");
}


static void end(sim *s) {
  if (sim_run(s, s->now + HOUR) == SIM_IDLE)
    sim_deadlock(s);
  for (unsigned i = 0; i < s->node_count; i++) {
    expect(s->nodes[i]->state == NODE_ENDED, "a node has not ended");
    expect(s->nodes[i]->host.exit_status == 0, "a node has failed");
  }
  sim_close(s);
}


/* n1 asks, the others serve. */
static void try_manners(uint64_t seed) {
  static const char *const names[] = {"n1", "n2", "n3", NULL};
  sim s;
  begin(seed, &s, names);
  end(&s);
}


/*
** Faults, at their times
*/

static void at(sim *s, unsigned ms) {
  sim_run(s, SIM_START + ms * MS);
}


static void try_faults(uint64_t seed) {
  static const char *const names[] = {"beats", "echoes", NULL};
  sim s;
  begin(seed, &s, names);
  node *beats = s.nodes[0], *echoes = s.nodes[1];
  at(&s, 1050);
  link_cut(&s, beats, echoes, true);
  at(&s, 2050);
  link_cut(&s, beats, echoes, false);
  link_cut(&s, echoes, beats, true);
  at(&s, 3050);
  link_heal_all(&s);
  at(&s, 4050);
  node_crash(echoes, true);
  at(&s, 5050);
  expect(node_restart(echoes) == 0, "it was not restarted");
  at(&s, 6050);
  node_pause(echoes);
  at(&s, 7050);
  node_resume(echoes);
  at(&s, 8050);
  link_hold(&s, beats, echoes, true);
  at(&s, 9050);
  link_hold(&s, beats, echoes, false);
  end(&s);
}


/* A narrow link holds up who sends, and drops nothing. */
static void try_bandwidth(uint64_t seed) {
  static const char *const names[] = {"floods", "counts", NULL};
  sim s;
  begin(seed, &s, names);
  link_set_usual(&s, &(link_manner){.least = MS, .bandwidth = 100000});
  end(&s);
}


int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: sim_messages SCRIPT\n", stderr);
    return EXIT_FAILURE;
  }
  script = argv[1];
  for (uint64_t seed = 1; seed <= 3; seed++) {
    try_manners(seed);
    try_faults(seed);
    try_bandwidth(seed);
  }
  return EXIT_SUCCESS;
}
