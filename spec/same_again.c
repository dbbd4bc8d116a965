/*
** A host in an arena does the same each time (host/arena.h): what its script prints, which
** is whatever it can see of where it is, is compared between processes with other
** variables, in other folders, and between seeds.  And what runs when it crashes.
**
**   same_again SCRIPT             compare
**   same_again SCRIPT SEED        run it
**   same_again SCRIPT SEED crash  and let the machine crash
*/

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "empty_world.h"
#include "host/arena.h"
#include "host/host.h"
#include "net/backend.h"
#include "sched/life.h"
#include "sched/task.h"

enum { PLACE = 7, MOST = 1024 * 1024 };

static const backend no_sockets;
static const world nothing = EMPTY_WORLD("empty", &no_sockets);
static const subsystem none[] = {{NULL}};

static char self[PATH_MAX];
static uint64_t seed;


/*
** A run
*/

static int enter(host *h) {
  h->world = &nothing;
  h->no_environment = true;
  h->arena = arena_new(PLACE, seed);
  return h->arena != NULL ? 0 : -errno;
}


static int start(lua_State *L) {
  if (host_load_file(L, lua_touserdata(L, 1)) != LUA_OK)
    return lua_error(L);
  task_spawn(L, NULL, 0);
  return 0;
}


/* By the file's name in its own folder: what a chunk is called takes memory, too. */
static int run(char *path, bool crashes) {
  host h = {0};
  char *name = strdup(path);
  uint64_t next;
  if (name == NULL || chdir(dirname(name)) != 0 ||
      life_open(&h, enter, none) != 0)
    return EXIT_FAILURE;
  if (life_start(&h, start, basename(path)))
    while (life_turn(&h, empty_clock, &next) != TURN_ENDED)
      continue;
  if (crashes)
    arena_crash(h.arena);
  life_close(&h);
  free(name);
  return h.exit_status;
}


/*
** Comparing
*/

static void expect(bool met, const char *what) {
  if (met)
    return;
  fprintf(stderr, "same_again: %s\n", what);
  exit(EXIT_FAILURE);
}


static char *outcome(const char *script, const char *arguments) {
  char command[3 * PATH_MAX];
  char *text = calloc(1, MOST);
  snprintf(command, sizeof command, "'%s' '%s' %s", self, script, arguments);
  FILE *f = popen(command, "r");
  expect(f != NULL && text != NULL, "no process");
  size_t n = fread(text, 1, MOST - 1, f);
  expect(pclose(f) == 0, "a run failed");
  expect(n > 1000, "the script saw nothing");
  return text;
}


/* Environments are on the stack, so it lies elsewhere. */
static void change_outside(void) {
  char *large = calloc(1, 5000);
  memset(large, 'x', 4999);
  setenv("NEAP_SPEC", large, 1);
  setenv("LUA_PATH", "./elsewhere/?.lua;;", 1);
  setenv("TZ", "Asia/Tokyo", 1);
  setenv("LC_ALL", "C.UTF-8", 1);
  free(large);
  expect(chdir("/") == 0, "no root");
}


static void compare(const char *script) {
  char *first = outcome(script, "1"), *other = outcome(script, "2");
  char *crashed = outcome(script, "1 crash");
  expect(strcmp(first, other) != 0, "two seeds gave the same");
  expect(strstr(first, "finalized") != NULL, "the finalizer did not run");
  expect(strstr(crashed, "finalized") == NULL,
         "a finalizer ran behind the crash");
  change_outside();
  for (int i = 0; i < 2; i++) {
    char *again = outcome(script, "1");
    expect(strcmp(first, again) == 0, "one seed gave something else");
    free(again);
  }
  free(first);
  free(other);
  free(crashed);
}


int main(int argc, char **argv) {
  char script[PATH_MAX];
  if (argc < 2 || realpath(argv[1], script) == NULL ||
      realpath("/proc/self/exe", self) == NULL) {
    fputs("usage: same_again SCRIPT [SEED [crash]]\n", stderr);
    return EXIT_FAILURE;
  }
  if (argc > 2) {
    seed = strtoull(argv[2], NULL, 10);
    return run(script, argc > 3);
  }
  if (arena_replays())
    compare(script);
  return EXIT_SUCCESS;
}
