/*
** A simulation does the same each time: what its scripts print, which is whatever they can
** see of where they are, and its history, are compared between processes with other
** variables and in other folders, and between seeds.
**
**   sim_replay SCRIPT        compare
**   sim_replay SCRIPT SEED   run it
*/

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "fs/fs.h"
#include "host/arena.h"
#include "net/closing.h"
#include "net/net.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sim/node.h"
#include "sim/sim.h"
#include "sim/standard.h"
#include "sys/sys.h"
#include "tls/tls.h"
#include "json/json.h"

enum { NODES = 2, MOST = 1024 * 1024 };

static const subsystem subsystems[] = {
    {.open = json_open},
    {.open = crypto_open, .close = crypto_close},
    {.open = net_open, .end = closing_give_up, .close = net_close},
    {.open = tls_open, .close = tls_close},
    {.open = fs_open},
    {.open = sys_open},
    {.open = sim_standard_open},
    {NULL},
};

static char self[PATH_MAX];


static void expect(bool met, const char *what) {
  if (met)
    return;
  fprintf(stderr, "sim_replay: %s\n", what);
  exit(EXIT_FAILURE);
}


/*
** A run
*/

static int start(lua_State *L) {
  if (host_load_file(L, lua_touserdata(L, 1)) != LUA_OK)
    return lua_error(L);
  task_spawn(L, NULL, 0);
  return 0;
}


static void simulate(sim *s, uint64_t seed, char *script) {
  sim_open(s, seed, subsystems);
  history_keep(&s->history);
  for (int i = 0; i < NODES; i++) {
    node *n = node_new(s, i == 0 ? "one" : "two");
    expect(node_start(n, start, script) == 0, "a node does not start");
  }
  expect(sim_run(s, NEVER) == SIM_IDLE, "not all came to its end");
  for (int i = 0; i < NODES; i++)
    expect(s->nodes[i]->host.exit_status == 0, "a node has failed");
}


static void expect_same(sim *s, sim *again) {
  size_t at;
  char text[128];
  if (!history_differs(&s->history, &again->history, &at)) {
    expect(s->history.hash == again->history.hash, "only the hashes differ");
    return;
  }
  history_say(&s->history, at, text, sizeof text);
  fprintf(stderr, "sim_replay: %zu: %s\n", at, text);
  history_say(&again->history, at, text, sizeof text);
  fprintf(stderr, "sim_replay: %zu: %s\n", at, text);
  expect(false, "the second run of a process differs");
}


/* By the file's name in its own folder: what a chunk is called takes memory, too.  A
 * second one in the same process, where the first has closed, is the same. */
static int run(char *path, uint64_t seed) {
  char *folder = strdup(path), *name = strdup(path);
  sim s, again;
  expect(folder != NULL && name != NULL && chdir(dirname(folder)) == 0,
         "no such folder");
  simulate(&s, seed, basename(name));
  printf("%016" PRIx64 " %" PRIu64 "\n", s.history.hash, s.history.count);
  history first = s.history;
  s.history = (history){0};
  sim_close(&s);
  s.history = first;
  fflush(stdout);
  expect(freopen("/dev/null", "w", stdout) != NULL, "no /dev/null");
  simulate(&again, seed, basename(name));
  expect_same(&s, &again);
  sim_close(&again);
  history_free(&s.history);
  free(folder);
  free(name);
  return EXIT_SUCCESS;
}


/*
** Comparing
*/

static char *outcome(const char *script, const char *seed) {
  char command[3 * PATH_MAX];
  char *text = calloc(1, MOST);
  snprintf(command, sizeof command, "'%s' '%s' %s", self, script, seed);
  FILE *f = popen(command, "r");
  expect(f != NULL && text != NULL, "no process");
  size_t n = fread(text, 1, MOST - 1, f);
  expect(pclose(f) == 0, "a run failed");
  expect(n > 1000, "the script saw nothing");
  return text;
}


/* The environment is on the stack, which so lies elsewhere. */
static void change_outside(void) {
  char large[5000];
  memset(large, 'x', sizeof large);
  large[sizeof large - 1] = '\0';
  setenv("HOME", large, 1);
  setenv("LUA_PATH", "./elsewhere/?.lua;;", 1);
  setenv("TZ", "Asia/Tokyo", 1);
  setenv("LC_ALL", "C.UTF-8", 1);
  expect(chdir("/") == 0, "no root");
}


static void compare(const char *script) {
  char *first = outcome(script, "1"), *other = outcome(script, "2");
  expect(strcmp(first, other) != 0, "two seeds gave the same");
  change_outside();
  for (int i = 0; i < 2; i++) {
    char *again = outcome(script, "1");
    expect(strcmp(first, again) == 0, "one seed gave something else");
    free(again);
  }
  free(first);
  free(other);
}


int main(int argc, char **argv) {
  char script[PATH_MAX];
  if (argc < 2 || realpath(argv[1], script) == NULL ||
      realpath("/proc/self/exe", self) == NULL) {
    fputs("usage: sim_replay SCRIPT [SEED]\n", stderr);
    return EXIT_FAILURE;
  }
  if (argc > 2)
    return run(script, strtoull(argv[2], NULL, 10));
  if (arena_replays())
    compare(script);
  return EXIT_SUCCESS;
}
