/*
** Starting another program: vfork, and then only system calls.
**
** What runs in the child between its birth and its program shares this process's
** memory, and other threads may hold any lock of the C library.  So it is bare
** system calls: all that needs memory, names or a search is made before it, and
** nothing of the library's is called, which for setuid would tell all threads, and
** which sanitizers would follow.  A failure comes back through a pipe that the
** program's start closes: it works the same where a tool makes a plain fork of it.
*/

#include "uv/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "host/memory.h"
#include "uv/world.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BARE __attribute__((no_sanitize("address", "thread", "undefined")))
#endif
#elif defined(__GNUC__)
#define BARE __attribute__((no_sanitize("address", "thread", "undefined")))
#endif
#ifndef BARE
#define BARE
#endif

#ifdef SYS_setgroups32
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETGID SYS_setgid32
#define CALL_SETUID SYS_setuid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETGID SYS_setgid
#define CALL_SETUID SYS_setuid
#endif

enum {
  MASK_SIZE = (_NSIG - 1) / 8
}; /* of the kernel's signal sets, in bytes */

/* As the kernel has it everywhere. */
typedef struct limit {
  uint64_t soft, hard;
} limit;

typedef struct birth {
  const spawning *s;
  char **env;
  spawn_fd *fds; /* a copy, in which what would be overwritten is moved */
  int tell;      /* the pipe's end for a failure */
} birth;

static limit inherited; /* of descriptors: what the process was started with */
static bool is_inherited;


/*
** The limit of descriptors
*/

/* Programs that use select(2) break above 1,024: so what is raised here is put back
 * in children. */
void uv_world_descriptors(void) {
  struct rlimit now;
  if (getrlimit(RLIMIT_NOFILE, &now) < 0)
    return;
  inherited = (limit){now.rlim_cur, now.rlim_max};
  struct rlimit all = {now.rlim_max, now.rlim_max};
  is_inherited = setrlimit(RLIMIT_NOFILE, &all) == 0;
}


BARE static long set_limit(int resource, const limit *l) {
  return syscall(SYS_prlimit64, 0, resource, l, NULL);
}


void spawn_restore_limit(void) {
  if (is_inherited)
    set_limit(RLIMIT_NOFILE, &inherited);
}


void spawn_let_tell(void) {
  struct sigaction now;
  if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
    signal(SIGCHLD, SIG_DFL);
}


/*
** In the child
*/

BARE static _Noreturn void give_up(const birth *b, spawn_step step,
                                   unsigned index) {
  spawn_failure f = {errno, step, index};
  syscall(SYS_write, b->tell, &f, sizeof f);
  for (;;)
    syscall(SYS_exit_group, 127);
}


/* A copy above all that the child is to have. */
BARE static int move(const birth *b, int fd) {
  const spawning *s = b->s;
  int top = s->fds[s->fd_count - 1].as;
  return (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, top + 1);
}


/* Descriptors whose place another one is to take, and the pipe's. */
BARE static void clear_places(birth *b) {
  unsigned n = b->s->fd_count;
  for (unsigned i = 0; i < n; i++) {
    if (b->fds[i].as == b->tell && (b->tell = move(b, b->tell)) < 0)
      give_up(b, SPAWN_AT_FD, i);
    for (unsigned k = i + 1; k < n; k++)
      if (b->fds[k].from == b->fds[i].as && b->fds[k].from != b->fds[k].as &&
          (b->fds[k].from = move(b, b->fds[k].from)) < 0)
        give_up(b, SPAWN_AT_FD, k);
  }
}


/* Others who have it block then, too; where it does already nothing changes. */
BARE static void let_block(int fd) {
  long flags = syscall(SYS_fcntl, fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0)
    syscall(SYS_fcntl, fd, F_SETFL, flags & ~O_NONBLOCK);
}


/* To itself a descriptor would not be copied, and stay marked close-on-exec. */
BARE static void place_descriptors(birth *b) {
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  clear_places(b);
  for (unsigned i = 0; i < b->s->fd_count; i++) {
    const spawn_fd *f = &b->fds[i];
    long status = f->from == f->as ? syscall(SYS_fcntl, f->as, F_SETFD, 0)
                                   : syscall(SYS_dup3, f->from, f->as, 0);
    if (status < 0)
      give_up(b, SPAWN_AT_FD, i);
    if (f->blocks)
      let_block(f->as);
  }
}


BARE static void take_session(const birth *b) {
  const spawning *s = b->s;
  if (s->session ? syscall(SYS_setsid) < 0
                 : s->group && syscall(SYS_setpgid, 0, 0) < 0)
    give_up(b, SPAWN_AT_START, 0);
  if (s->terminal >= 0 && syscall(SYS_ioctl, s->terminal, TIOCSCTTY, 0) < 0)
    give_up(b, SPAWN_AT_TERMINAL, 0);
}


BARE static void take_limits(const birth *b) {
  const spawnspec *spec = b->s->spec;
  if (is_inherited)
    set_limit(RLIMIT_NOFILE, &inherited);
  for (unsigned i = 0; i < spec->limit_count; i++) {
    const spawn_limit *l = &spec->limits[i];
    limit x = {l->soft, l->hard};
    if (set_limit(l->resource, &x) < 0)
      give_up(b, SPAWN_AT_LIMIT, i);
  }
}


/* Another user has none of our groups; who may not change them is not root, and so
 * becomes no other user. */
BARE static void take_user(const birth *b) {
  const spawnspec *s = b->s->spec;
  if (s->group_count >= 0) {
    if (syscall(CALL_SETGROUPS, s->group_count, s->groups) < 0)
      give_up(b, SPAWN_AT_GROUPS, 0);
  } else if (s->uid >= 0 || s->gid >= 0) {
    syscall(CALL_SETGROUPS, 0, NULL);
  }
  if (s->gid >= 0 && syscall(CALL_SETGID, (gid_t)s->gid) < 0)
    give_up(b, SPAWN_AT_GID, 0);
  if (s->uid >= 0 && syscall(CALL_SETUID, (uid_t)s->uid) < 0)
    give_up(b, SPAWN_AT_UID, 0);
}


/* No handler of ours runs in the child, whose memory is ours: they go before the
 * signals come, which all are blocked until then. */
BARE static void take_signals(void) {
  static const unsigned long nothing[16]; /* SIG_DFL, and an empty set */
  for (int n = 1; n < _NSIG; n++)
    syscall(SYS_rt_sigaction, n, nothing, NULL, (size_t)MASK_SIZE);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, nothing, NULL, (size_t)MASK_SIZE);
}


BARE static bool is_elsewhere(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES ||
         error == ENODEV || error == ESTALE || error == ETIMEDOUT;
}


/* As execvp(3) does it: a file without a format is a script of the shell's; and
 * one that may not be run is told of if there is no other. */
BARE static _Noreturn void become(birth *b) {
  const spawnspec *s = b->s->spec;
  bool denied = false;
  for (char **at = s->paths; *at != NULL; at++) {
    syscall(SYS_execve, *at, s->argv, b->env);
    if (errno == ENOEXEC) {
      s->script[1] = *at;
      syscall(SYS_execve, s->script[0], s->script, b->env);
    }
    denied |= errno == EACCES;
    if (!is_elsewhere(errno))
      break;
  }
  if (denied && is_elsewhere(errno))
    errno = EACCES;
  give_up(b, SPAWN_AT_PROGRAM, 0);
}


BARE static _Noreturn void live(birth *b) {
  const spawnspec *s = b->s->spec;
  take_session(b);
  place_descriptors(b);
  if (s->cwd != NULL && syscall(SYS_chdir, s->cwd) < 0)
    give_up(b, SPAWN_AT_FOLDER, 0);
  if (s->umask >= 0)
    syscall(SYS_umask, s->umask);
  take_limits(b);
  take_user(b);
  take_signals();
  become(b);
}


/*
** In the parent
*/

/* The child runs on this stack until its program has started, so its frame must not
 * be gone by then; and no signal's handler runs in it. */
BARE static pid_t bear(birth *b) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = vfork();
  if (pid == 0)
    live(b);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return pid;
}


/* Has it begun?  The pipe's end means so. */
static int await_start(int fd, pid_t pid, spawn_failure *why) {
  ssize_t n;
  do
    n = read(fd, why, sizeof *why);
  while (n < 0 && errno == EINTR);
  if (n != sizeof *why)
    return pid;
  pid_t got;
  do
    got = waitpid(pid, NULL, 0);
  while (got < 0 && errno == EINTR);
  return -why->error;
}


static int start(birth *b, int ends[2], spawn_failure *why) {
  b->tell = ends[1];
  pid_t pid = bear(b);
  int status = pid < 0 ? -errno : 0;
  close(ends[1]);
  if (pid > 0)
    status = await_start(ends[0], pid, why);
  close(ends[0]);
  return status;
}


int spawn_start(const spawning *s, spawn_failure *why) {
  int ends[2];
  *why = (spawn_failure){0};
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -errno;
  birth b = {.s = s, .env = s->spec->env != NULL ? s->spec->env : environ};
  b.fds = memory_grow(NULL, s->fd_count * sizeof *b.fds);
  memcpy(b.fds, s->fds, s->fd_count * sizeof *b.fds);
  spawn_let_tell();
  int status = start(&b, ends, why);
  free(b.fds);
  return status;
}
