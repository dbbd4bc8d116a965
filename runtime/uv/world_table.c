/*
** The table of what the outside decides, where it is real; and how a process ends.
*/

#include "uv/world.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sched/world.h"
#include "uv/backend.h"
#include "uv/clock.h"
#include "uv/inquiry.h"
#include "uv/loop.h"
#include "uv/nudge.h"
#include "uv/process.h"
#include "uv/sampling.h"
#include "uv/terminal.h"
#include "uv/thread.h"

static void hear(void *w) {
  loop *l = w;
  signals_hear(l->host);
  thread_hear(l);
}


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
  return ((loop *)w)->threads > 0 || system_busy();
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


#define WORLD(end) \
  { \
    .name = "uv", .now = clock_now, .coarse = clock_coarse, \
    .ticks = clock_ticks, .wall = clock_wall, .cpu = clock_cpu, \
    .thread_cpu = clock_thread_cpu, .random = chance_draw, .poll = loop_poll, \
    .hear = hear, .nudge = nudge_begin, .hush = nudge_end, .leave = end, \
    .thread = thread_run, .bell = thread_bell, .ring = thread_ring, \
    .preempt = thread_preempt, .visit = thread_visit, \
    .descriptors = descriptors, .list = list, .busy = busy, \
    .sample = sampling_set, .alarm = nudge_alarm, .load = loop_load, \
    .close = loop_close, .net = &uv_backend, .sys = &uv_system, \
  }

static const world whole = WORLD(leave);
static const world thread = WORLD(NULL);


int uv_world_open(host *h) {
  h->world = &whole;
  return loop_open(h);
}


int uv_world_open_thread(host *h) {
  h->world = &thread;
  return loop_open(h);
}
