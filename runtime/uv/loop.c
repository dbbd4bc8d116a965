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
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/memory.h"
#include "sched/task.h"
#include "sched/world.h"
#include "uv/arena.h"
#include "uv/backend.h"
#include "uv/foreign.h"
#include "uv/nudge.h"
#include "uv/owned.h"
#include "uv/process.h"
#include "uv/resolve.h"
#include "uv/socket.h"
#include "uv/terminal.h"
#include "uv/thread.h"
#include "uv/timer.h"
#include "uv/world.h"

#define SECOND UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)


/*
** Watches
**
** An event names its watch by descriptor and birth, not by address, so one that
** comes late finds nobody.  For the kernel forgets a descriptor only when the
** last copy of it is closed: while a child has one, or a process that it was
** passed to, or one that took it (pidfd_getfd(2)), our epoll goes on to tell of
** what we have closed.  Nobody can know of all the copies, so nothing here
** depends on it: such an event is ignored, and as it would come again for ever,
** a fresh epoll takes the place of the one that remembers (renew).
*/

/* Watches are kept by descriptor, so many a page. */
enum { PAGE = 512 };


static uint64_t name_of(const watch *w) {
  return (uint64_t)w->birth << 32 | (uint32_t)w->fd;
}


/* Where the watch of a descriptor is kept, or NULL. */
static watch **place_of(const loop *l, uint32_t fd) {
  uint32_t page = fd / PAGE;
  bool is_there = page < l->page_count && l->pages[page] != NULL;
  return is_there ? &l->pages[page][fd % PAGE] : NULL;
}


watch *watch_of(const loop *l, int fd) {
  watch **place = place_of(l, (uint32_t)fd);
  return place != NULL ? *place : NULL;
}


/* The watch of an event, or NULL. */
static watch *find(const loop *l, const struct epoll_event *e) {
  watch **place = place_of(l, (uint32_t)e->data.u64);
  watch *w = place != NULL ? *place : NULL;
  return w != NULL && name_of(w) == e->data.u64 ? w : NULL;
}


static void enter(loop *l, watch *w) {
  unsigned page = (unsigned)w->fd / PAGE;
  if (page >= l->page_count) {
    l->pages = memory_grow(l->pages, (page + 1) * sizeof *l->pages);
    while (l->page_count <= page)
      l->pages[l->page_count++] = NULL;
  }
  if (l->pages[page] == NULL)
    l->pages[page] = memory_new(PAGE * sizeof(watch *));
  *place_of(l, (uint32_t)w->fd) = w;
}


static void remove_watch(loop *l, watch *w) {
  if (w->events != 0)
    *place_of(l, (uint32_t)w->fd) = NULL;
  w->events = 0;
}


static void free_pages(loop *l) {
  for (unsigned i = 0; i < l->page_count; i++)
    free(l->pages[i]);
  free(l->pages);
}


static int control(loop *l, int op, watch *w, uint32_t events) {
  struct epoll_event e = {.events = events, .data.u64 = name_of(w)};
  return epoll_ctl(l->epoll, op, w->fd, &e) == 0 ? 0 : -errno;
}


/* The kernel's view may differ from ours where a descriptor was closed or
 * duplicated by others: then the other operation is the right one. */
static int ask(loop *l, watch *w, uint32_t events) {
  int op = w->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (w->events == 0)
    w->birth = ++l->births;
  int status = control(l, op, w, events);
  if (status == -EEXIST)
    return control(l, EPOLL_CTL_MOD, w, events);
  if (status == -ENOENT)
    return control(l, EPOLL_CTL_ADD, w, events);
  return status;
}


int watch_set(loop *l, watch *w, uint32_t events) {
  if (events == w->events)
    return 0;
  if (events == 0) {
    watch_drop(l, w);
    return 0;
  }
  int status = ask(l, w, events);
  if (status == 0) {
    enter(l, w);
    w->events = (uint8_t)events;
  }
  return status;
}


bool watch_again(loop *l, watch *w, uint32_t events) {
  if (control(l, EPOLL_CTL_MOD, w, events) < 0)
    return false;
  w->events = (uint8_t)events;
  return true;
}


void watch_drop(loop *l, watch *w) {
  if (w->events != 0)
    control(l, EPOLL_CTL_DEL, w, 0); /* fails only if it is not there */
  remove_watch(l, w);
}


void watch_forget(loop *l, watch *w) {
  if (l->cautious)
    watch_drop(l, w);
  else
    remove_watch(l, w);
}


/* Whose watch was dropped earlier in this batch is no cause for doubt, but that
 * the next batch will tell. */
static void deliver(loop *l, const struct epoll_event *e) {
  watch *w = find(l, e);
  if (w != NULL)
    w->ready(w, e->events);
  else
    l->doubt = true;
}


/* With so many streams, what an event touches is in the caches no longer: it
 * would wait for memory some twenty times.  The other half of a core's second
 * cache is the kernel's. */
enum { MANY_STREAMS = 128 };


/* Have fetched, in the turn of event i, what those that follow need. */
static void look_ahead(const loop *l, int i, int n) {
  for (int step = 0; step < WIRE_STEPS; step++) {
    int next = i + WIRE_STEPS - step;
    watch *const *place =
        next < n ? place_of(l, (uint32_t)l->events[next].data.u64) : NULL;
    if (place != NULL && *place != NULL)
      wire_expect(*place, step);
  }
}


static void deliver_all(loop *l, int n) {
  bool many = l->host->streams >= MANY_STREAMS;
  for (int i = 0; i < n; i++) {
    if (many)
      look_ahead(l, i, n);
    deliver(l, &l->events[i]);
  }
  if (n > 0)
    round_run(l->host);
}


static bool enter_all(loop *l) {
  for (uint32_t fd = 0; fd < l->page_count * PAGE; fd++) {
    watch *w = watch_of(l, (int)fd);
    if (w != NULL && control(l, EPOLL_CTL_ADD, w, w->events) < 0)
      return false;
  }
  return true;
}


/* Only the epoll knows what others have closed. */
static void leave_out_gone(loop *l) {
  for (uint32_t fd = 0; fd < l->page_count * PAGE; fd++) {
    watch *w = watch_of(l, (int)fd);
    if (w != NULL && foreign_is(w) && !watch_again(l, w, w->events))
      foreign_gone(l, w);
  }
}


/* An epoll that knows our watches only.  If there can't be one now, there may
 * be at the next such event. */
static void renew(loop *l) {
  int before = l->epoll;
  int fresh = epoll_create1(EPOLL_CLOEXEC);
  if (fresh < 0)
    return;
  leave_out_gone(l);
  l->epoll = fresh;
  if (enter_all(l)) {
    close(before);
  } else {
    close(fresh);
    l->epoll = before;
  }
}


/* Does any event of a new batch belong to nobody?  Nothing was dropped since
 * the kernel gave it, so that is a descriptor which lives on elsewhere. */
static void look_closely(loop *l, int n) {
  bool strange = false;
  for (int i = 0; i < n && !strange; i++)
    strange = find(l, &l->events[i]) == NULL;
  l->doubt = false;
  if (strange) {
    l->cautious = true;
    renew(l);
  }
}


/*
** Turns
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
** Time and chance
*/

static uint64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}


static uint64_t coarse(void *w) {
  (void)w;
  return read_clock(CLOCK_MONOTONIC_COARSE);
}


static uint64_t now(void *w) {
  (void)w;
  return read_clock(CLOCK_MONOTONIC);
}


/* The processor's own counter.  Where there is none that user code may read, the
 * cheapest clock, whose steps are some ms. */
static uint64_t ticks(void *w) {
#if defined(__x86_64__) || defined(__i386__)
  (void)w;
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t count, frequency;
  (void)w;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
  __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  return frequency < SECOND ? count * (SECOND / frequency) : count;
#else
  return coarse(w);
#endif
}


static int64_t wall(void *w) {
  (void)w;
  return (int64_t)read_clock(CLOCK_REALTIME);
}


static uint64_t cpu(void *w) {
  (void)w;
  return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}


/* Only for what computes: it is a system call. */
static uint64_t thread_cpu(void *w) {
  (void)w;
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}


static void draw(void *w, void *bytes, size_t n) {
  (void)w;
  for (char *p = bytes; n > 0;) {
    ssize_t got = getrandom(p, n, 0);
    if (got < 0 && errno != EINTR)
      abort();
    if (got > 0) {
      p += got;
      n -= (size_t)got;
    }
  }
}


/*
** Waiting
*/

static uint64_t until(uint64_t deadline) {
  if (deadline == 0 || deadline == NEVER)
    return deadline;
  uint64_t t = now(NULL);
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
  uint64_t end = now(l) + ns;
  int n;
  do
    n = wait_for(l, 0);
  while (n == 0 && now(l) < end);
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
static uint64_t poll_loop(void *w, uint64_t deadline) {
  loop *l = w;
  bool busy = round_end(l->host);
  uint64_t time = deadline == 0 ? now(l) : 0;
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
    time = now(l);
  l->turn++;
  if (n < 0)
    errno = 0; /* what ended this wait has interrupted nothing else: press.c */
  if (l->doubt && n > 0)
    look_closely(l, n);
  deliver_all(l, n);
  round_end(l->host);
  return time;
}


static void hear(void *w) {
  loop *l = w;
  signals_hear(l->host);
  thread_hear(l);
}


/*
** The world
*/

/* opendir's own descriptor is one of the entries. */
static int descriptors(void *w) {
  DIR *d = opendir("/proc/self/fd");
  int count = -1;
  (void)w;
  if (d == NULL)
    return -1;
  for (const struct dirent *e; (e = readdir(d)) != NULL;)
    count += e->d_name[0] != '.';
  closedir(d);
  return count;
}


static bool is_folder(int folder, const struct dirent *e) {
  struct stat st;
  if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
    return e->d_type == DT_DIR;
  return fstatat(folder, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}


static ssize_t list(void *w, const char *path, char *names, size_t room) {
  DIR *d = opendir(path);
  size_t used = 0;
  (void)w;
  if (d == NULL)
    return -errno;
  for (const struct dirent *e; (e = readdir(d)) != NULL;) {
    size_t n = strlen(e->d_name) + 1;
    if (n + 1 > room - used)
      break;
    names[used++] = is_folder(dirfd(d), e) ? '/' : ' ';
    memcpy(names + used, e->d_name, n);
    used += n;
  }
  closedir(d);
  return (ssize_t)used;
}


static bool busy(void *w) {
  return ((loop *)w)->threads > 0 || resolve_busy();
}


static void leave(void *w, int status) {
  fflush(NULL);
  terminal_restore();
  uv_world_exit(status, busy(w));
}


static void on_abort(int n) {
  const char *name = errno != 0 ? strerrorname_np(errno) : NULL;
  char text[80];
  int size =
      snprintf(text, sizeof text, "neap: aborted; the last error was %s\n",
               name != NULL ? name : "none");
  terminal_restore();
  ssize_t told = write(STDERR_FILENO, text, (size_t)size);
  (void)told;
  signal(n, SIG_DFL);
  raise(n); /* it may not have been abort() that did */
}


void uv_world_explain(void) {
  signal(SIGABRT, on_abort);
}


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
    free_pages(l);
  }
  return status;
}


static int open_loop(host *h) {
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
static void close_loop(host *h) {
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
  free_pages(l);
  assert(l->timers.count == 0);
  heap_free(&l->timers);
  arena_free(l->arena);
  free(l);
  h->outside = NULL;
}


#define WORLD(end) \
  { \
    .name = "uv", .now = now, .coarse = coarse, .ticks = ticks, .wall = wall, \
    .cpu = cpu, .thread_cpu = thread_cpu, .random = draw, .poll = poll_loop, \
    .hear = hear, .nudge = nudge_begin, .hush = nudge_end, .leave = end, \
    .thread = thread_run, .bell = thread_bell, .ring = thread_ring, \
    .press = thread_press, .descriptors = descriptors, .list = list, \
    .busy = busy, .close = close_loop, .net = &uv_backend, .sys = &uv_system, \
  }

static const world whole = WORLD(leave);
static const world thread = WORLD(NULL);


int uv_world_open(host *h) {
  h->world = &whole;
  return open_loop(h);
}


int uv_world_open_thread(host *h) {
  h->world = &thread;
  return open_loop(h);
}
