/*
** Deadlines: a binary heap of (time, task).
**
** A wait with a deadline later than the entry its task already has leaves the
** entry alone; when an entry comes up it is compared with the task's real
** deadline.  So a read with a timeout, again and again, costs no heap work.
*/

#include "host/memory.h"
#include "sched/sched.h"


static void put(struct sched *s, unsigned i, timer x) {
  s->heap[i] = x;
  x.task->timer = i;
}


static void rise(struct sched *s, unsigned i) {
  timer x = s->heap[i];
  for (; i > 1 && s->heap[i / 2].at > x.at; i /= 2)
    put(s, i, s->heap[i / 2]);
  put(s, i, x);
}


static void sink(struct sched *s, unsigned i) {
  timer x = s->heap[i];
  for (unsigned child; (child = 2 * i) <= s->timers; i = child) {
    if (child < s->timers && s->heap[child + 1].at < s->heap[child].at)
      child++;
    if (s->heap[child].at >= x.at)
      break;
    put(s, i, s->heap[child]);
  }
  put(s, i, x);
}


static void add(struct sched *s, task *t) {
  if (s->timers + 1 >= s->heap_room) {
    s->heap_room = s->heap_room == 0 ? 64 : s->heap_room * 2;
    s->heap = memory_grow(s->heap, s->heap_room * sizeof *s->heap);
  }
  s->heap[++s->timers] = (timer){t->deadline, t};
  rise(s, s->timers);
}


/* Make sure that the heap comes back to t by its deadline. */
void timer_set(struct sched *s, task *t) {
  if (t->deadline == NEVER)
    return;
  if (t->timer == 0) {
    add(s, t);
  } else if (s->heap[t->timer].at > t->deadline) {
    s->heap[t->timer].at = t->deadline;
    rise(s, t->timer);
  }
}


void timer_drop(struct sched *s, task *t) {
  unsigned i = t->timer;
  if (i == 0)
    return;
  t->timer = 0;
  timer last = s->heap[s->timers--];
  if (i > s->timers)
    return;
  put(s, i, last);
  sink(s, i);
  rise(s, last.task->timer);
}


/* The earliest real deadline, or NEVER. */
uint64_t timer_next(struct sched *s) {
  while (s->timers > 0) {
    timer *top = &s->heap[1];
    if (top->at == top->task->deadline)
      return top->at;
    if (top->task->deadline == NEVER) {
      timer_drop(s, top->task);
    } else {
      top->at = top->task->deadline;
      sink(s, 1);
    }
  }
  return NEVER;
}


/* Take a task whose deadline has passed; NULL when there is none. */
task *timer_expired(struct sched *s, uint64_t now) {
  if (timer_next(s) > now)
    return NULL;
  task *t = s->heap[1].task;
  timer_drop(s, t);
  return t;
}
