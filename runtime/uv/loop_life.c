/*
** The loop's opening, which asks beforehand for what libuv would abort without, and
** its end, at which nothing of libuv's is left.
*/

#include "uv/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/round.h"
#include "uv/clock.h"
#include "uv/nudge.h"
#include "uv/owned.h"
#include "uv/process.h"
#include "uv/recv_ring.h"
#include "uv/resolve.h"
#include "uv/thread.h"

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
  owned_add(l->epoll);
  l->uv_watch = (watch){.fd = uv_backend_fd(&l->uv), .ready = loop_on_uv};
  status = watch_set(l, &l->uv_watch, EPOLLIN);
  if (status < 0) {
    owned_close(l->epoll, -1);
    watch_free_pages(l);
  }
  return status;
}


static void each_of_uv(const uv_loop_t *uv, void (*what)(int fd)) {
  what(uv->backend_fd);
  what(uv->signal_pipefd[0]);
  what(uv->signal_pipefd[1]);
  what(uv->async_io_watcher.fd);
}


static void add(int fd) {
  owned_add(fd);
}


/* Of the process libuv has a pipe, of which it tells nobody: it is made with the first
 * loop, between its descriptors.  What was inherited may be there, too, without such a
 * flag. */
static void add_uv(const uv_loop_t *uv) {
  static atomic_flag again = ATOMIC_FLAG_INIT;
  each_of_uv(uv, add);
  if (atomic_flag_test_and_set(&again))
    return;
  int first = uv->backend_fd + 1, last = uv->signal_pipefd[0] - 1;
  for (int fd = first; fd <= last; fd++)
    if (last == first + 1 || fcntl(fd, F_GETFD) == FD_CLOEXEC)
      owned_add(fd);
}


/* Where it fails libuv leaves its epoll open, if it came to that. */
static int open_uv(uv_loop_t *uv) {
  int status = uv_loop_init(uv);
  if (status == 0)
    add_uv(uv);
  else if (uv->backend_fd > STDERR_FILENO)
    close(uv->backend_fd);
  return status;
}


static int close_uv(uv_loop_t *uv) {
  each_of_uv(uv, owned_remove);
  return uv_loop_close(uv);
}


static void on_anchor(uv_prepare_t *anchor) {
  (void)anchor;
}


int loop_open(host *h) {
  int status = prepare();
  if (status < 0)
    return status;
  loop *l = memory_new(sizeof *l);
  status = open_uv(&l->uv);
  if (status == 0 && (status = open_epoll(l)) < 0)
    close_uv(&l->uv);
  if (status < 0) {
    free(l);
    return status;
  }
  l->host = h;
  l->events = memory_grow(NULL, LOOP_BATCH * sizeof *l->events);
  uv_prepare_init(&l->uv, &l->anchor);
  uv_prepare_start(&l->anchor, on_anchor);
  l->time.born_ns = clock_now(l);
  l->time.born = l->time.woke = clock_ticks(l);
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
  int status = close_uv(&l->uv);
  assert(status == 0);
  (void)status;
  owned_close(l->epoll, -1);
  free(l->events);
  watch_free_pages(l);
  assert(l->timers.count == 0);
  heap_free(&l->timers);
  recv_ring_free(l->recv_ring);
  free(l);
  h->outside = NULL;
}
