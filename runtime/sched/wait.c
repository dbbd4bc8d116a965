/*
** Waiting: queues of tasks, waking them, and how a task parks and goes on.
*/

#include "sched/wait.h"

#include <lauxlib.h>
#include <math.h>

#include "host/coroutine.h"
#include "sched/sched.h"


void queue_add(waitq *q, waiter *w) {
  waiter *head = q->head;
  w->next = NULL;
  if (head == NULL) {
    q->head = w->prev = w;
    return;
  }
  w->prev = head->prev;
  w->prev->next = w;
  head->prev = w;
}


void queue_remove(waitq *q, waiter *w) {
  if (q->head == w)
    q->head = w->next;
  else
    w->prev->next = w->next;
  if (w->next != NULL)
    w->next->prev = w->prev;
  else if (q->head != NULL)
    q->head->prev = w->prev;
}


static void join_all(choice *c) {
  for (int i = 0; i < c->count; i++)
    queue_add(c->all[i].in, &c->all[i].place);
  c->task->place.next = &c->all[0].place;
  c->task->chooses = true;
}


static void leave_all(choice *c) {
  for (int i = 0; i < c->count; i++)
    queue_remove(c->all[i].in, &c->all[i].place);
  c->task->chooses = false;
}


/* Only what was chosen by a wake, and by no interrupt, is looked at. */
static void note_choice(const alternative *a) {
  a->choice->chosen = (int)(a - a->choice->all);
}


void wait_leave(task *t) {
  if (t->chooses)
    leave_all(((alternative *)t->place.next)->choice);
  else if (t->place.in != NULL)
    queue_remove(t->place.in, &t->place);
  t->place.in = NULL;
}


bool wait_wake(waitq *q, int status) {
  const waiter *w = q->head;
  if (w == NULL)
    return false;
  if (w->in == NULL)
    note_choice((const alternative *)w);
  task_wake(waiter_task(w), status);
  return true;
}


int wait_wake_all(waitq *q, int status) {
  int n = 0;
  while (wait_wake(q, status))
    n++;
  return n;
}


uint64_t wait_deadline(lua_State *L, double seconds) {
  host *h = host_of(L);
  if (isnan(seconds))
    luaL_error(L, "a number of seconds expected, got NaN");
  uint64_t now = h->world->now(h->outside);
  if (seconds <= 0)
    return now;
  double ns = ceil(seconds * 1e9);
  return ns >= (double)(INT64_MAX) ? NEVER : now + (uint64_t)ns;
}


/*
** The running task
*/

static bool interrupted(const task *t) {
  return t->interrupt && cancel_scope_interrupts(t, NULL);
}


static int raise_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return wait_raise(L);
}


/* Who catches it and tries again must not keep the others from ending. */
static void give_way_and_raise(lua_State *L) {
  if (host_suspends(L))
    wait_yield(L, 0, raise_k);
  wait_raise(L);
}


static inline void enter(lua_State *L, const char *op, bool puts) {
  host *h = host_of(L);
  task *t = h->sched->current;
  if (t == NULL)
    luaL_error(L, "%s: only a task can wait", op);
  if (interrupted(t) && !(puts && preempt_spares(L, t)))
    give_way_and_raise(L);
  if (!host_suspends(L))
    luaL_error(
        L,
        "%s cannot wait here: Lua cannot suspend inside a comparison of "
        "table.sort, a replacement of string.gsub, __tostring, __gc, a "
        "reader of load, coroutine.close or another C function, nor in a "
        "coroutine that a C library resumes; do it before, and pass the "
        "result in",
        op);
}


void wait_enter(lua_State *L, const char *op) {
  enter(L, op, false);
}


void wait_enter_put(lua_State *L, const char *op) {
  enter(L, op, true);
}


/* To the end of the ready queue. */
static void give_way(struct sched *s, task *t, const char *op) {
  t->op = op;
  task_keep_deadline(t);
  timer_set(s, t);
  task_ready(s, t);
}


/* False: it is interrupted, and the continuation raises, after undoing. */
static inline bool begin(lua_State *L, struct sched *s, task *t,
                         const waiting *how) {
  luaL_checkstack(L, COROUTINE_MARK, NULL);
  if (interrupted(t)) {
    give_way(s, t, how->op);
    t->status = WAIT_INTERRUPTED;
    return false;
  }
  uint64_t limit = cancel_scope_deadline(t);
  t->deadline = how->deadline < limit ? how->deadline : limit;
  timer_set(s, t);
  t->op = how->op;
  t->since = (uint32_t)(s->now / TICK);
  t->outside = how->outside;
  s->outside += t->outside;
  t->state = WAITING;
  return true;
}


int wait_park(lua_State *L, waitq *q, const waiting *how, lua_KContext ctx,
              lua_KFunction k) {
  struct sched *s = host_of(L)->sched;
  task *t = s->current;
  if (begin(L, s, t, how)) {
    t->place.in = q;
    if (q != NULL)
      queue_add(q, &t->place);
  }
  return task_suspend(L, t, ctx, k);
}


int wait_park_choice(lua_State *L, choice *c, const waiting *how,
                     lua_KContext ctx, lua_KFunction k) {
  struct sched *s = host_of(L)->sched;
  c->task = s->current;
  if (begin(L, s, c->task, how))
    join_all(c);
  return task_suspend(L, c->task, ctx, k);
}


int wait_peek(lua_State *L, bool *cancelled) {
  int status = task_current(L)->status;
  *cancelled = status == WAIT_INTERRUPTED;
  return status;
}


int wait_raise(lua_State *L) {
  task *t = task_current(L);
  preempt_swallower(L, t);
  cancel_scope_raise(L, t);
}


int wait_status(lua_State *L) {
  bool cancelled;
  int status = wait_peek(L, &cancelled);
  return cancelled ? wait_raise(L) : status;
}


bool wait_interrupted(lua_State *L) {
  const task *t = task_current(L);
  const cancel_scope *f = NULL;
  return t->interrupt && cancel_scope_interrupts(t, &f) &&
         (f == NULL || f->kind != TIMEOUT);
}


int wait_to_take(lua_State *L) {
  int status = wait_status(L);
  return wait_interrupted(L) ? wait_raise(L) : status;
}


int wait_yield(lua_State *L, lua_KContext ctx, lua_KFunction k) {
  struct sched *s = host_of(L)->sched;
  task *t = s->current;
  luaL_checkstack(L, COROUTINE_MARK, NULL);
  t->status = 0;
  give_way(s, t, "yield");
  return task_suspend(L, t, ctx, k);
}
