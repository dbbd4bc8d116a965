#include "worker/worker.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "sched/drain.h"
#include "sched/life.h"
#include "sched/task.h"
#include "sched/world.h"
#include "worker/channel.h"
#include "worker/worker_parts.h"
#include "worker/workshop.h"

/* The exit status of a worker that was interrupted: as of SIGTERM. */
enum { INTERRUPTED = 128 + 15 };

/* Between the two, in ns, where its own host ends.  core.await has the same. */
#define PATIENCE UINT64_C(1000000000)


/*
** Ringing
*/

static enum asked take_asked(worker *w) {
  pthread_mutex_lock(&w->lock);
  enum asked asked = w->asked;
  w->asked = NOT;
  if (w->summoned && w->host != NULL)
    sched_summon(w->host);
  w->summoned = false;
  pthread_mutex_unlock(&w->lock);
  return asked;
}


/* Those of its workers that have settled since. */
static void wake_settled(host *h) {
  for (worker *w = workshop_of(h)->started; w != NULL; w = w->older)
    if (atomic_load(&w->settled))
      wait_wake_all(&w->waiters, 0);
}


/* Its loop goes on. */
static void answer(worker *w) {
  unsigned rung = atomic_load_explicit(&w->ringing, memory_order_relaxed);
  if (rung != atomic_load_explicit(&w->heard, memory_order_relaxed))
    atomic_store(&w->heard, rung);
}


/* Where the state is closed, there is no task any more. */
static void rang(host *h) {
  if (h->ended)
    return;
  worker *self = workshop_of(h)->self;
  if (self != NULL)
    answer(self);
  channels_rang(h);
  enum asked asked = self != NULL ? take_asked(self) : NOT;
  if (asked == DRAIN)
    sched_drain(h, 0, "another worker takes its place");
  else if (asked != NOT)
    sched_interrupt(h, INTERRUPTED, "interrupted");
  if (asked == INSIST)
    sched_insist(h);
  if (h->supervises)
    wake_settled(h);
}


int workers_bell(host *h) {
  struct workshop *s = workshop_of(h);
  if (s->hung)
    return 0;
  if (h->world->bell == NULL)
    return -ENOSYS;
  int status = h->world->bell(h->outside, rang);
  s->hung = status == 0;
  return status;
}


void worker_ask(worker *w, enum asked asked) {
  pthread_mutex_lock(&w->lock);
  if (w->asked < asked)
    w->asked = asked;
  if (w->host != NULL)
    w->host->world->preempt(w->host->outside, w->asked == DRAIN);
  pthread_mutex_unlock(&w->lock);
}


static void ring(worker *w) {
  if (w->host != NULL)
    w->host->world->ring(w->host->outside);
}


void worker_summon(worker *w) {
  pthread_mutex_lock(&w->lock);
  w->summoned = true;
  if (w->host != NULL)
    w->host->world->visit(w->host->outside);
  pthread_mutex_unlock(&w->lock);
}


void worker_ring(worker *w) {
  pthread_mutex_lock(&w->lock);
  atomic_store(&w->ringing, w->rung);
  ring(w);
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


static void on_settled(host *h) {
  worker *w = workshop_of(h)->self;
  const host *parent = w->parent;
  atomic_store(&w->settled, true);
  parent->world->ring(parent->outside);
}


int worker_begin(worker *w, host *h) {
  int status = workers_bell(h);
  if (w->count > 0)
    h->settled = on_settled;
  if (status < 0)
    return w->status = status;
  pthread_mutex_lock(&w->lock);
  w->host = h;
  if (w->asked != NOT)
    h->world->preempt(h->outside, w->asked == DRAIN);
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


void worker_live(void *w) {
  ((worker *)w)->live(w);
}


void workers_new(host *h, void (*live)(worker *w), worker *self) {
  h->workshop = memory_new(sizeof *h->workshop);
  h->workshop->live = live;
  h->workshop->self = self;
  if (self == NULL)
    return;
  h->label = self->label;
  h->siblings = self->count;
  h->slot = self->count > 0 ? self->id : 0;
}


/* Where there are no threads nobody has made it. */
int workers_open(lua_State *L) {
  host *h = host_of(L);
  if (h->workshop == NULL)
    workers_new(h, NULL, NULL);
  host_module(L, "neap.worker.core", worker_class_open);
  return 0;
}


static bool any_runs(host *h) {
  return workshop_of(h)->started != NULL;
}


/* Lua has let go of them all, and so has interrupted them. */
static void join_all(host *h, struct workshop *s) {
  while (any_runs(h)) {
    life_linger(h, any_runs, h->world->now(h->outside) + PATIENCE);
    for (worker *w = s->started; w != NULL; w = w->older)
      worker_ask(w, INSIST);
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
