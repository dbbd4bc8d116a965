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

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "host/memory.h"
#include "sched/world.h"
#include "uv/clock.h"
#include "uv/nudge.h"
#include "uv/owned.h"
#include "uv/process.h"
#include "uv/recv_ring.h"
#include "uv/resolve.h"
#include "uv/thread.h"
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


static void on_uv(watch *w, uint32_t events) {
  (void)events;
  run_uv((loop *)((char *)w - offsetof(loop, uv_watch)));
}


static void on_anchor(uv_prepare_t *anchor) {
  (void)anchor;
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


/* What runs before the wait may let Lua ask for an earlier deadline: then
 * there is no waiting this time.  An interrupted wait is an empty one. */
uint64_t loop_poll(void *w, uint64_t deadline) {
  loop *l = w;
  bool busy = round_end(l->host);
  uint64_t time = deadline == 0 ? clock_now(l) : 0;
  if (timers_call(l)) {
    round_run(l->host);
    busy = true;
  }
  if (uv_due(l)) {
    run_uv(l);
    busy = true;
  }
  int n = wait_patiently(l, busy ? 0 : patience(l, deadline));
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


/*
** Opening and closing
*/

/* libuv aborts on a descriptor of its own below 3. */
static void fill_standard(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0)
      owned_occupy(fd);
}


/* The lower of the descriptors that a pipe would have, or -errno. */
static int try_pipe(void) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0)
    return -errno;
  close(fds[0]);
  close(fds[1]);
  return fds[0] < fds[1] ? fds[0] : fds[1];
}


/* It also aborts where it cannot have its first pipe. */
static int prepare(void) {
  int status = try_pipe();
  if (status < 0 || status > STDERR_FILENO)
    return status;
  fill_standard();
  return try_pipe();
}


/* What libuv would put into its own epoll in its first turn, and abort where that
 * cannot be.  It takes what is there already for its own. */
static int fill_epoll(const loop *l) {
  const int fds[] = {l->uv.async_io_watcher.fd, l->uv.signal_io_watcher.fd};
  int epoll = uv_backend_fd(&l->uv);
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fds[i]};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &e) < 0)
      return -errno;
  }
  return 0;
}


/* After uv_loop_init. */
static int open_epoll(loop *l) {
  int status = fill_epoll(l);
  if (status < 0)
    return status;
  l->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (l->epoll < 0)
    return -errno;
  l->uv_watch = (watch){.fd = uv_backend_fd(&l->uv), .ready = on_uv};
  status = watch_set(l, &l->uv_watch, EPOLLIN);
  if (status < 0) {
    close(l->epoll);
    watch_free_pages(l);
  }
  return status;
}


int loop_open(host *h) {
  int status = prepare();
  if (status < 0)
    return status;
  loop *l = memory_new(sizeof *l);
  status = uv_loop_init(&l->uv);
  if (status == 0 && (status = open_epoll(l)) < 0)
    uv_loop_close(&l->uv);
  if (status < 0) {
    free(l);
    return status;
  }
  l->host = h;
  l->events = memory_grow(NULL, LOOP_BATCH * sizeof *l->events);
  uv_prepare_init(&l->uv, &l->anchor);
  uv_prepare_start(&l->anchor, on_anchor);
  h->outside = l;
  return 0;
}


static void on_left(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (uv_is_closing(handle))
    return;
  assert(!"a handle of libuv outlived what it served");
  uv_close(handle, NULL);
}


/* The calls that are due may close handles, and closed handles may have calls
 * to make.  A file may be read yet. */
void loop_close(host *h) {
  loop *l = loop_of(h);
  round_end(l->host);
  while (l->threads > 0)
    uv_run(&l->uv, UV_RUN_ONCE);
  children_close(l);
  signals_close(h);
  thread_close(l);
  nudge_leave(h);
  resolve_close(l);
  uv_close((uv_handle_t *)&l->anchor, NULL);
  uv_walk(&l->uv, on_left, NULL);
  uv_run(&l->uv, UV_RUN_DEFAULT);
  round_end(l->host);
  int status = uv_loop_close(&l->uv);
  assert(status == 0);
  (void)status;
  close(l->epoll);
  free(l->events);
  watch_free_pages(l);
  assert(l->timers.count == 0);
  heap_free(&l->timers);
  recv_ring_free(l->recv_ring);
  free(l);
  h->outside = NULL;
}
