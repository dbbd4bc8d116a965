/*
** One epoll_wait a batch.
**
** Each event goes to its watch, which notes what happened.  The woken tasks run
** before the next event is looked at, or, of streams, when a few more have been
** read.  What is closed in a batch is freed behind it, for its events may still be
** in the batch (net/round.h).
**
** libuv gets its turn when its descriptor is ready, and when somebody used one of
** its functions.
*/

#include "uv/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>

#include "net/round.h"
#include "sched/world.h"
#include "uv/clock.h"
#include "uv/holding.h"
#include "uv/timer.h"

#define SECOND UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)


/*
** libuv's turns
*/

void loop_touch(loop *l) {
  l->touched = true;
}


static bool uv_due(loop *l) {
  return l->touched || uv_backend_timeout(&l->uv) == 0;
}


static void run_uv(loop *l) {
  l->touched = false;
  uv_run(&l->uv, UV_RUN_NOWAIT);
  round_run(l->host);
}


void loop_on_uv(watch *w, uint32_t events) {
  (void)events;
  run_uv((loop *)((char *)w - offsetof(loop, uv_watch)));
}


/*
** Waiting
*/

static uint64_t until(uint64_t deadline) {
  if (deadline == 0 || deadline == NEVER)
    return deadline;
  uint64_t t = clock_now(NULL);
  return t < deadline ? deadline - t : 0;
}


/* How long to wait, in ns: for the deadline or the first timer. */
static uint64_t patience(const loop *l, uint64_t deadline) {
  uint64_t first = timers_next(l);
  return until(first < deadline ? first : deadline);
}


/* Rounded up, for a timer is never early. */
static int milliseconds(uint64_t ns) {
  uint64_t ms = ns / MILLISECOND + (ns % MILLISECOND != 0);
  return ms < INT_MAX ? (int)ms : INT_MAX;
}


/* A sandbox may answer EPERM for a system call that it does not know. */
static int wait_for(loop *l, uint64_t ns) {
  if (ns == NEVER)
    return epoll_wait(l->epoll, l->events, LOOP_BATCH, -1);
  if (ns != 0 && !l->coarse) {
    struct timespec t = {(time_t)(ns / SECOND), (long)(ns % SECOND)};
    int n = epoll_pwait2(l->epoll, l->events, LOOP_BATCH, &t, NULL);
    if (n >= 0 || (errno != ENOSYS && errno != EPERM))
      return n;
    l->coarse = true;
  }
  return epoll_wait(l->epoll, l->events, LOOP_BATCH, milliseconds(ns));
}


/* Look for so long, without sleeping.  To be woken takes a processor longer
 * than many a peer takes to answer. */
static int look_for(loop *l, uint64_t ns) {
  uint64_t end = clock_now(l) + ns;
  int n;
  do
    n = wait_for(l, 0);
  while (n == 0 && clock_now(l) < end);
  return n;
}


static int wait_patiently(loop *l, uint64_t ns) {
  uint64_t busy = l->host->busy_poll;
  if (busy == 0 || ns == 0)
    return wait_for(l, ns);
  if (busy > ns)
    busy = ns;
  int n = look_for(l, busy);
  if (n != 0 || ns == busy)
    return n;
  return wait_for(l, ns == NEVER ? NEVER : ns - busy);
}


/*
** How long others wait for us
*/

static void begin_wait(loop *l) {
  uint64_t busy = clock_ticks(l) - l->time.woke;
  l->time.busy += busy;
  for (int i = 0; i < LOAD_READERS; i++)
    if (busy > l->time.longest[i])
      l->time.longest[i] = busy;
}


/* What has gone on since the last wait counts, too.  How long a tick is, the life of the
 * loop tells. */
void loop_load(void *w, enum load_reader who, struct load *out) {
  loop *l = w;
  begin_wait(l);
  uint64_t ticks = (l->time.woke = clock_ticks(l)) - l->time.born;
  double ns = (double)(clock_now(l) - l->time.born_ns);
  double of_a_tick = ticks > 0 ? ns / (double)ticks : 1;
  out->turns = l->turn;
  out->busy = (uint64_t)((double)l->time.busy * of_a_tick);
  out->longest = (uint64_t)((double)l->time.longest[who] * of_a_tick);
  l->time.longest[who] = 0;
}


/* What runs before the wait may let Lua ask for an earlier deadline: then
 * there is no waiting this time.  An interrupted wait is an empty one. */
uint64_t loop_poll(void *w, uint64_t deadline) {
  loop *l = w;
  bool busy = round_end(l->host);
  if (l->host->settled != NULL)
    holding_look(l->host);
  uint64_t time = deadline == 0 ? clock_now(l) : 0;
  if (timers_call(l)) {
    round_run(l->host);
    busy = true;
  }
  if (uv_due(l)) {
    run_uv(l);
    busy = true;
  }
  begin_wait(l);
  int n = wait_patiently(l, busy ? 0 : patience(l, deadline));
  l->time.woke = clock_ticks(l);
  if (deadline != NEVER && time == 0)
    time = clock_now(l);
  l->turn++;
  if (n < 0)
    errno =
        0; /* what ended this wait has interrupted nothing else: preempt.c */
  watch_look_closely(l, n);
  watch_deliver(l, n);
  round_end(l->host);
  return time;
}
