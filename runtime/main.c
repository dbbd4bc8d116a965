/*
** The process: one host, its program, its exit status; and the hosts of
** workers, each in a thread of its own.
*/

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/command.h"
#include "host/error.h"
#include "host/host.h"
#include "net/net.h"
#include "repl/repl.h"
#include "sched/task.h"
#include "sched/world.h"
#include "trace/trace.h"
#include "uv/world.h"
#include "worker/worker.h"

/* How long the process waits at its end for what was written to go out. */
#define LAST_DRAIN (5 * UINT64_C(1000000000))

/* What `neap -e` finds without require: neap.net as net. */
static const char *const short_names[] = {"net",    "task",    "time",
                                          "signal", "process", "stdio",
                                          "worker", "trace",   NULL};

/* Code without these words reaches no global that it does not name. */
static const char *const roundabout[] = {"_ENV", "_G",      "debug",   "dofile",
                                         "load", "package", "require", NULL};

/* What `neap -w` runs in the main thread. */
static const char supervisor[] =
    "return require('neap.worker.supervisor')(...)";

static const char prompt_script[] = "require('neap.repl.main').prompt(...)";

static const char interactive_script[] =
    "require('neap.repl.main').interactive(...)";

static const char remote_script[] = "require('neap.repl.main').remote(...)";

static const char test_script[] =
    "os.exit(require('neap.test').main{...}, true)";


/* The whole hard limit of descriptors is ours to use. */
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}


/* Each collection frees some messages' worth, and the next messages take it
 * again: of less than TRIMMED nothing goes back to the kernel, which would have
 * to clear each page anew.  What is larger than MAPPED is its own mapping. */
static void keep_freed_memory(void) {
#ifdef __GLIBC__
  enum { MAPPED = 1024 * 1024, TRIMMED = 8 * 1024 * 1024 };
  mallopt(M_MMAP_THRESHOLD, MAPPED);
  mallopt(M_TRIM_THRESHOLD, TRIMMED);
#endif
}


/* Set the global `arg`: the script at 0, its arguments from 1, and what led to
 * it below; push the arguments. */
static int push_arguments(lua_State *L, int argc, char **argv, int script) {
  lua_createtable(L, argc, argc);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
  int n = argc - script - 1;
  luaL_checkstack(L, n, "too many arguments");
  for (int i = script + 1; i < argc; i++)
    lua_pushstring(L, argv[i]);
  return n > 0 ? n : 0;
}


/* Modules next to the script are found. */
static void add_folder(lua_State *L, const char *script) {
  const char *slash = strrchr(script, '/');
  if (slash != NULL)
    lua_pushlstring(L, script, (size_t)(slash - script));
  else
    lua_pushliteral(L, ".");
  const char *folder = lua_tostring(L, -1);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder,
                  lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 3);
}


static void push_text(lua_State *L, const char *text, const char *name) {
  if (luaL_loadbufferx(L, text, strlen(text), name, "t") != LUA_OK)
    lua_error(L);
}


static bool says_any(const char *code, const char *const *words) {
  while (*words != NULL && strstr(code, *words) == NULL)
    words++;
  return *words != NULL;
}


static void set_short_name(lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushfstring(L, "neap.%s", name);
  lua_call(L, 1, 1);
  lua_setglobal(L, name);
}


/* Modules that it cannot use are not loaded, which would take longer than all
 * the rest of a start. */
static void push_code(lua_State *L, const char *code, bool prompt_follows) {
  bool all = prompt_follows || says_any(code, roundabout);
  for (const char *const *name = short_names; *name != NULL; name++)
    if (all || strstr(code, *name) != NULL)
      set_short_name(L, *name);
  push_text(L, code, "=(command line)");
}


static void push_file(lua_State *L, const char *path) {
  int status = host_load_file(L, path);
  if (status != LUA_OK) {
    host_of(L)->exit_status = status == LUA_ERRFILE ? USAGE : EXIT_FAILURE;
    lua_error(L);
  }
  if (strcmp(path, "-") != 0)
    add_folder(L, path);
}


static void push_function(lua_State *L, const char *code, size_t n) {
  if (luaL_loadbufferx(L, code, n, "=worker", "b") != LUA_OK)
    lua_error(L);
}


/*
** One host, from its beginning to its end
*/

static void live_worker(worker *w);


static bool open_all(host *h) {
  static const lua_CFunction opens[] = {sched_open, net_open, trace_open,
                                        workers_open, repl_open};
  for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
    lua_pushcfunction(h->L, opens[i]);
    if (!host_call(h, 0, 0))
      return false;
  }
  return true;
}


/* Errors before the first task runs have no traceback to show. */
static int start_failed(host *h) {
  const char *text = lua_tostring(h->L, -1);
  host_tell(h, text, strcspn(text, "\n"));
  return h->exit_status != 0 ? h->exit_status : EXIT_FAILURE;
}


/* Run the program that start(about) spawns as the first task. */
static int run(host *h, lua_CFunction start, void *about) {
  if (!open_all(h))
    return start_failed(h);
  lua_pushcfunction(h->L, start);
  lua_pushlightuserdata(h->L, about);
  if (!host_call(h, 1, 0))
    return start_failed(h);
  sched_run(h);
  h->world->drain(h->outside, h->world->now(h->outside) + LAST_DRAIN);
  return h->exit_status;
}


/* For every host of the process; set before the first. */
static uint64_t busy_poll;


static bool begin(host *h, worker *self) {
  if (uv_world_open(h) < 0)
    return false;
  h->busy_poll = busy_poll;
  if (self != NULL)
    h->world = &uv_thread_world;
  workers_new(h, live_worker, self);
  return host_open(h);
}


static void finish(host *h) {
  uv_world_close(h); /* the last bodies are freed in it */
  net_close(h);
  sched_close(h);
  free(h->told);
}


/*
** A worker, in its thread
*/

static void push_worker(lua_State *L, const worker *w) {
  size_t n;
  const char *code = worker_code(w, &n);
  switch (worker_kind(w)) {
  case WORKER_FILE:
    push_file(L, worker_name(w));
    break;
  case WORKER_TEXT:
    push_code(L, code, false);
    break;
  default:
    push_function(L, code, n);
  }
}


static int start_worker(lua_State *L) {
  worker *w = lua_touserdata(L, 1);
  push_worker(L, w);
  task_spawn(L, NULL, worker_wrap(L, w));
  lua_pushliteral(L, "main");
  lua_setfield(L, -2, "name");
  int status = worker_begin(w, host_of(L));
  if (status < 0)
    return luaL_error(L, "cannot start (%s)", error_code(status));
  return 0;
}


static void live_worker(worker *w) {
  host h = {0};
  if (!begin(&h, w)) {
    worker_end(w, EXIT_FAILURE, "cannot start");
    return;
  }
  int status = run(&h, start_worker, w);
  worker_end(w, status, h.told);
  host_close(&h);
  workers_close(&h);
  net_give_up(&h);
  trace_close(&h);
  finish(&h);
}


/*
** The program
*/

/* What main was called with. */
typedef struct call {
  command command;
  int argc;
  char **argv;
} call;


/* Push the supervisor of so many workers, which run the program. */
static int push_supervisor(lua_State *L, const call *c) {
  bool is_code = c->command.verb == VERB_CODE;
  const char *program = c->argv[c->command.program];
  push_text(L, supervisor, "=neap.worker");
  lua_pushinteger(L, c->command.workers);
  lua_pushinteger(L, is_code ? WORKER_TEXT : WORKER_FILE);
  lua_pushstring(L, is_code ? "-e" : program);
  if (is_code)
    lua_pushstring(L, program);
  else
    lua_pushnil(L);
  return 4;
}


/* Push the program and what stands before its arguments; returns how many. */
static int push_program(lua_State *L, const call *c) {
  const char *program = c->argv[c->command.program];
  if (c->command.workers > 0)
    return push_supervisor(L, c);
  switch (c->command.verb) {
  case VERB_PROMPT:
    push_text(L, prompt_script, "=neap.repl");
    return 0;
  case VERB_REMOTE:
    push_text(L, remote_script, "=neap.repl");
    lua_pushstring(L, program);
    return 1;
  case VERB_TEST:
    push_text(L, test_script, "=neap.test");
    break;
  case VERB_CODE:
    push_code(L, program, c->command.interactive);
    break;
  default:
    push_file(L, program);
  }
  return 0;
}


static bool may_be_attached(const call *c) {
  const char *setting = getenv("NEAP_ATTACH");
  bool off = setting != NULL && strcmp(setting, "0") == 0;
  return !off && !c->command.no_attach && c->command.verb != VERB_REMOTE;
}


static void set_field(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}


static void start_trace(lua_State *L, const command *c) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap.trace");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "start");
  lua_newtable(L);
  set_field(L, "to", c->trace_to);
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
  lua_pop(L, 3);
}


static int start(lua_State *L) {
  const call *c = lua_touserdata(L, 1);
  if (may_be_attached(c))
    sched_on_summon(host_of(L), repl_summoned);
  int n = push_program(L, c);
  if (c->command.traces)
    start_trace(L, &c->command);
  if (c->command.interactive && c->command.verb != VERB_PROMPT) {
    push_text(L, interactive_script, "=neap.repl");
    lua_insert(L, -(++n + 1));
  }
  n += push_arguments(L, c->argc, c->argv, c->command.program);
  task_spawn(L, NULL, n);
  lua_pushliteral(L, "main");
  lua_setfield(L, -2, "name");
  return 0;
}


static int run_program(call *c) {
  host h = {0};
  if (!begin(&h, NULL)) {
    fputs("neap: cannot start\n", stderr);
    return EXIT_FAILURE;
  }
  uv_world_signals(&h);
  if (may_be_attached(c))
    uv_world_attach(&h);
  int status = run(&h, start, c);
  host_close(&h);
  workers_close(&h);
  net_give_up(&h);
  status = host_flush(status);
  trace_close(&h);
  if (uv_world_busy(&h))
    _exit(status); /* exit() would wait for a lookup that nobody wants */
  finish(&h);
  return status;
}


static int show(const char *text) {
  fputs(text, stdout);
  return host_flush(EXIT_SUCCESS);
}


int main(int argc, char **argv) {
  call c = {.argc = argc, .argv = argv};
  int status = command_parse(&c.command, argc, argv);
  if (status != 0)
    return status;
  if (c.command.verb == VERB_SHOW)
    return show(c.command.text);
  raise_descriptor_limit();
  keep_freed_memory();
  busy_poll = (uint64_t)c.command.busy_poll * 1000;
  return run_program(&c);
}
