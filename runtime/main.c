/*
** The process: one host, its program, its exit status; and the hosts of
** workers, each in a thread of its own.
*/

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/program.h"
#include "crypto/crypto.h"
#include "fs/fs.h"
#include "host/carried.h"
#include "host/error.h"
#include "host/host.h"
#include "host/quota.h"
#include "http/http.h"
#include "net/closing.h"
#include "net/net.h"
#include "repl/repl.h"
#include "sched/life.h"
#include "sched/profile.h"
#include "sched/task.h"
#include "sched/watchdog.h"
#include "sched/world.h"
#include "sim/library.h"
#include "sim/standard.h"
#include "sys/sys.h"
#include "tls/tls.h"
#include "trace/trace.h"
#include "uv/nudge.h"
#include "uv/own_file.h"
#include "uv/world.h"
#include "websocket/websocket.h"
#include "worker/worker.h"
#include "zlib/zlib.h"
#include "json/json.h"

/* What `neap -w` runs in the main thread. */
static const char supervisor[] =
    "return require('neap.worker.supervisor')(...)";

static const char interactive_script[] =
    "require('neap.repl.main').interactive(...)";


/* Each collection frees some messages' worth, and the next messages take it
 * again: of less than TRIMMED nothing goes back to the kernel, which would have
 * to clear each page anew.  What is larger than MAPPED is its own mapping, all of whose
 * pages are new each time: a file of 1 MiB took eight milliseconds instead of a fifth of
 * one, and everybody waited. */
static void keep_freed_memory(void) {
#ifdef __GLIBC__
  enum { MAPPED = 4 * 1024 * 1024, TRIMMED = 16 * 1024 * 1024 };
  mallopt(M_MMAP_THRESHOLD, MAPPED);
  mallopt(M_TRIM_THRESHOLD, TRIMMED);
#endif
}


static void push_own(lua_State *L, const char *text, const char *name) {
  if (luaL_loadbufferx(L, text, strlen(text), name, "t") != LUA_OK)
    lua_error(L);
  host_own(L);
}


static void push_function(lua_State *L, const char *code, size_t n) {
  if (luaL_loadbufferx(L, code, n, "=worker", "b") != LUA_OK)
    lua_error(L);
}


/*
** Hosts
*/

static void live_worker(worker *w);

/* What print wrote has arrived before the traces end, which may go there, too. */
static void flush(host *h) {
  if (h->world->leave != NULL)
    h->exit_status = host_flush(h->exit_status);
}


/* Traces see the sockets close. */
static const subsystem subsystems[] = {
    {.open = trace_open, .end = trace_close},
    {.end = flush},
    {.open = json_open},
    {.open = zlib_open},
    {.open = crypto_open, .close = crypto_close},
    {.open = net_open, .end = closing_give_up, .close = net_close},
    {.open = tls_open, .close = tls_close},
    {.open = http_open},
    {.open = websocket_open},
    {.open = fs_open},
    {.open = sys_open},
    {.open = sim_standard_open},
    {.open = workers_open, .end = workers_close},
    {.open = repl_open},
    {.open = sim_library_open},
    {NULL},
};


/* 0 or -errno. */
static int begin(host *h, int (*make)(host *h), const command *c, worker *self,
                 quota *memory) {
  h->busy_poll = (uint64_t)c->busy_poll * 1000;
  h->drain = c->verb == VERB_TEST ? 0 : (uint64_t)(c->drain * 1e9);
  h->no_environment = c->no_environment;
  h->command = c;
  h->argv = c->started;
  h->script = c->verb == VERB_FILE ? c->argv[c->program] : NULL;
  int status = life_open(h, make, subsystems);
  if (status == 0)
    workers_new(h, live_worker, self);
  if (status == 0 && c->memory > 0)
    quota_begin(memory, h->L, c->memory);
  return status;
}


static void start_trace(lua_State *L, const command *c, const char *life);
static void start_profile(lua_State *L, const command *c, const char *life);
static void start_watchdog(lua_State *L, const command *c);
static bool may_be_attached(const command *c);


/*
** A worker, in its thread
*/

static void push_worker(lua_State *L, const worker *w) {
  size_t n;
  const char *code = worker_code(w, &n);
  switch (worker_kind(w)) {
  case WORKER_FILE:
    program_push_file(L, worker_name(w));
    break;
  case WORKER_PROGRAM:
    program_push(L, host_of(L)->command);
    break;
  default:
    push_function(L, code, n);
  }
  if (worker_kind(w) != WORKER_PROGRAM) /* which says so itself */
    host_of(L)->begun = true;
}


static int start_worker(lua_State *L) {
  worker *w = lua_touserdata(L, 1);
  const command *c = host_of(L)->command;
  size_t n;
  if (may_be_attached(c))
    sched_on_summon(host_of(L), repl_summoned);
  if (c->traces && worker_kind(w) == WORKER_PROGRAM)
    start_trace(L, c, worker_code(w, &n));
  if (c->profile != NULL && worker_kind(w) == WORKER_PROGRAM)
    start_profile(L, c, worker_code(w, &n));
  push_worker(L, w);
  task_spawn(L, NULL, worker_wrap(L, w));
  lua_pushliteral(L, "main");
  lua_setfield(L, -2, "name");
  int status = worker_begin(w, host_of(L));
  if (status < 0)
    return luaL_error(L, "cannot start: %s (%s)", strerrordesc_np(-status),
                      error_code(status));
  start_watchdog(L, c);
  return 0;
}


static void live_worker(worker *w) {
  host h = {0};
  quota memory;
  const command *c = worker_parent(w)->command;
  int status = begin(&h, uv_world_open_thread, c, w, &memory);
  if (status < 0) {
    worker_end(w, status, NULL);
    return;
  }
  if (life_start(&h, start_worker, w))
    life_run(&h);
  worker_end(w, h.exit_status, &h);
  life_close(&h);
}


/*
** The program
*/

/* Push the supervisor of workers, which run the program, and what it gets before
 * the program's arguments; returns how many. */
static int push_supervisor(lua_State *L, const command *c) {
  push_own(L, supervisor, "=neap.worker");
  lua_pushinteger(L, c->workers);
  lua_pushinteger(L, WORKER_PROGRAM);
  lua_pushstring(L, c->verb == VERB_CODE ? "-e" : c->argv[c->program]);
  lua_pushnil(L);
  return 4;
}


static bool may_be_attached(const command *c) {
  const char *setting = getenv("NEAP_ATTACH");
  bool off = setting != NULL && strcmp(setting, "0") == 0;
  return !off && !c->no_attach && !c->restricts && c->verb != VERB_REMOTE;
}


static void set_field(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}


/* "x.pcapng" of worker 2 is "x.2.pcapng", and "x.2-1.pcapng" of the first that takes
 * its place. */
static const char *push_own_path(lua_State *L, const char *path,
                                 const char *life) {
  const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
  if (dot == NULL || (slash != NULL && dot < slash))
    dot = path + strlen(path);
  lua_pushlstring(L, path, (size_t)(dot - path));
  bool first = strcmp(life, "0") == 0;
  return lua_pushfstring(L, "%s.%d%s%s%s", lua_tostring(L, -1),
                         host_of(L)->slot, first ? "" : "-", first ? "" : life,
                         dot);
}


/* life: how often a worker of its number was started before; NULL: it is none. */
static void start_trace(lua_State *L, const command *c, const char *life) {
  int top = lua_gettop(L);
  const char *path = c->trace_to;
  if (path != NULL && life != NULL)
    path = push_own_path(L, path, life);
  host_require(L, "neap.trace");
  lua_getfield(L, -1, "start");
  lua_newtable(L);
  set_field(L, "to", path);
  set_field(L, "filter", c->trace_filter);
  set_field(L, "format", c->trace_format);
  if (c->trace_bytes >= 0) {
    lua_pushinteger(L, c->trace_bytes);
    lua_setfield(L, -2, "bytes");
  }
  host_of(L)->exit_status = USAGE; /* of what it raises */
  lua_call(L, 1, 2);
  host_of(L)->exit_status = 0;
  if (lua_isnil(L, -2)) {
    luaL_tolstring(L, -1, NULL);
    lua_error(L);
  }
  lua_settop(L, top);
}


/* life: as in start_trace.  The path is for the host's whole life. */
static void start_profile(lua_State *L, const command *c, const char *life) {
  const char *path = c->profile;
  if (life != NULL) {
    path = push_own_path(L, path, life);
    lua_rawsetp(L, LUA_REGISTRYINDEX, path);
  }
  int status = profile_whole(host_of(L), path);
  if (status < 0)
    luaL_error(L, "--profile: %s (%s)", strerrordesc_np(-status),
               error_code(status));
}


static void start_watchdog(lua_State *L, const command *c) {
  enum { AFTER, END };
  if (c->watchdog[AFTER] <= 0)
    return;
  int status = watchdog_begin(host_of(L), nudge_remind,
                              (uint64_t)(c->watchdog[AFTER] * 1e9),
                              (uint64_t)(c->watchdog[END] * 1e9));
  if (status < 0)
    luaL_error(L, "--watchdog: %s (%s)", strerrordesc_np(-status),
               error_code(status));
}


static int start(lua_State *L) {
  const command *c = host_of(L)->command;
  int n = 0;
  if (may_be_attached(c))
    sched_on_summon(host_of(L), repl_summoned);
  if (c->workers > 0)
    n = push_supervisor(L, c);
  else
    program_push(L, c);
  if (c->traces && c->workers == 0)
    start_trace(L, c, NULL);
  if (c->profile != NULL && c->workers == 0)
    start_profile(L, c, NULL);
  start_watchdog(L, c);
  if (c->interactive && c->verb != VERB_PROMPT) {
    push_own(L, interactive_script, "=neap.repl");
    lua_insert(L, -(++n + 1));
  }
  n += program_push_arguments(L, c);
  task_spawn(L, NULL, n);
  lua_pushliteral(L, "main");
  lua_setfield(L, -2, "name");
  return 0;
}


static int run_program(const command *c) {
  host h = {0};
  quota memory;
  int status = begin(&h, uv_world_open, c, NULL, &memory);
  if (status < 0) {
    fprintf(stderr, "neap: cannot start: %s (%s)\n", strerrordesc_np(-status),
            error_code(status));
    return EXIT_FAILURE;
  }
  h.supervises = c->workers > 0;
  uv_world_signals(&h);
  uv_world_inherit(&h);
  if (may_be_attached(c))
    uv_world_attach(&h);
  if (life_start(&h, start, NULL))
    life_run(&h);
  life_end(&h);
  if (life_is_busy(&h))
    uv_world_exit(h.exit_status, true); /* life_close would wait for a read */
  life_close(&h);
  return h.exit_status;
}


/* What is inside, as it tells itself where it can: a shared library may be another one
 * than it was built with. */
static void print_versions(void) {
  const char *openssl = openssl_version();
  uv_world_versions(stdout);
  printf("zlib %s\nllhttp %s\n%s\n", zlib_linked_version(),
         http_llhttp_version(),
         openssl != NULL ? openssl : "OpenSSL: there is none");
}


int main(int argc, char **argv) {
  command program;
  uv_world_standard();
  if (!own_file_open())
    return EXIT_FAILURE;
  int status = carried_by() != NULL ? command_carried(&program, argc, argv)
                                    : command_parse(&program, argc, argv);
  if (status != 0)
    return status;
  if (program.text != NULL)
    fputs(program.text, stdout);
  if (program.verb == VERB_SHOW && program.versions)
    print_versions();
  if (program.verb == VERB_SHOW)
    return host_flush(EXIT_SUCCESS);
  uv_world_descriptors();
  uv_world_explain();
  keep_freed_memory();
  status = command_guard(&program);
  if (status != 0)
    return status;
  uv_world_exit(run_program(&program), false);
}
