#include "crypto/job.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "crypto/crypto.h"
#include "host/class.h"
#include "host/error.h"
#include "host/memory.h"
#include "sched/task.h"
#include "sched/world.h"

#define CLASS "neap.crypto.job"

typedef struct job_box {
  job *job;
} job_box;


static void free_job(job *j) {
  j->kind->clear(j);
  free(j);
}


/* While it runs, its thread has it. */
static void drop(job_box *b) {
  job *j = b->job;
  b->job = NULL;
  if (j != NULL && j->state == JOB_RUNNING)
    atomic_store(&j->dropped, true);
  else if (j != NULL)
    free_job(j);
}


static int l_gc(lua_State *L) {
  drop(luaL_checkudata(L, 1, CLASS));
  return 0;
}


job *job_new(lua_State *L, const job_kind *kind) {
  job_box *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL)
    lua_error(L);
  b->job = memory_new(kind->size);
  b->job->kind = kind;
  b->job->host = host_of(L);
  return b->job;
}


/*
** In the thread
*/

static void compute(void *arg) {
  job *j = arg;
  openssl_begin();
  j->ok = j->kind->run(j);
  if (!j->ok)
    openssl_take_error(&j->error);
  ERR_clear_error();
}


/*
** In the host's
*/

static void on_ended(void *arg) {
  job *j = arg;
  host *h = j->host;
  j->state = JOB_ENDED;
  h->handles--;
  h->crypto->running--;
  wait_wake(&h->crypto->waiting, 0);
  wait_wake_all(&j->waiters, 0);
  if (atomic_load(&j->dropped))
    free_job(j);
}


static int push_result(lua_State *L, job *j) {
  if (j->ok)
    return j->kind->push(L, j);
  lua_pushnil(L);
  error_push_code(L, j->error.code, j->kind->op, NULL, j->error.message);
  return 2;
}


static int end_k(lua_State *L, int status, lua_KContext box) {
  job_box *b = lua_touserdata(L, (int)box);
  job *j = b->job;
  const waiting how = {j->kind->op, NEVER, true};
  bool cancelled = false;
  if (status == LUA_YIELD)
    wait_peek(L, &cancelled);
  if (cancelled) {
    drop(b);
    return wait_raise(L);
  }
  return j->state == JOB_ENDED ? push_result(L, j)
                               : wait_park(L, &j->waiters, &how, box, end_k);
}


/* Where there can be no thread, it is better to wait than to fail. */
static int begin(lua_State *L, job *j, int box) {
  host *h = j->host;
  if (h->world->thread(h->outside, compute, on_ended, j) < 0) {
    compute(j);
    return push_result(L, j);
  }
  j->state = JOB_RUNNING;
  h->handles++;
  h->crypto->running++;
  return end_k(L, LUA_OK, box);
}


/* Who is woken for a free place, and does not want it any more, hands it on. */
static int begin_k(lua_State *L, int status, lua_KContext box) {
  job *j = ((job_box *)lua_touserdata(L, (int)box))->job;
  struct crypto *c = j->host->crypto;
  const waiting how = {j->kind->op, NEVER, true};
  bool cancelled = false;
  if (status == LUA_YIELD)
    wait_peek(L, &cancelled);
  if (cancelled) {
    if (c->running < JOBS)
      wait_wake(&c->waiting, 0);
    return wait_raise(L);
  }
  if (c->running >= JOBS)
    return wait_park(L, &c->waiting, &how, box, begin_k);
  return begin(L, j, (int)box);
}


int job_run(lua_State *L, job *j, bool is_long) {
  if (!is_long || j->host->world->thread == NULL || !host_suspends(L)) {
    compute(j);
    return push_result(L, j);
  }
  wait_enter(L, j->kind->op);
  return begin_k(L, LUA_OK, lua_gettop(L));
}


void job_open(lua_State *L) {
  class_open_closing(L, CLASS, l_gc);
}
