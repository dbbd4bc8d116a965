/*
** Nodes of a simulation that has no network: their clocks, the order of their tasks,
** how they end, crash, pause and begin again; and what computes without end.
*/

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "scripted_nodes.h"

static char heard[4096]; /* on stderr */


/* What was said since the last time. */
static void hear(void) {
  fflush(stderr);
  ssize_t got = pread(STDERR_FILENO, heard, sizeof heard - 1, 0);
  heard[got > 0 ? got : 0] = '\0';
  if (ftruncate(STDERR_FILENO, 0) == 0)
    lseek(STDERR_FILENO, 0, SEEK_SET);
}


static void print_heard(void) {
  hear();
  fputs(heard, stdout);
}


static void expect_heard(const char *text, const char *what) {
  hear();
  if (strstr(heard, text) == NULL)
    fputs(heard, stdout);
  expect(strstr(heard, text) != NULL, what);
}


/* A part alone, to its end. */
static node *run_part(uint64_t seed, const char *part) {
  open_sim(seed);
  node *n = begin("alone", part);
  expect(sim_run(&s, NEVER) == SIM_IDLE, "not all came to its end");
  expect(n->state == NODE_ENDED, "it has not ended");
  return n;
}


static void close_sim(void) {
  sim_close(&s);
  hear();
}


/*
** Time
*/

static double processor_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}


static void try_time(void) {
  run_part(1, "day");
  expect_told("86400.000000000 86400.000000000 2000-01-02 00:00:00",
              "a day does not last a day");
  close_sim();
  open_sim(1);
  begin("sleeper", "year");
  run(SECOND);
  double before = processor_time();
  expect(sim_run(&s, NEVER) == SIM_IDLE && s.now > 31536000 * SECOND,
         "a year is not over");
  expect(processor_time() - before < 0.05, "a year takes long");
  close_sim();
}


static void try_clocks(void) {
  open_sim(1);
  node *fast = begin("fast", "day"), *late = begin("late", "day");
  node_drift(fast, (int64_t)SECOND / 100);
  node_step_wall(late, -(int64_t)(3600 * SECOND));
  run(SECOND);
  node_step_wall(fast, (int64_t)SECOND);
  run(85968 * SECOND);
  expect_told("86400.000000000 86401.000000000 2000-01-02 00:00:01",
              "a fast clock does not come earlier");
  run(864 * SECOND);
  expect(strstr(told, "86400.000000000 86400.000000000 2000-01-01 23:00:00") !=
             NULL,
         "another wall clock was not late");
  for (int64_t drift = -99999999; drift < 100000000; drift += 12345678) {
    node_drift(late, drift);
    for (uint64_t in = 1; in < 1000000 * SECOND; in = in * 3 + 1) {
      uint64_t wanted = node_now(late) + in, then = node_when(late, wanted);
      node probe = {.sim = &s, .clock = late->clock, .seen = then};
      expect(node_now(&probe) >= wanted, "woken too early");
      probe.seen = then - 2;
      expect(node_now(&probe) < wanted, "woken too late");
    }
  }
  close_sim();
}


static void try_computing(void) {
  run_part(1, "looks");
  expect_told("looked", "who looks at the clock does not see it go");
  close_sim();
  run_part(1, "yields");
  expect_told("yielded", "who yields does not see the time go");
  close_sim();
  run_part(1, "computes");
  expect_told("0.01 0.01", "what computes takes no time");
  close_sim();
  run_part(1, "hooks");
  expect_told("true", "a script has no hook of its own");
  close_sim();
}


static void try_endless(const char *part, const char *place) {
  open_sim(1);
  s.patience = SECOND / 50;
  node *n = begin("alone", part);
  node *other = begin("other", "day");
  expect(sim_run(&s, NEVER) == SIM_IDLE, "not all came to its end");
  expect(n->state == NODE_ENDED && n->host.exit_status == 1,
         "an endless loop has not ended its host");
  expect_heard("alone: ", "it was not told who");
  expect(strstr(heard, place) != NULL, "it was not told where");
  expect(other->host.exit_status == 0 && strncmp(told, "86400", 5) == 0,
         "another host has failed");
  close_sim();
}


/*
** Order
*/

static void try_order(void) {
  char first[256], texts[16][256];
  int others = 0;
  run_part(7, "order");
  strcpy(first, told);
  close_sim();
  run_part(7, "order");
  expect_told(first, "the same seed gives another order");
  close_sim();
  for (int i = 0; i < 16; i++) {
    run_part((uint64_t)i, "order");
    strcpy(texts[i], told);
    others += i > 0 && strcmp(texts[i], texts[0]) != 0;
    close_sim();
  }
  expect(others == 15, "other seeds give the same order");
  open_sim(3);
  begin("one", "order");
  begin("two", "order");
  run(SECOND);
  char *second = strstr(told, ", ");
  expect(second != NULL &&
             strncmp(strchr(told, ' '), strchr(second + 2, ' '), 5) != 0,
         "two hosts have the same chance");
  close_sim();
  double before = processor_time();
  run_part(1, "many");
  expect_told("20000", "some of many tasks have not run");
  expect(processor_time() - before < 20, "many tasks take long");
  close_sim();
}


/*
** Lives
*/

static int changes[8];

static void on_change(sim *of, node *n, int change) {
  expect(of == &s && n->sim == &s, "another simulation is told");
  expect(node_lives(n) || n->host.L != NULL, "told when it is gone");
  changes[change]++;
}


static void try_crash(void) {
  open_sim(1);
  s.outside.changed = on_change;
  node *n = begin("server", "open");
  run(SECOND);
  node_crash(n, true);
  expect(n->state == NODE_CRASHED && n->host.L == NULL, "it lives");
  run(1000 * SECOND);
  expect_told("begun", "code ran in a host that has crashed");
  expect(node_restart(n) == 0 && n->lives == 2, "it does not start again");
  expect(node_start(n, start, NULL) < 0, "it was started twice");
  run(SECOND);
  node_signal(n, SIGKILL);
  expect(n->state == NODE_CRASHED && n->host.exit_status == -SIGKILL,
         "it survives SIGKILL");
  node_restart(n);
  run(SECOND);
  node_signal(n, SIGTERM);
  run(SECOND);
  expect_told("begun, begun, begun, closed, collected, collected",
              "a stop in order is none");
  expect(n->state == NODE_ENDED && n->host.exit_status == -SIGTERM,
         "it does not end by the signal");
  node_restart(n);
  run(SECOND);
  expect(changes[NODE_STARTED] == 4 && changes[NODE_CRASHES] == 2 &&
             changes[NODE_HAS_ENDED] == 1,
         "not all changes were told");
  close_sim(); /* while it runs */
  expect(strstr(told, "closed, collected, collected, begun") != NULL &&
             strlen(told) == strlen("begun, begun, begun, closed, collected, "
                                    "collected, begun"),
         "the end of a simulation is seen by its hosts");
}


static void try_signals(void) {
  open_sim(1);
  node *n = begin("alone", "hup");
  run(SECOND / 2);
  node_signal(n, SIGHUP);
  run(2 * SECOND);
  expect_told("SIGHUP, again", "a signal was not caught");
  node_signal(n, SIGHUP);
  run(SECOND);
  expect(n->state == NODE_RUNS, "a missed signal has ended it");
  node_signal(n, SIGUSR2);
  expect(n->state == NODE_CRASHED && n->host.exit_status == -SIGUSR2,
         "it survives a signal that nobody takes");
  close_sim();
}


static void try_pause(void) {
  open_sim(1);
  node *n = begin("alone", "day");
  run(10 * SECOND);
  node_pause(n);
  run(2 * 86400 * SECOND);
  expect_told("", "a paused host runs");
  node_resume(n);
  run(SECOND);
  expect_told("172810.000000000 172810.000000000 2000-01-03 00:00:10",
              "a paused host does not go on, or not late");
  close_sim();
}


static void try_ends(void) {
  expect(run_part(1, "exits")->host.exit_status == 7, "os.exit has no status");
  close_sim();
  expect(run_part(1, "fails")->host.exit_status == 1, "an error has no status");
  expect_heard("alone: on purpose", "it is not told who has failed");
  close_sim();
  run_part(1, "forks");
  expect_told("none", "it has children");
  close_sim();
  run_part(1, "threads");
  expect_told("none", "it has threads");
  close_sim();
  open_sim(1);
  node *n = node_new(&s, "bad");
  expect(node_start(n, start, (void *)(uintptr_t) "nothing") == 0 &&
             n->state == NODE_RUNS,
         "its start was not tried");
  run(SECOND);
  expect(n->state == NODE_ENDED && n->host.exit_status == 1,
         "a bad start did not end it");
  close_sim();
}


static void try_deadlock(void) {
  open_sim(1);
  node *one = begin("one", "waits"), *two = begin("two", "waits");
  expect(sim_run(&s, NEVER) == SIM_IDLE, "it is not idle");
  expect(one->state == NODE_RUNS && two->state == NODE_RUNS,
         "who waits for the world has ended");
  sim_deadlock(&s);
  expect(sim_run(&s, NEVER) == SIM_IDLE, "it has not ended");
  expect(one->host.exit_status == 1 && two->host.exit_status == 1,
         "a deadlock is no failure");
  expect_heard("one: deadlock: 1 task waits", "the first was not told");
  expect(
      strstr(heard, "two: deadlock: 1 task waits") != NULL &&
          strstr(heard, "waits for wait for a signal at spec/sim_nodes.lua") !=
              NULL,
      "the second was not told");
  close_sim();
  expect(run_part(1, "stuck")->host.exit_status == 1,
         "a host's own deadlock is not found out");
  close_sim();
}


static void try_names(void) {
  open_sim(1);
  node *last = NULL;
  for (int i = 0; i < 300; i++) {
    char name[16];
    snprintf(name, sizeof name, "n%d", i);
    last = node_new(&s, name);
  }
  expect(node_find(&s, "n299") == last && node_find(&s, "n300") == NULL,
         "a name is not found");
  expect(node_at(&s, &last->ip4) == last && node_at(&s, &last->ip6) == last,
         "an address is not found");
  address a;
  address_loopback(&a, AF_INET6, 0);
  expect(node_at(&s, &a) == NULL, "loopback is somebody's");
  close_sim();
}


int main(int argc, char **argv) {
  read_arguments(argc, argv);
  FILE *said = tmpfile();
  if (said == NULL || dup2(fileno(said), STDERR_FILENO) < 0)
    return EXIT_FAILURE;
  atexit(print_heard);
  try_time();
  try_clocks();
  try_computing();
  try_endless("loops", "sim_nodes.lua:103");
  try_endless("catches", "sim_nodes.lua:108");
  try_endless("switches", "sim_nodes.lua:1");
  try_order();
  try_crash();
  try_signals();
  try_pause();
  try_ends();
  try_deadlock();
  try_names();
  return EXIT_SUCCESS;
}
