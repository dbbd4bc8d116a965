/*
** Deadlines of tasks, in a heap.
**
** A wait with a deadline later than the entry its task already has leaves the
** entry alone; when an entry comes up it is compared with the task's real
** deadline.  So a read with a timeout, again and again, costs no heap work.
*/

#include "sched/sched.h"


static task *first(const struct sched *s) {
  return (task *)((char *)heap_first(&s->deadlines)->of -
                  offsetof(struct task, timer));
}


/* Make sure that the heap comes back to t by its deadline. */
void timer_set(struct sched *s, task *t) {
  if (t->deadline == NEVER)
    return;
  if (t->timer == 0)
    heap_add(&s->deadlines, t->deadline, &t->timer);
  else if (heap_time(&s->deadlines, t->timer) > t->deadline)
    heap_move(&s->deadlines, t->timer, t->deadline);
}


void timer_drop(struct sched *s, task *t) {
  if (t->timer != 0)
    heap_remove(&s->deadlines, &t->timer);
}


/* The earliest real deadline, or NEVER. */
uint64_t timer_next(struct sched *s) {
  while (s->deadlines.count > 0) {
    task *t = first(s);
    uint64_t at = heap_first(&s->deadlines)->at;
    if (at == t->deadline)
      return at;
    if (t->deadline == NEVER)
      timer_drop(s, t);
    else
      heap_move(&s->deadlines, t->timer, t->deadline);
  }
  return NEVER;
}


/* Take a task whose deadline has passed; NULL when there is none. */
task *timer_expired(struct sched *s, uint64_t now) {
  if (timer_next(s) > now)
    return NULL;
  task *t = first(s);
  timer_drop(s, t);
  return t;
}
