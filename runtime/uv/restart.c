#include "uv/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/memory.h"
#include "uv/children.h"
#include "uv/holding.h"
#include "uv/station.h"

static atomic_bool restarting; /* there is a successor, or will be */
static int successor = -1;     /* a pidfd; -1: there can be none */


/* Of this program, also where the file was replaced; NULL: by its name. */
static const char *own_path(const char *name, char *buffer, size_t size) {
  static const char gone[] = " (deleted)";
  if (name[0] == '/')
    return name;
  ssize_t n = readlink("/proc/self/exe", buffer, size - 1);
  if (n <= 0)
    return name;
  buffer[n] = '\0';
  size_t tail = sizeof gone - 1;
  if ((size_t)n > tail && strcmp(buffer + n - tail, gone) == 0)
    buffer[(size_t)n - tail] = '\0';
  return buffer;
}


static char **environment(char *own) {
  size_t n = 0;
  while (environ[n] != NULL)
    n++;
  char **all_of = memory_grow(NULL, (n + 2) * sizeof *all_of);
  memcpy(all_of, environ, n * sizeof *all_of);
  all_of[n] = own;
  all_of[n + 1] = NULL;
  return all_of;
}


static void print_pid(char *variable) {
  char *at = strchr(variable, '=') + HOLDING_PID;
  for (int pid = (int)getpid(); pid > 0; pid /= 10)
    *at-- = (char)('0' + pid % 10);
}


/* In the child: nothing that takes a lock. */
static _Noreturn void become(const char *path, char **argv, char **env,
                             const int *fds) {
  sigset_t none;
  station_give_back();
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  for (; *fds >= 0; fds++)
    fcntl(*fds, F_SETFD, 0);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execvpe(path, argv, env);
  _exit(127);
}


static int start(host *h, int pipe) {
  char buffer[PATH_MAX];
  int *fds;
  const char *path = own_path(h->argv[0], buffer, sizeof buffer);
  char *own = holding_hand(pipe, &fds);
  char **env = environment(own);
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  pid_t pid = children_fork();
  if (pid == 0) {
    print_pid(own);
    become(path, h->argv, env, fds);
  }
  int status = pid < 0 ? -errno : (int)pid;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  holding_handed(own, fds);
  free(env);
  return status;
}


/* Before anybody reaps it: its number may then be another one's. */
static void leave(int pid) {
  successor = (int)syscall(SYS_pidfd_open, pid, 0);
  children_leave(pid);
}


int restart_begin(host *h, int *ready, int *pid) {
  int ends[2];
  if (h->argv == NULL)
    return -ENOTSUP;
  if (atomic_exchange(&restarting, true))
    return -EALREADY;
  *pid = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
  if (*pid == 0) {
    *pid = start(h, ends[1]);
    close(ends[1]);
    if (*pid < 0)
      close(ends[0]);
  }
  if (*pid < 0) {
    atomic_store(&restarting, false);
    return *pid;
  }
  leave(*pid);
  *ready = ends[0];
  return 0;
}


static void end(int pid) {
  if (successor < 0)
    kill(pid, SIGTERM);
  else
    syscall(SYS_pidfd_send_signal, successor, SIGTERM, NULL, 0);
}


void restart_end(int pid, bool well) {
  if (!well)
    end(pid);
  if (successor >= 0)
    close(successor);
  successor = -1;
  holding_passed(well);
  atomic_store(&restarting, well);
}
