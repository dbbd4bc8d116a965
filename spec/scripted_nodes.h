/*
** Simulated nodes that run parts of one script, and tell what they see.  Of one driver each,
** which includes it once.
*/

#ifndef SPEC_SCRIPTED_NODES_H
#define SPEC_SCRIPTED_NODES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "net/closing.h"
#include "net/net.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sim/node.h"
#include "sim/sim.h"
#include "sys/sys.h"
#include "worker/worker.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static const char *driver; /* what the program is called */
static const char *script;
static char told[4096]; /* by the nodes, with commas between */
static sim s;

static const subsystem subsystems[] = {
    {.open = net_open, .end = closing_give_up, .close = net_close},
    {.open = sys_open},
    {.open = workers_open, .end = workers_close},
    {NULL},
};


static void expect(bool met, const char *what) {
  if (met)
    return;
  printf("%s: %s; told: %s\n", driver, what, told);
  exit(EXIT_FAILURE);
}


static inline void expect_told(const char *text, const char *what) {
  if (strcmp(told, text) != 0)
    printf("expected: %s\n", text);
  expect(strcmp(told, text) == 0, what);
}


/* tell(...): what a script has seen. */
static int l_tell(lua_State *L) {
  for (int i = 1; i <= lua_gettop(L); i++) {
    size_t n = strlen(told);
    snprintf(told + n, sizeof told - n, "%s%s",
             n == 0   ? ""
             : i == 1 ? ", "
                      : " ",
             luaL_tolstring(L, i, NULL));
    lua_pop(L, 1);
  }
  return 0;
}


/* The script gets its part, and `tell`. */
static int start(lua_State *L) {
  if (host_load_file(L, script) != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, lua_touserdata(L, 1));
  lua_pushcfunction(L, l_tell);
  task_spawn(L, NULL, 2);
  return 0;
}


static void open_sim(uint64_t seed) {
  sim_open(&s, seed, subsystems);
  told[0] = '\0';
}


static node *begin(const char *name, const char *part) {
  node *n = node_new(&s, name);
  expect(node_start(n, start, (void *)(uintptr_t)part) == 0,
         "a node does not start");
  return n;
}


static inline void run(uint64_t ns) {
  sim_run(&s, s.now + ns);
}


static void read_arguments(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s SCRIPT\n", argv[0]);
    exit(EXIT_FAILURE);
  }
  driver = argv[0];
  script = argv[1];
}

#endif
