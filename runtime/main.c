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
#include "host/error.h"
#include "host/host.h"
#include "net/net.h"
#include "repl/repl.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/system.h"
#include "trace/trace.h"
#include "uv/world.h"
#include "worker/worker.h"

/* What `neap -w` runs in the main thread. */
static const char supervisor[] =
    "return require('neap.worker.supervisor')(...)";

static const char interactive_script[] =
    "require('neap.repl.main').interactive(...)";

/* The command line; set before the first host is opened. */
static command program;


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
** One host, from its beginning to its end
*/

static void live_worker(worker *w);


static bool open_all(host *h) {
  static const lua_CFunction opens[] = {sched_open, net_open,     sys_open,
                                        trace_open, workers_open, repl_open,
                                        host_seal};
  for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
    lua_pushcfunction(h->L, opens[i]);
    if (!host_call(h, 0, 0))
      return false;
  }
  return true;
}


/* Errors before the first task runs have no traceback to show.  It may be that a
 * signal has come. */
static int start_failed(host *h) {
  const char *text = lua_tostring(h->L, -1);
  if (h->pressed && h->sched != NULL)
    h->world->hear(h->outside);
  if (h->exit_status < 0)
    return h->exit_status;
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
  sched_drain(h);
  return h->exit_status;
}


static void finish(host *h) {
  uv_world_close(h); /* the last bodies are freed in it */
  net_close(h);
  sched_close(h);
  free(h->told);
}


/* 0; or -errno, and nothing is left. */
static int begin(host *h, worker *self) {
  int status = uv_world_open(h);
  if (status < 0)
    return status;
  h->busy_poll = (uint64_t)program.busy_poll * 1000;
  h->no_environment = program.no_environment;
  if (self != NULL)
    h->world = &uv_thread_world;
  workers_new(h, live_worker, self);
  if (host_open(h))
    return 0;
  workers_close(h);
  finish(h);
  return -ENOMEM;
}


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
    program_push(L, &program);
    break;
  default:
    push_function(L, code, n);
  }
  if (worker_kind(w) != WORKER_PROGRAM) /* which says so itself */
    host_of(L)->begun = true;
}


static int start_worker(lua_State *L) {
  worker *w = lua_touserdata(L, 1);
  push_worker(L, w);
  task_spawn(L, NULL, worker_wrap(L, w));
  lua_pushliteral(L, "main");
  lua_setfield(L, -2, "name");
  int status = worker_begin(w, host_of(L));
  if (status < 0)
    return luaL_error(L, "cannot start: %s (%s)", strerrordesc_np(-status),
                      error_code(status));
  return 0;
}


static void live_worker(worker *w) {
  host h = {0};
  int status = begin(&h, w);
  if (status < 0) {
    worker_end(w, status, NULL);
    return;
  }
  status = run(&h, start_worker, w);
  worker_end(w, status, &h);
  host_close(&h);
  workers_close(&h);
  net_give_up(&h);
  trace_close(&h);
  finish(&h);
}


/*
** The program
*/

/* Push the supervisor of workers, which run the program, and what it gets before
 * the program's arguments; returns how many. */
static int push_supervisor(lua_State *L) {
  push_own(L, supervisor, "=neap.worker");
  lua_pushinteger(L, program.workers);
  lua_pushinteger(L, WORKER_PROGRAM);
  lua_pushstring(L, program.verb == VERB_CODE ? "-e"
                                              : program.argv[program.program]);
  lua_pushnil(L);
  return 4;
}


static bool may_be_attached(void) {
  const char *setting = getenv("NEAP_ATTACH");
  bool off = setting != NULL && strcmp(setting, "0") == 0;
  return !off && !program.no_attach && program.verb != VERB_REMOTE;
}


static void set_field(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}


static void start_trace(lua_State *L, const command *c) {
  host_require(L, "neap.trace");
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
  int n = 0;
  if (may_be_attached())
    sched_on_summon(host_of(L), repl_summoned);
  if (program.workers > 0)
    n = push_supervisor(L);
  else
    program_push(L, &program);
  if (program.traces)
    start_trace(L, &program);
  if (program.interactive && program.verb != VERB_PROMPT) {
    push_own(L, interactive_script, "=neap.repl");
    lua_insert(L, -(++n + 1));
  }
  n += program_push_arguments(L, &program);
  task_spawn(L, NULL, n);
  lua_pushliteral(L, "main");
  lua_setfield(L, -2, "name");
  return 0;
}


static int run_program(void) {
  host h = {0};
  int status = begin(&h, NULL);
  if (status < 0) {
    fprintf(stderr, "neap: cannot start: %s (%s)\n", strerrordesc_np(-status),
            error_code(status));
    return EXIT_FAILURE;
  }
  uv_world_signals(&h);
  if (may_be_attached())
    uv_world_attach(&h);
  status = run(&h, start, NULL);
  host_close(&h);
  workers_close(&h);
  net_give_up(&h);
  status = host_flush(status);
  trace_close(&h);
  if (uv_world_busy(&h))
    uv_world_exit(status, true); /* finish() would wait for a read */
  finish(&h);
  return status;
}


int main(int argc, char **argv) {
  int status = command_parse(&program, argc, argv);
  if (status != 0)
    return status;
  if (program.text != NULL)
    fputs(program.text, stdout);
  if (program.verb == VERB_SHOW)
    return host_flush(EXIT_SUCCESS);
  uv_world_descriptors();
  uv_world_explain();
  keep_freed_memory();
  uv_world_exit(run_program(), false);
}
