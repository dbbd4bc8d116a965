/*
** What strangers send, as libFuzzer makes it: https://llvm.org/docs/LibFuzzer.html
**
** One host lives as long as the process, and each input is looked at by its first
** task, by what spec/fuzz/TARGET.lua says must hold of it.  What raises there, waits
** in vain, or is found by a sanitizer, is a finding.
**
** Its world is empty: no clock goes, chance is always the same, nothing is outside but
** the bytes that its streams (mem:) are fed.  So an input has one result.  They lie in a
** block of just their size while their readers run, so that a look behind them is seen.
**
**   fuzz TARGET [FOLDER] [libFuzzer's options]; a FOLDER that is empty gets seeds
*/

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "empty_world.h"
#include "host/host.h"
#include "host/memory.h"
#include "http/http.h"
#include "net/backend.h"
#include "net/closing.h"
#include "net/layer.h"
#include "net/net.h"
#include "net/option_table.h"
#include "net/options.h"
#include "net/round.h"
#include "net/stream_methods.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sched/wait.h"
#include "sched/world.h"
#include "tls/tls.h"
#include "websocket/websocket.h"
#include "worker/worker.h"
#include "worker/workshop.h"
#include "zlib/zlib.h"
#include "json/json.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct {
  host host;
  const char *target, *folder; /* folder: NULL: no seeds are wanted */
  const char *input;
  size_t size;
  bool has_input;
  waitq asks;  /* who wants an input: nobody while one is looked at */
  waitq feeds; /* who waits until these bytes have been read */
  box *to;
  char *bytes;
  size_t count;
} fuzz;


/*
** What the task calls
*/

static const waiting for_input = {
    .op = "input", .deadline = NEVER, .outside = true};
static const waiting for_readers = {
    .op = "feed", .deadline = NEVER, .outside = true};


static int input_k(lua_State *L, int yielded, lua_KContext ctx) {
  (void)yielded;
  wait_status(L);
  if (!fuzz.has_input)
    return wait_park(L, &fuzz.asks, &for_input, ctx, input_k);
  fuzz.has_input = false;
  lua_pushlstring(L, fuzz.input, fuzz.size);
  return 1;
}


/* input() : string */
static int l_input(lua_State *L) {
  wait_enter(L, "input");
  return wait_park(L, &fuzz.asks, &for_input, 0, input_k);
}


static int feed_k(lua_State *L, int yielded, lua_KContext ctx) {
  (void)yielded, (void)ctx;
  wait_status(L);
  return 0;
}


/* feed(stream, bytes): they arrive, and its readers run. */
static int l_feed(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  fuzz.to = stream_box_at(L, 1);
  wait_enter(L, "feed");
  luaL_argcheck(L, n > 0 && fuzz.bytes == NULL, 2, "one at a time expected");
  fuzz.bytes = memory_grow(NULL, n);
  memcpy(fuzz.bytes, bytes, n);
  fuzz.count = n;
  return wait_park(L, &fuzz.feeds, &for_readers, 0, feed_k);
}


/* options(table, family, type, protocol): what a socket of these would be told, by name,
 * as it is asked for: another table. */
static int l_options(lua_State *L) {
  sockspec spec = {.type = (int)luaL_checkinteger(L, 3),
                   .protocol = (int)luaL_checkinteger(L, 4)};
  int family = (int)luaL_checkinteger(L, 2);
  options_parse(L, 1, family, &spec, NULL);
  lua_newtable(L);
  for (const option *row = option_table; row->name != NULL; row++) {
    sockopt asked;
    lua_pushstring(L, row->name);
    options_ask(L, -1, family, spec.protocol, &asked);
    for (unsigned i = 0; i < spec.option_count; i++) {
      const sockopt *o = &spec.options[i];
      if (o->level != asked.level || o->name != asked.name)
        continue;
      lua_pushvalue(L, -1);
      options_push(L, row, o);
      lua_rawset(L, -4);
    }
    lua_pop(L, 1);
  }
  return 1;
}


/*
** Lua's lines as libFuzzer's features: each with the one before it.
*/

enum { LINES = 1 << 14 };

__attribute__((
    section("__libfuzzer_extra_counters"))) static uint8_t lines[LINES];


static void on_line(lua_State *L, lua_Debug *d) {
  static unsigned before;
  lua_getinfo(L, "S", d);
  unsigned here = (unsigned)d->linedefined * 7919 + (unsigned)d->currentline;
  lines[(here ^ before * 31) % LINES]++;
  before = here;
}


/* watch(): of the running task, from now on */
static int l_watch(lua_State *L) {
  lua_sethook(L, on_line, LUA_MASKLINE, 0);
  return 0;
}


/*
** The world
*/

static void no_socket(void) {
  abort();
}


/* Some names, as an outside would have them. */
static int service_port(host *h, const char *name, const char *proto) {
  (void)h, (void)proto;
  return strcmp(name, "http") == 0 ? 80 : -1;
}


static int protocol(host *h, const char *name) {
  (void)h;
  return strcmp(name, "icmp") == 0 ? 1 : -1;
}


static int ifindex(host *h, const char *name) {
  (void)h;
  return strcmp(name, "lo") == 0 ? 1 : -ENODEV;
}


static int ifname(host *h, unsigned index, char out[16]) {
  (void)h;
  if (index != 1)
    return -ENODEV;
  strcpy(out, "lo");
  return 0;
}


static backend no_sockets; /* each other function of it is no_socket */

static const world nowhere = EMPTY_WORLD("nowhere", &no_sockets);


/* Of libraries.  Not of an order: a peer's answers of before are good answers again. */
static void draw(void *about, void *bytes, size_t n) {
  (void)about;
  memset(bytes, 0x5a, n);
}


static int enter(host *h) {
  void (*f)(void) = no_socket;
  for (size_t at = 0; at < sizeof no_sockets; at += sizeof f)
    memcpy((char *)&no_sockets + at, &f, sizeof f);
  no_sockets.service_port = service_port;
  no_sockets.protocol = protocol;
  no_sockets.ifindex = ifindex;
  no_sockets.ifname = ifname;
  world_chance = (world_draws){.draw = draw};
  h->world = &nowhere;
  return 0;
}


/*
** The host
*/

/* Channels want a bell, for who is in another thread: there is none. */
static int open_workers(lua_State *L) {
  workers_open(L);
  workshop_of(host_of(L))->hung = true;
  return 0;
}


static int open_crypto(lua_State *L) {
  if (openssl_need(L, OPENSSL_CRYPTO) < 0)
    return lua_error(L);
  openssl_draw_from_world();
  return crypto_open(L);
}


static const subsystem subsystems[] = {
    {.open = json_open},
    {.open = zlib_open},
    {.open = open_crypto, .close = crypto_close},
    {.open = net_open, .end = closing_give_up, .close = net_close},
    {.open = tls_open, .close = tls_close},
    {.open = http_open},
    {.open = websocket_open},
    {.open = open_workers, .end = workers_close},
    {.open = NULL},
};


static int start(lua_State *L) {
  if (host_load_file(L, "spec/fuzz.lua") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, fuzz.target);
  lua_pushstring(L, fuzz.folder);
  lua_pushcfunction(L, l_input);
  lua_pushcfunction(L, l_feed);
  lua_pushcfunction(L, l_watch);
  lua_pushcfunction(L, l_options);
  task_spawn(L, NULL, 6);
  return 0;
}


static void deliver(void) {
  char *bytes = fuzz.bytes;
  fuzz.bytes = NULL;
  wait_wake(&fuzz.feeds, 0);
  if (fuzz.to->stream != NULL) {
    round_lend(layer_bottom(fuzz.to->stream), bytes, fuzz.count);
    round_run(&fuzz.host);
  }
  free(bytes);
}


/* Turns, until an input is asked for. */
static void go_on(void) {
  uint64_t next;
  for (;;) {
    enum turn t = life_turn(&fuzz.host, 0, &next);
    round_end(&fuzz.host);
    if (t == TURN_DRAINS || t == TURN_ENDED)
      abort(); /* it has told why */
    if (fuzz.bytes != NULL) {
      deliver();
    } else if (!wait_idle(&fuzz.asks)) {
      return;
    } else if (t == TURN_STUCK || next != 0) {
      life_deadlock(&fuzz.host);
      abort();
    }
  }
}


/* So that what leaks is told. */
static void end(void) {
  uint64_t next;
  sched_interrupt(&fuzz.host, EXIT_SUCCESS, "no more inputs");
  while (life_turn(&fuzz.host, 0, &next) != TURN_ENDED)
    round_end(&fuzz.host);
  life_close(&fuzz.host);
}


int LLVMFuzzerInitialize(int *argc, char ***argv) {
  if (*argc < 2) {
    fputs("usage: fuzz TARGET [FOLDER] [OPTION...]\n", stderr);
    exit(EXIT_FAILURE);
  }
  char *name = (*argv)[0];
  fuzz.target = (*argv)[1];
  (*argv)++, (*argc)--;
  (*argv)[0] = name;
  if (*argc > 1 && (*argv)[1][0] != '-')
    fuzz.folder = (*argv)[1];
  if (life_open(&fuzz.host, enter, subsystems) < 0 ||
      !life_start(&fuzz.host, start, NULL))
    exit(EXIT_FAILURE);
  go_on();
  atexit(end);
  return 0;
}


int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  fuzz.input = (const char *)bytes;
  fuzz.size = n;
  fuzz.has_input = true;
  wait_wake(&fuzz.asks, 0);
  go_on();
  return 0;
}
