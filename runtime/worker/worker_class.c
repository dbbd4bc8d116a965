#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/class.h"
#include "host/error.h"
#include "host/fields.h"
#include "host/memory.h"
#include "sched/wait.h"
#include "sched/world.h"
#include "worker/channel.h"
#include "worker/worker_parts.h"
#include "worker/workshop.h"

#define CLASS "neap.Worker"

/* The arguments of start. */
enum { ID = 1, COUNT, KIND, NAME, CODE, ARGUMENTS };

typedef struct worker_box {
  worker *worker;
} worker_box;

static atomic_int last_id; /* in the process */


/*
** start(id or nil, count, kind, name, code or nil, ...) : Worker | nil, error
*/

static void free_worker(worker *w) {
  pthread_mutex_destroy(&w->lock);
  message_free(w->arguments);
  message_free(w->results);
  free(w->error);
  free(w->name);
  free(w->code);
  free(w);
}


static void link_worker(worker *w) {
  worker **first = &workshop_of(w->parent)->started;
  w->older = *first;
  if (*first != NULL)
    (*first)->newer = w;
  *first = w;
  w->parent->handles++;
}


static void unlink_worker(worker *w) {
  if (w->older != NULL)
    w->older->newer = w->newer;
  if (w->newer != NULL)
    w->newer->older = w->older;
  else
    workshop_of(w->parent)->started = w->older;
  w->parent->handles--;
}


static void on_ended(void *arg) {
  worker *w = arg;
  unlink_worker(w);
  w->ended = true;
  wait_wake_all(&w->waiters, 0);
  if (w->dropped)
    free_worker(w);
}


static bool copy_code(worker *w, const char *code, size_t n) {
  w->code = malloc(n + 1);
  if (w->code == NULL)
    return false;
  memcpy(w->code, code, n);
  w->code[n] = '\0';
  w->code_size = n;
  return true;
}


/* After all that may raise. */
static worker *worker_new(lua_State *L, message *arguments) {
  size_t n;
  worker *w = memory_new(sizeof *w);
  const char *name = lua_tolstring(L, NAME, &n);
  pthread_mutex_init(&w->lock, NULL);
  w->parent = host_of(L);
  w->live = workshop_of(w->parent)->live;
  w->id = lua_isnil(L, ID) ? atomic_fetch_add(&last_id, 1) + 1
                           : (int)lua_tointeger(L, ID);
  w->count = (int)lua_tointeger(L, COUNT);
  w->kind = (enum worker_kind)lua_tointeger(L, KIND);
  w->name = memory_text(name, n);
  snprintf(w->label, sizeof w->label, "neap: worker %d", w->id);
  w->arguments = arguments;
  return w;
}


static int l_start(lua_State *L) {
  host *h = host_of(L);
  const char *name = luaL_checkstring(L, NAME);
  if (h->world->thread == NULL) {
    lua_pushnil(L);
    error_push_message(L, -ENOSYS, "worker", name, "here are no threads");
    return 2;
  }
  message *arguments = message_encode(L, ARGUMENTS);
  worker_box *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL) {
    message_free(arguments);
    return lua_error(L);
  }
  size_t n;
  const char *code = lua_tolstring(L, CODE, &n);
  b->worker = worker_new(L, arguments);
  int status = code == NULL || copy_code(b->worker, code, n) ? 0 : -ENOMEM;
  if (status == 0 && b->worker->count > 0)
    status = workers_bell(h); /* which rings when it has settled */
  if (status == 0)
    status = h->world->thread(h->outside, worker_live, on_ended, b->worker);
  if (status < 0) {
    free_worker(b->worker);
    b->worker = NULL;
    return fail(L, status, "worker", name);
  }
  link_worker(b->worker);
  return 1;
}


/*
** worker:wait(), worker:settle(), worker:drain(), worker:interrupt(insist?),
** worker:results()
*/

static worker *check(lua_State *L) {
  const worker_box *b = luaL_checkudata(L, 1, CLASS);
  luaL_argcheck(L, b->worker != NULL, 1, "this worker was collected");
  return b->worker;
}


static int wait_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting how = {"worker", NEVER, true};
  worker *w = check(L);
  (void)ctx;
  if (status == LUA_YIELD)
    wait_status(L);
  return w->ended ? 0 : wait_park(L, &w->waiters, &how, 0, wait_k);
}


static int l_wait(lua_State *L) {
  check(L);
  wait_enter(L, "worker");
  return wait_k(L, LUA_OK, 0);
}


/* Until it has settled or ended: has it? */
static int settle_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting how = {"worker", NEVER, true};
  worker *w = check(L);
  (void)ctx;
  if (status == LUA_YIELD)
    wait_status(L);
  bool settled = atomic_load(&w->settled);
  if (!settled && !w->ended)
    return wait_park(L, &w->waiters, &how, 0, settle_k);
  lua_pushboolean(L, settled);
  return 1;
}


static int l_settle(lua_State *L) {
  check(L);
  wait_enter(L, "worker");
  return settle_k(L, LUA_OK, 0);
}


static int l_drain(lua_State *L) {
  worker_ask(check(L), DRAIN);
  return 0;
}


static int l_interrupt(lua_State *L) {
  worker_ask(check(L), lua_toboolean(L, 2) ? INSIST : INTERRUPT);
  return 0;
}


static void push_error(lua_State *L, const worker *w) {
  char text[64];
  if (w->status < 0) {
    error_push(L, w->status, "worker", w->name);
    return;
  }
  snprintf(text, sizeof text, "it ended with status %d", w->status);
  error_push_message(L, -ECANCELED, "worker", w->name,
                     w->error != NULL ? w->error : text);
  set_text(L, "code", "EWORKER");
}


static void set_error(lua_State *L, const worker *w) {
  push_error(L, w);
  set_integer(L, "status", w->status < 0 ? EXIT_FAILURE : w->status);
  set_flag(L, "began", w->began);
}


/* Of one that has ended: its results, which it has once, or nil and an error. */
static int l_results(lua_State *L) {
  worker *w = check(L);
  luaL_argcheck(L, w->ended, 1, "a worker that has ended expected");
  if (w->status == 0) {
    return w->results != NULL ? message_take(L, &w->results) : 0;
  }
  lua_pushnil(L);
  set_error(L, w);
  return 2;
}


static int l_gc(lua_State *L) {
  worker_box *b = luaL_checkudata(L, 1, CLASS);
  worker *w = b->worker;
  b->worker = NULL;
  if (w == NULL)
    return 0;
  if (w->ended) {
    free_worker(w);
    return 0;
  }
  w->dropped = true;
  w->waiters = (waitq){NULL}; /* they are gone as well */
  worker_ask(w, INTERRUPT);
  return 0;
}


static int l_index(lua_State *L) {
  const worker *w = check(L);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "id") == 0)
    lua_pushinteger(L, w->id);
  else
    lua_getfield(L, lua_upvalueindex(1), key);
  return 1;
}


/*
** ids() : those of the workers that run, {id, ...}
** summon(): each of them opens a place to attach to
*/

static int l_ids(lua_State *L) {
  lua_Integer n = 0;
  lua_newtable(L);
  for (worker *w = workshop_of(host_of(L))->started; w != NULL; w = w->older) {
    lua_pushinteger(L, w->id);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}


static int l_summon(lua_State *L) {
  for (worker *w = workshop_of(host_of(L))->started; w != NULL; w = w->older)
    worker_summon(w);
  return 0;
}


/*
** worker:answers(): has its loop heard since the last time?
*/

static int l_answers(lua_State *L) {
  worker *w = check(L);
  lua_pushboolean(L, atomic_load(&w->heard) == w->rung || w->ended);
  w->rung++;
  worker_ring(w);
  return 1;
}


/*
** self() : id, count, seconds that a drain may take
*/

static int l_self(lua_State *L) {
  const worker *w = workshop_of(host_of(L))->self;
  lua_pushinteger(L, w != NULL ? w->id : 0);
  lua_pushinteger(L, w != NULL ? w->count : 0);
  lua_pushnumber(L, (lua_Number)host_of(L)->drain / 1e9);
  return 3;
}


static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"wait", l_wait},
                                   {"settle", l_settle},
                                   {"drain", l_drain},
                                   {"interrupt", l_interrupt},
                                   {"results", l_results},
                                   {"answers", l_answers},
                                   {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"start", l_start}, {"channel", channel_lua}, {"channels", channel_stats},
    {"self", l_self},   {"ids", l_ids},           {"summon", l_summon},
    {NULL, NULL}};


int worker_class_open(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_newlib(L, functions);
  return 1;
}
