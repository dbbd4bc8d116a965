#include "worker/worker.h"

#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/class.h"
#include "host/error.h"
#include "host/fields.h"
#include "host/memory.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sched/wait.h"
#include "sched/world.h"
#include "worker/channel.h"
#include "worker/message.h"
#include "worker/workshop.h"

#define CLASS "neap.Worker"

/* The exit status of a worker that was interrupted: as of SIGTERM. */
enum { INTERRUPTED = 128 + 15 };

/* How a worker is asked to end.  INSIST is for what went on behind the first. */
enum asked { NOT, INTERRUPT, INSIST };

/* Between the two, in ns, where its own host ends.  core.await has the same. */
#define PATIENCE UINT64_C(1000000000)

struct worker {
  /* Whom an interrupt reaches, under the lock. */
  pthread_mutex_t lock;
  host *host; /* its own, from worker_begin to workers_close */
  enum asked asked;

  /* Given to the thread. */
  void (*live)(worker *);
  enum worker_kind kind;
  int id, count;
  char label[32];
  char *name, *code;
  size_t code_size;
  message *arguments;

  /* Made by the thread. */
  message *results;
  char *error;
  int status;
  bool began;

  /* Of the host that started it. */
  host *parent;
  worker *older, *newer; /* in the host's workshop */
  waitq waiters;
  bool ended, dropped;
};

/* The arguments of start. */
enum { ID = 1, COUNT, KIND, NAME, CODE, ARGUMENTS };

typedef struct worker_box {
  worker *worker;
} worker_box;

static atomic_int last_id; /* in the process */


/*
** Ringing
*/

static enum asked take_asked(worker *w) {
  pthread_mutex_lock(&w->lock);
  enum asked asked = w->asked;
  w->asked = NOT;
  pthread_mutex_unlock(&w->lock);
  return asked;
}


static void rang(host *h) {
  worker *self = workshop_of(h)->self;
  channels_rang(h);
  enum asked asked = self != NULL ? take_asked(self) : NOT;
  if (asked != NOT)
    sched_interrupt(h, INTERRUPTED, "interrupted");
  if (asked == INSIST)
    sched_insist(h);
}


int workers_bell(host *h) {
  struct workshop *s = workshop_of(h);
  if (s->hung)
    return 0;
  if (h->world->bell == NULL)
    return -ENOTSUP;
  int status = h->world->bell(h->outside, rang);
  s->hung = status == 0;
  return status;
}


static void interrupt(worker *w, enum asked asked) {
  pthread_mutex_lock(&w->lock);
  if (w->asked < asked)
    w->asked = asked;
  if (w->host != NULL)
    w->host->world->preempt(w->host->outside);
  pthread_mutex_unlock(&w->lock);
}


/*
** The thread's side
*/

const host *worker_parent(const worker *w) {
  return w->parent;
}


enum worker_kind worker_kind(const worker *w) {
  return w->kind;
}


const char *worker_name(const worker *w) {
  return w->name;
}


const char *worker_code(const worker *w, size_t *n) {
  *n = w->code_size;
  return w->code;
}


static int body_k(lua_State *L, int status, lua_KContext ctx) {
  worker *w = lua_touserdata(L, lua_upvalueindex(2));
  (void)status, (void)ctx;
  luaL_checkstack(L, LUA_MINSTACK, NULL); /* the results may fill it */
  w->results = message_encode(L, 1);
  return 0;
}


static int l_body(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, body_k);
  return body_k(L, LUA_OK, 0);
}


/* The table `arg` is as of a script that was started by hand. */
int worker_wrap(lua_State *L, worker *w) {
  lua_pushlightuserdata(L, w);
  lua_pushcclosure(L, l_body, 2);
  int first = lua_gettop(L) + 1;
  int n = message_decode(L, w->arguments);
  message_free(w->arguments);
  w->arguments = NULL;
  lua_createtable(L, n, 1);
  lua_pushstring(L, w->name);
  lua_rawseti(L, -2, 0);
  for (int i = 0; i < n; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "arg");
  return n;
}


int worker_begin(worker *w, host *h) {
  int status = workers_bell(h);
  if (status < 0)
    return w->status = status;
  pthread_mutex_lock(&w->lock);
  w->host = h;
  if (w->asked != NOT)
    h->world->preempt(h->outside);
  pthread_mutex_unlock(&w->lock);
  return 0;
}


void worker_end(worker *w, int status, const host *h) {
  if (w->status == 0)
    w->status = status;
  w->began = w->status >= 0 && h != NULL && h->begun;
  if (h != NULL && h->told != NULL)
    w->error = strdup(h->told);
}


static void run(void *w) {
  ((worker *)w)->live(w);
}


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
  if (h->world->thread == NULL)
    return luaL_error(L, "there are no threads here");
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
  if (status == 0)
    status = h->world->thread(h->outside, run, on_ended, b->worker);
  if (status < 0) {
    free_worker(b->worker);
    b->worker = NULL;
    return fail(L, status, "worker", name);
  }
  link_worker(b->worker);
  return 1;
}


/*
** worker:wait(), worker:interrupt(insist?), worker:results()
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


static int l_interrupt(lua_State *L) {
  interrupt(check(L), lua_toboolean(L, 2) ? INSIST : INTERRUPT);
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
    int n = w->results != NULL ? message_decode(L, w->results) : 0;
    message_free(w->results);
    w->results = NULL;
    return n;
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
  interrupt(w, INTERRUPT);
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
** self() : id, count
*/

static int l_self(lua_State *L) {
  const worker *w = workshop_of(host_of(L))->self;
  lua_pushinteger(L, w != NULL ? w->id : 0);
  lua_pushinteger(L, w != NULL ? w->count : 0);
  return 2;
}


static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"wait", l_wait},
                                   {"interrupt", l_interrupt},
                                   {"results", l_results},
                                   {NULL, NULL}};

static const luaL_Reg functions[] = {{"start", l_start},
                                     {"channel", channel_lua},
                                     {"channels", channel_stats},
                                     {"self", l_self},
                                     {NULL, NULL}};


static int open_core(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_newlib(L, functions);
  return 1;
}


int workers_open(lua_State *L) {
  host_module(L, "neap.worker.core", open_core);
  return 0;
}


void workers_new(host *h, void (*live)(worker *w), worker *self) {
  h->workshop = memory_new(sizeof *h->workshop);
  h->workshop->live = live;
  h->workshop->self = self;
  if (self == NULL)
    return;
  h->label = self->label;
  h->siblings = self->count;
}


static bool any_runs(host *h) {
  return workshop_of(h)->started != NULL;
}


/* Lua has let go of them all, and so has interrupted them. */
static void join_all(host *h, struct workshop *s) {
  while (any_runs(h)) {
    life_linger(h, any_runs, h->world->now(h->outside) + PATIENCE);
    for (worker *w = s->started; w != NULL; w = w->older)
      interrupt(w, INSIST);
  }
}


void workers_close(host *h) {
  struct workshop *s = h->workshop;
  if (s == NULL)
    return;
  if (s->self != NULL) {
    pthread_mutex_lock(&s->self->lock);
    s->self->host = NULL;
    pthread_mutex_unlock(&s->self->lock);
    join_all(h, s);
  }
  scratch_free(&s->scratch);
  free(s);
  h->workshop = NULL;
}
