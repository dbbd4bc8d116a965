/*
** Children: each a body in the loop's list, from its start until its end was told
** and nothing of it is left to be ended.
**
** Our ends of its pipes are adopted as streams before the child is started, so that
** nothing can fail once it runs; its own ends are plain descriptors.
**
** Its end is told by a pidfd in the loop's epoll; where there can be none, it is
** looked for by a timer.  It is reaped at once, whether or not anybody waits.  A child
** that was told to end is *pursued*: when its grace is over it is killed, with its
** group, and until nothing is left of them the host's end waits.
*/

#include "uv/process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/round.h"
#include "net/stream.h"
#include "net/trace.h"
#include "sched/task.h"
#include "sched/world.h"
#include "uv/backend.h"
#include "uv/children.h"
#include "uv/holding.h"
#include "uv/orphans.h"
#include "uv/owned.h"
#include "uv/places.h"
#include "uv/restart.h"
#include "uv/spawn.h"
#include "uv/thread.h"
#include "uv/timer.h"

#define MILLISECOND UINT64_C(1000000)

/* How soon it is looked for again what no event tells: the first time, and at most. */
#define SOON MILLISECOND
#define LATER (50 * MILLISECOND)

/* Whoever was killed and is not gone by then waits for a disk, or for a parent that
 * does not reap. */
#define PATIENCE (1000 * MILLISECOND)

/* linux/pidfd.h, where it has it. */
#define SIGNAL_GROUP (1U << 2)

typedef struct child child;

struct child {
  watch watch; /* of its pidfd; fd -1: there is none */
  child *next, **at;
  process *box; /* NULL once Lua has let go */
  host *host;
  char *command;
  int pid;
  bool leads;  /* a group, which has its number */
  bool ended;  /* it has been reaped */
  bool ending; /* it is pursued ... */
  bool killed; /* and has been killed */
  bool gone;   /* the body is freed next */
  uint64_t began, grace, deadline, step;
  loop_timer timer;
  later free;
};


/*
** Signals to it
*/

/* A pidfd is good also for a group whose leader was reaped; where the kernel cannot
 * do that (6.8), its number is nobody else's while there is anybody in it. */
static int signal_child(const child *c, int signal, bool whole) {
  unsigned flags = whole ? SIGNAL_GROUP : 0;
  if (c->watch.fd >= 0 &&
      syscall(SYS_pidfd_send_signal, c->watch.fd, signal, NULL, flags) == 0)
    return 0;
  if (c->watch.fd >= 0 && (errno == ESRCH || errno == EPERM))
    return -errno;
  return kill(whole ? -c->pid : c->pid, signal) == 0 ? 0 : -errno;
}


static bool is_group_left(const child *c) {
  return c->leads && signal_child(c, 0, true) != -ESRCH;
}


static int kill_child(process *p, int signal, bool whole) {
  const child *c = p->child;
  if (c == NULL || (c->ended && !whole))
    return -ESRCH;
  return signal_child(c, signal, whole);
}


/*
** The end of a body
*/

static void on_free(later *x) {
  child *c = (child *)((char *)x - offsetof(child, free));
  free(c->command);
  free(c);
}


static void close_pidfd(child *c) {
  if (c->watch.fd < 0)
    return;
  watch_drop(loop_of(c->host), &c->watch);
  owned_close(c->watch.fd, -1);
  c->watch.fd = -1;
}


static void let_go(child *c) {
  assert(!c->gone);
  c->gone = true;
  if (c->ending)
    sched_release(c->host);
  if (c->box != NULL)
    c->box->child = NULL;
  loop_timer_stop(loop_of(c->host), &c->timer);
  close_pidfd(c);
  *c->at = c->next;
  if (c->next != NULL)
    c->next->at = c->at;
  round_later(c->host, &c->free, on_free);
}


/*
** Its end
*/

static void tell(child *c, int status) {
  process *p = c->box;
  int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  int code = signal != 0 ? 128 + signal : WEXITSTATUS(status);
  trace_child(c->host, TRACE_EXIT, c->pid, c->command, code, signal);
  if (p == NULL)
    return;
  p->ended = true;
  p->signal = signal;
  p->code = code;
  wait_wake_all(&p->waiters, 0);
}


/* Of one that somebody else has reaped nothing is known. */
static void lose(child *c) {
  process *p = c->box;
  if (p == NULL)
    return;
  p->child = NULL;
  c->box = NULL;
  wait_wake_all(&p->waiters, -ECHILD);
}


static void reap(child *c) {
  int status = 0;
  pid_t got = orphans_wait(c->pid, &status, WNOHANG);
  if (got == 0 || (got < 0 && errno == EINTR))
    return;
  c->ended = true;
  if (got > 0)
    tell(c, status);
  else
    lose(c);
}


/* What has ended is done with, unless its group may still have to be ended. */
static void settle(child *c) {
  if (!c->ended)
    return;
  if (!is_group_left(c) || (c->box == NULL && !c->ending))
    let_go(c);
  else if (c->watch.fd >= 0)
    watch_set(loop_of(c->host), &c->watch, 0);
}


static void look_again(child *c);

static void on_end(watch *w, uint32_t events) {
  child *c = (child *)w;
  (void)events;
  reap(c);
  settle(c);
  if (!c->gone)
    look_again(c);
  round_run(c->host);
}


/*
** Pursuing
*/

static uint64_t now(const child *c) {
  return c->host->world->now(c->host->outside);
}


/* After that nothing more can be done. */
static void kill_all(child *c) {
  if (!c->ended || c->leads)
    signal_child(c, SIGKILL, c->leads);
  c->killed = true;
  c->deadline = now(c) + PATIENCE;
}


static void pursue(child *c) {
  if (!c->ended)
    reap(c);
  settle(c);
  if (c->gone)
    return;
  if (c->ending && c->deadline <= now(c)) {
    if (c->killed && c->ended) {
      let_go(c);
      return;
    }
    kill_all(c);
  }
  look_again(c);
}


static void on_timer(loop_timer *t) {
  pursue((child *)((char *)t - offsetof(child, timer)));
}


/* How long it may take yet, where it is to end. */
static uint64_t patience(const child *c) {
  uint64_t time = now(c);
  if (!c->ending || c->deadline == NEVER)
    return NEVER;
  return c->deadline > time ? c->deadline - time : 0;
}


/* The end of one with a pidfd is told: then only its deadline matters. */
static void look_again(child *c) {
  bool is_told = c->watch.fd >= 0 && !c->ended;
  uint64_t wait = is_told ? NEVER : c->step, most = patience(c);
  if (most < wait)
    wait = most;
  if (wait == NEVER || (c->ended && !c->ending))
    return;
  c->step = c->step * 2 < LATER ? c->step * 2 : LATER;
  loop_timer_start(loop_of(c->host), &c->timer, wait, on_timer);
}


static void end(process *p) {
  child *c = p->child;
  if (c == NULL || c->ending)
    return;
  c->ending = true;
  sched_hold(c->host);
  c->step = SOON;
  c->deadline = c->grace < NEVER - now(c) ? now(c) + c->grace : NEVER;
  if (c->grace == 0)
    kill_all(c);
  else
    signal_child(c, SIGTERM, c->leads);
  look_again(c);
}


static void forget(process *p) {
  child *c = p->child;
  for (int i = 0; i < PROCESS_STREAMS; i++) {
    if (p->io[i] != NULL)
      stream_close(p->io[i], true);
    p->io[i] = NULL;
  }
  p->child = NULL;
  if (c == NULL)
    return;
  c->box = NULL;
  settle(c);
}


/*
** Starting
*/

/* A terminal of ours sends its signals, ^C and ^Z, to one group, and stops what reads
 * it and is in another. */
static bool leads_group(const spawnspec *spec, const places *x) {
  if (spec->group != GROUP_UNLESS_TERMINAL)
    return spec->group == GROUP_YES;
  for (int i = 0; i < 3; i++)
    if (spec->io[i].kind != SPAWN_PIPE && isatty(x->fds[i].from))
      return false;
  return true;
}


static const char *culprit(spawnspec *spec, const places *x,
                           const spawn_failure *why) {
  static const char *const names[] = {
      [SPAWN_AT_TERMINAL] = "pty", [SPAWN_AT_GROUPS] = "groups",
      [SPAWN_AT_GID] = "gid",      [SPAWN_AT_UID] = "uid",
      [SPAWN_AT_PROGRAM] = NULL,
  };
  switch (why->step) {
  case SPAWN_AT_FD:
    if (why->index < 3)
      return spawn_io_names[why->index];
    snprintf(spec->about, sizeof spec->about, "fds[%d]", x->fds[why->index].as);
    return spec->about;
  case SPAWN_AT_FOLDER:
    return spec->cwd;
  case SPAWN_AT_LIMIT:
    return spec->limits[why->index].name;
  default:
    return names[why->step];
  }
}


/* Where no event can tell its end, it is looked for. */
static void watch_child(child *c) {
  loop *l = loop_of(c->host);
  c->watch.fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
  c->watch.ready = on_end;
  if (c->watch.fd >= 0)
    owned_add(c->watch.fd);
  if (c->watch.fd >= 0 && watch_set(l, &c->watch, EPOLLIN) < 0) {
    owned_close(c->watch.fd, -1);
    c->watch.fd = -1;
  }
  look_again(c);
}


static child *child_new(host *h, process *p, const spawnspec *spec, int pid) {
  loop *l = loop_of(h);
  child *c = memory_new(sizeof *c);
  c->host = h;
  c->box = p;
  c->pid = pid;
  c->leads = p->leads;
  c->grace = spec->grace;
  c->step = SOON;
  c->command = memory_text(spec->argv[0], strlen(spec->argv[0]));
  c->began = now(c);
  c->next = l->children;
  c->at = &l->children;
  if (c->next != NULL)
    c->next->at = &c->next;
  l->children = c;
  return c;
}


static int start(host *h, spawnspec *spec, process *p, const places *x) {
  spawn_failure why;
  p->leads = leads_group(spec, x);
  spawning s = {.spec = spec,
                .fds = x->fds,
                .fd_count = x->count,
                .terminal = x->terminal,
                .session = spec->detached || spec->pty,
                .group = p->leads};
  int pid = orphans_start(&s, &why);
  if (pid < 0) {
    const char *what = culprit(spec, x, &why);
    if (what != NULL)
      spec->culprit = what;
    return pid;
  }
  p->pid = pid;
  p->child = child_new(h, p, spec, pid);
  watch_child(p->child);
  trace_child(h, TRACE_SPAWN, pid, spec->argv[0], 0, 0);
  return 0;
}


static int spawn(host *h, spawnspec *spec, process *p) {
  places x;
  spec->culprit = spec->argv[0];
  int status = places_open(h, spec, p, &x);
  if (status == 0)
    status = start(h, spec, p, &x);
  places_close(&x);
  if (status < 0)
    forget(p);
  return status;
}


static bool next(host *h, void **at, child_facts *out) {
  const child *c = *at == NULL ? loop_of(h)->children : ((child *)*at)->next;
  *at = (void *)(uintptr_t)c;
  if (c == NULL)
    return false;
  *out = (child_facts){.pid = c->pid,
                       .command = c->command,
                       .began = c->began,
                       .ended = c->ended,
                       .leads = c->leads,
                       .ending = c->ending,
                       .waiters = c->box != NULL ? &c->box->waiters : NULL};
  return true;
}


static int self(host *h) {
  (void)h;
  return (int)getpid();
}


/*
** Those that nobody waits for
*/

static void *reap_late(void *pid) {
  pid_t got;
  do
    got = waitpid((pid_t)(intptr_t)pid, NULL, 0);
  while (got < 0 && errno == EINTR);
  return NULL;
}


int children_fork(void) {
  pid_t pid = orphans_fork();
  if (pid == 0)
    spawn_restore_limit();
  return pid;
}


void children_leave(int pid) {
  if (!orphans_leave(pid) && waitpid(pid, NULL, WNOHANG) == 0)
    thread_detach(reap_late, (void *)(intptr_t)pid);
}


/*
** The end
*/

void children_close(loop *l) {
  while (l->children != NULL) {
    child *c = l->children;
    if (c->ending && !c->killed)
      kill_all(c);
    if (!c->ended)
      children_leave(c->pid);
    let_go(c);
  }
}


const processes uv_processes = {
    .spawn = spawn,
    .kill = kill_child,
    .end = end,
    .next = next,
    .forget = forget,
    .self = self,
    .restart = restart_begin,
    .restarted = restart_end,
    .copy = holding_copy,
    .discard = adopt_discard,
    .shell = shell_start,
    .open = shell_open,
    .reap = shell_wait,
};
