/*
** Messages among simulated nodes, in virtual time: each node runs sim_messages.lua,
** which learns which node of how many it is.
*/

#include "scripted_nodes.h"
#include "sim/flight.h"
#include "sim/mails.h"
#include "sim/names.h"

#define HOUR (3600 * SECOND)


static void begin_all(uint64_t seed, const char *const *names) {
  open_sim(seed);
  for (int i = 0; names[i] != NULL; i++)
    begin(names[i], names[i]);
}


static void end(void) {
  if (sim_run(&s, s.now + HOUR) == SIM_IDLE)
    sim_deadlock(&s);
  for (unsigned i = 0; i < s.node_count; i++) {
    expect(s.nodes[i]->state == NODE_ENDED, "a node has not ended");
    expect(s.nodes[i]->host.exit_status == 0, "a node has failed");
  }
  sim_close(&s);
}


/* n1 asks, the others serve. */
static void try_manners(uint64_t seed) {
  static const char *const names[] = {"n1", "n2", "n3", NULL};
  begin_all(seed, names);
  end();
}


/*
** Faults, at their times
*/

static void at(unsigned ms) {
  sim_run(&s, SIM_START + ms * MS);
}


static void try_faults(uint64_t seed) {
  static const char *const names[] = {"beats", "echoes", NULL};
  begin_all(seed, names);
  node *beats = s.nodes[0], *echoes = s.nodes[1];
  at(1050);
  link_cut(&s, beats, echoes, true);
  at(2050);
  link_cut(&s, beats, echoes, false);
  link_cut(&s, echoes, beats, true);
  at(3050);
  link_heal_all(&s);
  at(4050);
  node_crash(echoes, true);
  at(5050);
  expect(node_restart(echoes) == 0, "it was not restarted");
  at(6050);
  node_pause(echoes);
  at(7050);
  node_resume(echoes);
  at(8050);
  link_hold(&s, beats, echoes, true);
  at(9050);
  link_hold(&s, beats, echoes, false);
  end();
}


/* A narrow link holds up who sends, and drops nothing. */
static void try_bandwidth(uint64_t seed) {
  static const char *const names[] = {"floods", "counts", NULL};
  begin_all(seed, names);
  link_set_usual(&s, &(link_manner){.least = MS, .bandwidth = 100000});
  end();
}


int main(int argc, char **argv) {
  read_arguments(argc, argv);
  for (uint64_t seed = 1; seed <= 3; seed++) {
    try_manners(seed);
    try_faults(seed);
    try_bandwidth(seed);
  }
  return EXIT_SUCCESS;
}
