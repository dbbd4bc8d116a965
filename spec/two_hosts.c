/*
** Two hosts in one process, each with its own loop: nothing in C is shared.
**
** Both run two_hosts.lua at the same time, one in a thread of its own, and then
** again, so that what the first round leaves behind would show.  Only the first
** host of a round takes the signals, which are the process's.  In the end a host in
** this thread, and then one in another thread, are ended by a signal in a system call.
*/

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/host.h"
#include "net/net.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/system.h"
#include "uv/world.h"

enum { ROUNDS = 3 };

#define DRAIN (5 * UINT64_C(1000000000))

static const char *script;


static int open_sched(lua_State *L) {
  sched_open(L);
  net_open(L);
  return sys_open(L);
}


static int start(lua_State *L) {
  if (host_load_file(L, script) != LUA_OK)
    return lua_error(L);
  lua_insert(L, 1); /* below the name */
  task_spawn(L, NULL, 1);
  return 0;
}


static int failed(host *h) {
  fprintf(stderr, "two_hosts: %s\n", lua_tostring(h->L, -1));
  return EXIT_FAILURE;
}


static int run(host *h, const char *name) {
  lua_pushcfunction(h->L, open_sched);
  if (!host_call(h, 0, 0))
    return failed(h);
  lua_pushcfunction(h->L, start);
  lua_pushstring(h->L, name);
  if (!host_call(h, 1, 0))
    return failed(h);
  sched_run(h);
  h->world->drain(h->outside, h->world->now(h->outside) + DRAIN);
  return h->exit_status;
}


static int live(const char *name, bool signals) {
  host h = {0};
  if (uv_world_open(&h) < 0 || !host_open(&h))
    return EXIT_FAILURE;
  if (signals && uv_world_signals(&h) < 0)
    return EXIT_FAILURE;
  int status = run(&h, name);
  host_close(&h);
  net_give_up(&h);
  uv_world_close(&h);
  net_close(&h);
  sched_close(&h);
  return status;
}


static void *second(void *status) {
  *(int *)status = live("second", false);
  return NULL;
}


/* What it blocks in lasts for 9 s. */
static void *blocked(void *ended) {
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  int status = live("blocked", true);
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


int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: two_hosts SCRIPT\n", stderr);
    return EXIT_FAILURE;
  }
  script = argv[1];
  for (int i = 1; i <= ROUNDS; i++) {
    pthread_t thread;
    int other = EXIT_FAILURE;
    if (pthread_create(&thread, NULL, second, &other) != 0)
      return EXIT_FAILURE;
    int one = live("first", true);
    pthread_join(thread, NULL);
    if (one != 0 || other != 0) {
      fprintf(stderr, "two_hosts: round %d: the %s host failed\n", i,
              one != 0 ? "first" : "second");
      return EXIT_FAILURE;
    }
  }
  return are_ended() ? EXIT_SUCCESS : EXIT_FAILURE;
}
