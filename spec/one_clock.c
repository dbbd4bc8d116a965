/*
** Two hosts in a world whose clock goes only where the driver sets it: what they wait
** for comes at once, in its order, and nobody sleeps.  So a world without `poll` is
** driven (sched/life.h).  And what a world may not lack is told.
*/

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "empty_world.h"
#include "host/host.h"
#include "net/backend.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sched/world.h"

enum { HOSTS = 2 };

static const int hours[HOSTS] = {24, 10}; /* that each sleeps */

static const char expected[] = "10 20 24 30 48 72 ";

static const char *script;
static char told[64];


/*
** The world
*/

static const backend no_sockets; /* which net_open would check */

static const world one_clock = EMPTY_WORLD("one clock", &no_sockets);


static int enter(host *h) {
  h->world = &one_clock;
  return 0;
}


/*
** The hosts
*/

static const subsystem none[] = {{NULL}};


static int l_tell(lua_State *L) {
  size_t n = strlen(told);
  snprintf(told + n, sizeof told - n, "%d ", (int)luaL_checkinteger(L, 1));
  return 0;
}


static int start(lua_State *L) {
  const int *h = lua_touserdata(L, 1);
  if (host_load_file(L, script) != LUA_OK)
    return lua_error(L);
  lua_pushinteger(L, *h);
  lua_pushcfunction(L, l_tell);
  task_spawn(L, NULL, 2);
  return 0;
}


static void expect(bool met, const char *what) {
  if (met)
    return;
  fprintf(stderr, "one_clock: %s; told: %s\n", what, told);
  exit(EXIT_FAILURE);
}


/* A turn for each; when the first wants to go on. */
static uint64_t turn_all(host hosts[HOSTS], int *stuck) {
  uint64_t first = NEVER;
  for (int i = 0; i < HOSTS; i++) {
    uint64_t next;
    if (life_turn(&hosts[i], empty_clock, &next) == TURN_STUCK) {
      (*stuck)++;
      life_deadlock(&hosts[i]);
    }
    if (next < first)
      first = next;
  }
  return first;
}


static void drive(void) {
  host hosts[HOSTS] = {{0}};
  int stuck = 0;
  for (int i = 0; i < HOSTS; i++)
    expect(life_open(&hosts[i], enter, none) == 0 &&
               life_start(&hosts[i], start, (void *)(uintptr_t)&hours[i]),
           "a host did not start");
  for (uint64_t next; (next = turn_all(hosts, &stuck)) != NEVER;)
    if (next > empty_clock)
      empty_clock = next;
  expect(strcmp(told, expected) == 0, "not in the order of time");
  expect(stuck == 1, "a deadlock was not found out");
  expect(hosts[0].exit_status == 1 && hosts[1].exit_status == 0,
         "another host failed than the one that waits in vain");
  for (int i = 0; i < HOSTS; i++)
    life_close(&hosts[i]);
}


/*
** What a world may not lack
*/

static int enter_without(host *h) {
  static world lame;
  lame = one_clock;
  lame.hush = NULL;
  h->world = &lame;
  return 0;
}


static int enter_half(host *h) {
  static world lame;
  lame = one_clock;
  lame.ring = empty_nothing; /* and no thread that could */
  h->world = &lame;
  return 0;
}


static bool is_refused(int (*make)(host *h)) {
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    host h = {0};
    signal(SIGABRT, SIG_DFL);
    fclose(stderr);
    life_open(&h, make, none);
    _exit(EXIT_SUCCESS);
  }
  return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
         WTERMSIG(status) == SIGABRT;
}


int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: one_clock SCRIPT\n", stderr);
    return EXIT_FAILURE;
  }
  script = argv[1];
  expect(is_refused(enter_without), "a world without hush was taken");
  expect(is_refused(enter_half),
         "a world that rings without threads was taken");
  drive();
  return EXIT_SUCCESS;
}
