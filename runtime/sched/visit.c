/*
** Visits: what computes lets a prompt in.
**
** A knock sets `host.visited`, and a count hook on the coroutine that runs, as a
** signal does (preempt.c).  While it is set, the hook puts a task *aside* that has run
** for a slice: it stops the coroutine between two instructions, and with it those that
** have resumed it (host/coroutine.c).  The turn is then over, so the world is asked.
** While tasks are aside, of the others only those of prompts run: to all else nothing
** has happened between two instructions, but what a visitor does.
**
** What cannot suspend (a comparison of table.sort, a finalizer) goes on until it
** can.
*/

#include "sched/sched.h"

/* In ticks of the world, some ms. */
enum { SLICE = 4 * 1000 * 1000 };


void sched_visit(host *h) {
  h->visited = 1;
  preempt_look(h);
}


void sched_leave(host *h) {
  h->visited = 0;
}


/* In the hook, as the last thing: Lua stops when it returns. */
void visit_put_aside(lua_State *L, const struct sched *s) {
  host *h = s->host;
  if (s->current == NULL || !host_suspends(L) ||
      h->world->ticks(h->outside) - s->began < SLICE)
    return;
  h->aside = L;
  lua_yield(L, 0);
}


/* It has just run. */
void visit_note(struct sched *s, task *t, bool again) {
  t->parked = s->host->aside;
  s->host->aside = NULL;
  if (!again)
    t->since = (uint32_t)(s->now / TICK);
  t->aside = true;
  t->state = READY;
  queue_add(&s->aside, &t->place);
  s->ready_count++;
}


/* A prompt that is always ready does not keep what is aside from going on. */
task *visit_next(struct sched *s) {
  waitq *from = &s->ready;
  waiter *w = from->head;
  while (w != NULL && !ready_task(w)->scope->prompt)
    w = w->next;
  if (w == NULL || ++s->visits > TOGETHER) {
    from = &s->aside;
    w = from->head;
    s->visits = 0;
  }
  queue_remove(from, w);
  s->ready_count--;
  return ready_task(w);
}
