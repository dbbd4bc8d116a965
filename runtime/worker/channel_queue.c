/*
** A channel's queue, and who waits for it, under its lock.
*/

#include "sched/world.h"
#include "worker/channel_parts.h"
#include "worker/workshop.h"


/*
** Waiting and calling, under the channel's lock
*/

static void join_waiting(channel_end *b, int which) {
  channel_end **at = &b->channel->waiting[which];
  if (b->sides[which].waits)
    return;
  while (*at != NULL)
    at = &(*at)->sides[which].next;
  *at = b;
  b->sides[which].next = NULL;
  b->sides[which].waits = true;
}


static void leave_waiting(channel_end *b, int which) {
  channel_end **at = &b->channel->waiting[which];
  if (!b->sides[which].waits)
    return;
  while (*at != b)
    at = &(*at)->sides[which].next;
  *at = b->sides[which].next;
  b->sides[which].waits = false;
}


static bool is_possible(const channel *c, int which) {
  return c->closed || (which == RECV ? c->count > 0 : c->count < c->capacity);
}


/* Call the oldest of those who wait for what is possible now. */
static void call(channel *c, int which) {
  channel_end *b = c->waiting[which];
  if (b == NULL || !is_possible(c, which))
    return;
  leave_waiting(b, which);
  b->sides[which].called = true;
  b->host->world->ring(b->host->outside);
}


/* Is the host's end called?  Then one of its tasks is to be woken, or all when
 * the channel is closed. */
static bool take_call(channel_end *b, int which, bool *closed) {
  pthread_mutex_lock(&b->channel->lock);
  bool called = b->sides[which].called;
  b->sides[which].called = false;
  *closed = b->channel->closed;
  pthread_mutex_unlock(&b->channel->lock);
  return called;
}


/* Others of this host may wait on the same side: their end joins again. */
static void go_on(channel_end *b) {
  for (int which = 0; which < SIDES; which++)
    if (!wait_idle(&b->sides[which].tasks))
      join_waiting(b, which);
  call(b->channel, RECV);
  call(b->channel, SEND);
}


void channel_pass_on(channel_end *b) {
  pthread_mutex_lock(&b->channel->lock);
  go_on(b);
  pthread_mutex_unlock(&b->channel->lock);
}


void channels_rang(host *h) {
  bool closed;
  for (channel_end *b = workshop_of(h)->channels; b != NULL; b = b->older) {
    for (int which = 0; which < SIDES; which++) {
      waitq *q = &b->sides[which].tasks;
      if (!take_call(b, which, &closed))
        continue;
      if (closed)
        wait_wake_all(q, 0);
      else if (!wait_wake(q, 0))
        channel_pass_on(b);
    }
  }
}


/*
** Messages go in and out
*/

enum outcome channel_put(channel_end *b, message *m, bool wait) {
  channel *c = b->channel;
  enum outcome outcome = DONE;
  channel_queued(m, 1);
  pthread_mutex_lock(&c->lock);
  if (c->closed)
    outcome = CLOSED;
  else if (c->count == c->capacity)
    outcome = FULL;
  if (outcome == DONE) {
    if (c->first == NULL)
      c->first = m;
    else
      c->last->next = m;
    c->last = m;
    c->count++;
    go_on(b);
  } else if (outcome == FULL && wait) {
    join_waiting(b, SEND);
  }
  pthread_mutex_unlock(&c->lock);
  if (outcome != DONE)
    channel_queued(m, -1);
  return outcome;
}


enum outcome channel_take(channel_end *b, bool wait) {
  channel *c = b->channel;
  enum outcome outcome = DONE;
  if (b->taken != NULL)
    return DONE;
  pthread_mutex_lock(&c->lock);
  if (c->count == 0)
    outcome = c->closed ? CLOSED : EMPTY;
  if (outcome == DONE) {
    b->taken = c->first;
    c->first = b->taken->next;
    b->taken->next = NULL;
    c->count--;
    go_on(b);
  } else if (outcome == EMPTY && wait) {
    join_waiting(b, RECV);
  }
  pthread_mutex_unlock(&c->lock);
  if (outcome == DONE)
    channel_queued(b->taken, -1);
  return outcome;
}


void channel_close(channel *c, message *cause) {
  pthread_mutex_lock(&c->lock);
  if (!c->closed) {
    c->cause = cause;
    cause = NULL;
  }
  c->closed = true;
  for (int which = 0; which < SIDES; which++)
    while (c->waiting[which] != NULL)
      call(c, which);
  pthread_mutex_unlock(&c->lock);
  message_free(cause);
}


void channel_leave(channel_end *b) {
  channel *c = b->channel;
  pthread_mutex_lock(&c->lock);
  for (int which = 0; which < SIDES; which++) {
    leave_waiting(b, which);
    if (b->sides[which].called)
      call(c, which);
  }
  pthread_mutex_unlock(&c->lock);
}


unsigned channel_length(channel *c, bool *closed) {
  pthread_mutex_lock(&c->lock);
  unsigned n = c->count;
  *closed = c->closed;
  pthread_mutex_unlock(&c->lock);
  return n;
}
