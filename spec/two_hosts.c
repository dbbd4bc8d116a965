/*
** Two hosts in one process, each with its own loop: nothing in C is shared.
**
** Both run two_hosts.lua at the same time, one in a thread of its own, and then
** again, so that what the first round leaves behind would show.  Only the first
** host of a round takes the signals, which are the process's.  Then one thread
** drives two hosts in turn, which talk with each other; and two of which one is
** to find out that it waits in vain, while the other computes.  In the end a host in
** this thread, and then one in another thread, are ended by a signal in a system call.
*/

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/host.h"
#include "net/closing.h"
#include "net/net.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/sys.h"
#include "uv/world.h"

enum { ROUNDS = 3, HOSTS = 2 };

#define MILLISECOND UINT64_C(1000000)

/* What a host runs: the script, and what it gets. */
typedef struct program {
  const char *name; /* of the host */
  const char *part; /* what it is to do */
} program;

static const char *script;

static const subsystem subsystems[] = {
    {.open = net_open, .end = closing_give_up, .close = net_close},
    {.open = sys_open},
    {NULL},
};


static int start(lua_State *L) {
  const program *p = lua_touserdata(L, 1);
  if (host_load_file(L, script) != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, p->name);
  lua_pushstring(L, p->part);
  task_spawn(L, NULL, 2);
  return 0;
}


static void begin(host *h, const program *p) {
  if (life_open(h, uv_world_open_thread, subsystems) < 0 ||
      !life_start(h, start, (void *)(uintptr_t)p))
    exit(EXIT_FAILURE);
}


static int finish(host *h) {
  life_close(h);
  return h->exit_status;
}


/*
** A thread each
*/

static int live(const program *p, bool signals) {
  host h = {0};
  if (life_open(&h, uv_world_open, subsystems) < 0)
    return EXIT_FAILURE;
  if (signals && uv_world_signals(&h) < 0)
    return EXIT_FAILURE;
  if (life_start(&h, start, (void *)(uintptr_t)p))
    life_run(&h);
  return finish(&h);
}


static void *second(void *status) {
  *(int *)status = live(&(program){"second", "alone"}, false);
  return NULL;
}


static void live_apart(void) {
  pthread_t thread;
  int other = EXIT_FAILURE;
  if (pthread_create(&thread, NULL, second, &other) != 0)
    exit(EXIT_FAILURE);
  int one = live(&(program){"first", "alone"}, true);
  pthread_join(thread, NULL);
  if (one == 0 && other == 0)
    return;
  fprintf(stderr, "two_hosts: the %s host failed\n",
          one != 0 ? "first" : "second");
  exit(EXIT_FAILURE);
}


/*
** A signal
*/

/* What it blocks in lasts for 9 s. */
static void *blocked(void *ended) {
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  int status = live(&(program){"blocked", "block"}, true);
  clock_gettime(CLOCK_MONOTONIC, &after);
  *(bool *)ended = status == -SIGTERM && after.tv_sec - before.tv_sec < 7;
  return NULL;
}


static bool are_ended(void) {
  pthread_t thread;
  bool here = false, there = false;
  blocked(&here);
  if (pthread_create(&thread, NULL, blocked, &there) != 0)
    return false;
  pthread_join(thread, NULL);
  if (!here || !there)
    fprintf(stderr, "two_hosts: a call in %s thread went on\n",
            here ? "the other" : "this");
  return here && there;
}


/*
** One thread for both
*/

/* A turn, and then a look at the world, which is short: the other one waits.
 * Where it is stuck is counted. */
static bool turn(host *h, uint64_t *time, int *stuck) {
  uint64_t next;
  switch (life_turn(h, *time, &next)) {
  case TURN_ENDED:
    return false;
  case TURN_STUCK:
    life_deadlock(h);
    (*stuck)++;
    *time = 0;
    return true;
  default: {
    uint64_t soon = h->world->now(h->outside) + MILLISECOND;
    *time = h->world->poll(h->outside, next < soon ? next : soon);
    return true;
  }
  }
}


/* Returns how often one was stuck. */
static int live_together(const program programs[HOSTS], int statuses[HOSTS]) {
  host hosts[HOSTS] = {{0}};
  uint64_t times[HOSTS] = {0};
  bool lives[HOSTS];
  int living = HOSTS, stuck = 0;
  for (int i = 0; i < HOSTS; i++) {
    begin(&hosts[i], &programs[i]);
    lives[i] = true;
  }
  for (int i = 0; living > 0; i = (i + 1) % HOSTS) {
    if (!lives[i] || turn(&hosts[i], &times[i], &stuck))
      continue;
    lives[i] = false;
    living--;
    statuses[i] = finish(&hosts[i]);
  }
  return stuck;
}


static void expect(bool met, const char *what) {
  if (met)
    return;
  fprintf(stderr, "two_hosts: %s\n", what);
  exit(EXIT_FAILURE);
}


int main(int argc, char **argv) {
  static const program talking[] = {{"first", "serve"}, {"second", "ask"}};
  static const program stranded[] = {{"first", "deadlock"},
                                     {"second", "alone"}};
  int statuses[HOSTS];
  if (argc != 2) {
    fputs("usage: two_hosts SCRIPT\n", stderr);
    return EXIT_FAILURE;
  }
  script = argv[1];
  for (int i = 1; i <= ROUNDS; i++) {
    live_apart();
    int stuck = live_together(talking, statuses);
    expect(stuck == 0, "one of two hosts that talk was stuck");
    expect(statuses[0] == 0 && statuses[1] == 0, "hosts that talk failed");
    stuck = live_together(stranded, statuses);
    expect(stuck == 1, "a deadlock was not found out, or found twice");
    expect(statuses[0] == 1, "a deadlocked host did not fail");
    expect(statuses[1] == 0, "a host beside a deadlocked one failed");
  }
  return are_ended() ? EXIT_SUCCESS : EXIT_FAILURE;
}
