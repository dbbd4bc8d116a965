/*
** Queues of tasks, and waking them.
*/

#include "sched/wait.h"

#include <lauxlib.h>
#include <math.h>

#include "host/memory.h"
#include "sched/sched.h"


void queue_add(waitq *q, task *t) {
  task *head = q->head;
  t->next = NULL;
  if (head == NULL) {
    q->head = t->prev = t;
    return;
  }
  t->prev = head->prev;
  t->prev->next = t;
  head->prev = t;
}


void queue_remove(waitq *q, task *t) {
  if (q->head == t)
    q->head = t->next;
  else
    t->prev->next = t->next;
  if (t->next != NULL)
    t->next->prev = t->prev;
  else if (q->head != NULL)
    q->head->prev = t->prev;
}


bool wait_wake(waitq *q, int status) {
  if (q->head == NULL)
    return false;
  task_wake(q->head, status);
  return true;
}


int wait_wake_all(waitq *q, int status) {
  int n = 0;
  while (wait_wake(q, status))
    n++;
  return n;
}


void wait_expect(const waitq *q, int step) {
  task *t = q->head;
  if (t == NULL)
    return;
  if (step == 0)
    memory_expect(&t->state, sizeof *t - offsetof(task, state));
  else
    coroutine_expect(t->co, step - 1);
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
