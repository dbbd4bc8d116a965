/*
** Commands of the shell, for os.execute and io.popen.
**
** system(3) and pclose(3) wait on whatever signal comes, and the first ignores
** SIGINT.  Here a signal that ends the program ends the wait, too.
*/

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/task.h"
#include "uv/children.h"
#include "uv/orphans.h"
#include "uv/process.h"
#include "uv/spawn.h"


/* A handler of ours in the child would tell us of the child's signals. */
static void drop_handlers(void) {
  struct sigaction now;
  for (int n = 1; n < SIGRTMIN; n++)
    if (sigaction(n, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
      signal(n, SIG_DFL);
}


/* To itself dup2 copies nothing, and leaves it marked close-on-exec. */
static bool take(int fd, int as) {
  return fd == as ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, as) >= 0;
}


static _Noreturn void become(const char *command, int fd, int as) {
  sigset_t none;
  drop_handlers();
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, NULL);
  if (fd < 0 || take(fd, as))
    execl("/bin/sh", "sh", "-c", "--", command, (char *)NULL);
  _exit(127);
}


/* Start it, with fd as its descriptor `as`, or (-1) with ours. */
static int start(const char *command, int fd, int as) {
  sigset_t all, before;
  spawn_let_tell();
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = children_fork();
  if (pid == 0)
    become(command, fd, as);
  int status = pid < 0 ? -errno : pid;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}


int shell_start(host *h, const char *command) {
  (void)h;
  return start(command, -1, -1);
}


/* One end is ours. */
static int start_piped(const char *command, int ends[2], int ours, FILE **f) {
  *f = fdopen(ends[ours], ours == 0 ? "r" : "w");
  int status = *f == NULL ? -errno : start(command, ends[!ours], !ours);
  close(ends[!ours]);
  if (*f == NULL)
    close(ends[ours]);
  else if (status < 0)
    fclose(*f);
  return status;
}


int shell_open(host *h, const char *command, bool writes, FILE **f) {
  int ends[2];
  (void)h;
  return pipe2(ends, O_CLOEXEC) < 0 ? -errno
                                    : start_piped(command, ends, writes, f);
}


/* Other signals than those that end what runs are no news here. */
static int reap(const host *h, int pid, int flags, int *status) {
  pid_t got;
  do
    got = orphans_wait(pid, status, flags);
  while (got < 0 && errno == EINTR && !sched_ends_call(h));
  return got < 0 ? -errno : got;
}


/* Not for longer than what is about to end takes. */
static int reap_soon(const host *h, int pid, int *status) {
  enum { STEP = 10, STEPS = 10 }; /* ms */
  int got = 0;
  for (int i = 0; i < STEPS && got == 0; i++) {
    got = reap(h, pid, WNOHANG, status);
    if (got == 0)
      poll(NULL, 0, STEP);
  }
  return got != 0 ? got : -EINTR;
}


int shell_wait(host *h, int pid, bool hurry, int *status) {
  int got = hurry ? reap_soon(h, pid, status) : reap(h, pid, 0, status);
  if (got == -EINTR)
    children_leave(pid);
  return got;
}
