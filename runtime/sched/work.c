#include "sched/work.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "host/class.h"
#include "host/memory.h"
#include "sched/task.h"
#include "sched/world.h"

#define CLASS "neap.work"

typedef struct work_box {
  work *work;
} work_box;


static void free_work(work *w) {
  w->kind->clear(w);
  free(w);
}


/* While it runs, its thread has it. */
static void drop(work_box *b) {
  work *w = b->work;
  b->work = NULL;
  if (w != NULL && w->state == WORK_RUNNING)
    atomic_store(&w->dropped, true);
  else if (w != NULL)
    free_work(w);
}


static int l_gc(lua_State *L) {
  drop(luaL_checkudata(L, 1, CLASS));
  return 0;
}


work *work_new(lua_State *L, const work_kind *kind, work_gate *gate) {
  work_box *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL)
    lua_error(L);
  b->work = memory_new(kind->size);
  b->work->kind = kind;
  b->work->host = host_of(L);
  b->work->gate = gate;
  return b->work;
}


static void compute(void *arg) {
  work *w = arg;
  w->kind->run(w);
}


static void set_running(work *w, bool is) {
  unsigned change = is ? 1 : -1U;
  w->state = is ? WORK_RUNNING : WORK_ENDED;
  w->host->handles += change;
  w->gate->running += change;
  if (w->kind->stays)
    (is ? sched_hold : sched_release)(w->host);
}


static void on_ended(void *arg) {
  work *w = arg;
  set_running(w, false);
  if (!w->host->ended) { /* else its tasks are gone */
    wait_wake(&w->gate->waiting, 0);
    wait_wake_all(&w->waiters, 0);
  }
  if (atomic_load(&w->dropped))
    free_work(w);
}


static int end_k(lua_State *L, int status, lua_KContext box) {
  work_box *b = lua_touserdata(L, (int)box);
  work *w = b->work;
  const waiting how = {w->kind->op, NEVER, true};
  bool cancelled = false;
  if (status == LUA_YIELD)
    wait_peek(L, &cancelled);
  if (cancelled) {
    drop(b);
    return wait_raise(L);
  }
  return w->state == WORK_ENDED ? w->kind->push(L, w)
                                : wait_park(L, &w->waiters, &how, box, end_k);
}


/* Where there can be no thread, it is better to wait than to fail. */
static int begin(lua_State *L, work *w, int box) {
  host *h = w->host;
  if (h->world->thread(h->outside, compute, on_ended, w) < 0) {
    compute(w);
    return w->kind->push(L, w);
  }
  set_running(w, true);
  return end_k(L, LUA_OK, box);
}


/* Who is woken for a free place, and does not want it any more, hands it on. */
static int begin_k(lua_State *L, int status, lua_KContext box) {
  work_box *b = lua_touserdata(L, (int)box);
  work *w = b->work;
  work_gate *g = w->gate;
  const waiting how = {w->kind->op, NEVER, true};
  bool cancelled = false;
  if (status == LUA_YIELD)
    wait_peek(L, &cancelled);
  if (cancelled) {
    if (g->running < g->most)
      wait_wake(&g->waiting, 0);
    drop(b);
    return wait_raise(L);
  }
  if (g->running >= g->most)
    return wait_park(L, &g->waiting, &how, box, begin_k);
  return begin(L, w, (int)box);
}


int work_run(lua_State *L, work *w, bool is_long) {
  if (!is_long || w->host->world->thread == NULL || !host_suspends(L)) {
    compute(w);
    return w->kind->push(L, w);
  }
  wait_enter(L, w->kind->op);
  return begin_k(L, LUA_OK, lua_gettop(L));
}


void work_open(lua_State *L) {
  class_open_closing(L, CLASS, l_gc);
}
