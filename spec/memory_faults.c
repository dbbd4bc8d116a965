/*
** A lack of memory, and a finalizer, at every place in turn.
**
** For each feature of memory_faults.lua, and for each allocation that Lua makes
** in it, a host runs it while that allocation fails: once, so that Lua collects
** all garbage and tries again; with that second try; or with all that follow.
** Or the allocation succeeds, and all garbage is collected behind it, with an
** object among it whose finalizer closes, resets or cancels all that the feature
** has in hand.  The feature may end well or fail: but the host must end, and in
** order.
**
** The first feature, 0, is that a host opens.
**
**   memory_faults SCRIPT [STRIDE [FEATURE [MODE [K]]]]
*/

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "fs/fs.h"
#include "host/host.h"
#include "host/memory.h"
#include "http/http.h"
#include "net/closing.h"
#include "net/net.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/sys.h"
#include "tls/tls.h"
#include "trace/trace.h"
#include "uv/world.h"
#include "websocket/websocket.h"
#include "worker/worker.h"
#include "zlib/zlib.h"
#include "json/json.h"

/* No feature takes so many seconds. */
enum { LIMIT = 20 };

#define MILLISECOND UINT64_C(1000000)

enum { OPENING }; /* the others are the script's */

enum mode { NEVER_FAIL, ONCE, TWICE, FROM, CLOSE, RESET, MODES };

/* Of Lua's collector: a step is a whole cycle, and the next one is far. */
enum { PAUSE = 1000, SPEED = 1000, STEP = 40 };

static struct {
  char *code; /* the script, compiled once */
  size_t size;
  lua_State *L;
  lua_Alloc allocate;
  void *context;
  bool armed, over; /* over: there is no such feature */
  bool fatal;       /* the feature ends the program */
  int feature;
  enum mode mode;
  long k, count;
} fault;


static bool is_due(void) {
  long n = ++fault.count;
  switch (fault.mode) {
  case ONCE:
    return n == fault.k;
  case TWICE:
    return n == fault.k || n == fault.k + 1;
  case FROM:
    return n >= fault.k;
  default:
    return false;
  }
}


/* The collector was stopped: restarted, it is due at once, which the function of
 * Lua's that allocates sees. */
static void collect(void) {
  if (fault.count == fault.k)
    lua_gc(fault.L, LUA_GCRESTART);
}


/* What shrinks never fails: Lua counts on that. */
static void *allocate(void *context, void *p, size_t old, size_t size) {
  bool grows = size > 0 && (p == NULL || size > old);
  if (fault.armed && grows && is_due())
    return NULL;
  if (fault.armed && grows && fault.mode >= CLOSE)
    collect();
  return fault.allocate(context, p, old, size);
}


static int l_arm(lua_State *L) {
  fault.over = lua_isnil(L, 1);
  fault.armed = !fault.over;
  fault.fatal = lua_toboolean(L, 2);
  return 0;
}


/* A feature has found what must not be. */
static int l_wrong(lua_State *L) {
  printf("memory_faults: %s\n", lua_tostring(L, 1));
  abort();
}


static const subsystem subsystems[] = {
    {.open = trace_open, .end = trace_close},
    {.open = json_open},
    {.open = zlib_open},
    {.open = crypto_open, .close = crypto_close},
    {.open = net_open, .end = closing_give_up, .close = net_close},
    {.open = tls_open, .close = tls_close},
    {.open = http_open},
    {.open = websocket_open},
    {.open = fs_open},
    {.open = sys_open},
    {.open = workers_open, .end = workers_close},
    {NULL},
};


static void set_faults(lua_State *L) {
  fault.L = L;
  fault.allocate = lua_getallocf(L, &fault.context);
  lua_setallocf(L, allocate, fault.context);
}


static void set_collector(lua_State *L) {
  if (fault.mode < CLOSE)
    return;
  lua_gc(L, LUA_GCINC, PAUSE, SPEED, STEP);
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCSTOP);
}


static int start(lua_State *L) {
  set_collector(L);
  if (luaL_loadbufferx(L, fault.code, fault.size, "script", "b") != LUA_OK)
    return lua_error(L);
  lua_pushinteger(L, fault.feature);
  lua_pushcfunction(L, l_arm);
  lua_pushcfunction(L, l_wrong);
  lua_pushstring(L, fault.mode == CLOSE   ? "close"
                    : fault.mode == RESET ? "reset"
                                          : NULL);
  task_spawn(L, NULL, 4);
  return 0;
}


static int start_nothing(lua_State *L) {
  (void)L;
  return 0;
}


/* What did not open may be ended all the same: a signal has come. */
static void run_opening(host *h) {
  fault.armed = true;
  life_start(h, start_nothing, NULL);
  fault.armed = false;
  if (h->sched != NULL)
    sched_interrupt(h, EXIT_FAILURE, "ended");
}


/* A peer that could not be closed, in the same process, never reads: what goes out
 * goes at once. */
static void run_feature(host *h) {
  enum { TRIES = 100 };
  uint64_t next, time = 0;
  if (!life_start(h, start, NULL))
    abort();
  for (int draining = 0; draining < TRIES;) {
    enum turn t = life_turn(h, time, &next);
    if (t == TURN_ENDED)
      return;
    if (t == TURN_STUCK)
      life_deadlock(h);
    if (t == TURN_DRAINS) {
      draining++;
      next = h->world->now(h->outside) + MILLISECOND;
    }
    time = t == TURN_STUCK ? 0 : h->world->poll(h->outside, next);
  }
}


static void tell(const char *what) {
  printf("memory_faults: %s: feature %d, mode %d, k %ld\n", what, fault.feature,
         fault.mode, fault.k);
  fflush(stdout);
}


/* One host's life; how many allocations the feature made. */
static long live(enum mode mode, long k) {
  host h = {0};
  fault.mode = mode;
  fault.k = k;
  fault.count = 0;
  fault.armed = false;
  alarm(LIMIT);
  if (life_open(&h, uv_world_open, subsystems) < 0)
    abort();
  workers_new(&h, NULL, NULL);
  set_faults(h.L);
  if (fault.feature == OPENING)
    run_opening(&h);
  else
    run_feature(&h);
  if (mode == NEVER_FAIL && h.exit_status != 0 && !fault.fatal &&
      fault.feature != OPENING) {
    tell("fails");
    abort();
  }
  fault.armed = false;
  life_close(&h);
  alarm(0);
  return fault.count;
}


static void on_alarm(int n) {
  (void)n;
  tell("hangs");
  abort();
}


static void on_abort(int n) {
  (void)n;
  tell("aborts");
}


static int save(lua_State *L, const void *part, size_t n, void *unused) {
  (void)L, (void)unused;
  fault.code = memory_grow(fault.code, fault.size + n);
  memcpy(fault.code + fault.size, part, n);
  fault.size += n;
  return 0;
}


static void compile(const char *script) {
  lua_State *L = luaL_newstate();
  if (L == NULL || luaL_loadfile(L, script) != LUA_OK ||
      lua_dump(L, save, NULL, false) != 0)
    abort();
  lua_close(L);
}


static long number(int argc, char **argv, int i, long otherwise) {
  return i < argc ? strtol(argv[i], NULL, 10) : otherwise;
}


/* A feature that allocates more than that does the same again and again: of the
 * rest each allocation gets its turn in one of the modes. */
static bool is_tried(enum mode mode, long k) {
  enum { PLENTY = 150 };
  return k <= PLENTY || k % (MODES - ONCE) == (long)mode - ONCE;
}


/* The reports of what fails go nowhere; sanitizers write to descriptor 2. */
static void silence(void) {
  FILE *nowhere = fopen("/dev/null", "w");
  if (nowhere != NULL)
    stderr = nowhere;
}


int main(int argc, char **argv) {
  long stride = number(argc, argv, 2, 1);
  long only = number(argc, argv, 3, -1);
  enum mode mode = (enum mode)number(argc, argv, 4, NEVER_FAIL);
  long k = number(argc, argv, 5, 0);
  if (argc < 2 || stride < 1)
    return EXIT_FAILURE;
  compile(argv[1]);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, SIG_IGN); /* when nobody could wait for it */
  signal(SIGALRM, on_alarm);
  signal(SIGABRT, on_abort);
  if (k > 0) {
    fault.feature = (int)only;
    live(mode, k);
    return EXIT_SUCCESS;
  }
  silence();
  for (fault.feature = only >= 0 ? (int)only : OPENING;; fault.feature++) {
    long total = live(NEVER_FAIL, 0);
    if (fault.over)
      break;
    printf("feature %d: %ld allocations\n", fault.feature, total);
    fflush(stdout);
    for (int m = ONCE; m < MODES; m++)
      for (long i = 1 + (fault.feature + m) % stride; i <= total; i += stride)
        if (is_tried((enum mode)m, i))
          live((enum mode)m, i);
    if (only >= 0)
      break;
  }
  return EXIT_SUCCESS;
}
