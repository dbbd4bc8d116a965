/*
** Knocking at another process, and what it notes at that (note.c).
*/

#include "uv/knock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uv/note.h"
#include "uv/process.h"
#include "uv/world.h"


/* Are these paths the same file? */
static bool is_same(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
         x.st_ino == y.st_ino;
}


/* Does the process catch the signal?  Else it would end it. */
static bool catches(int pid, int n) {
  char path[32], line[128];
  unsigned long long caught = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *f = fopen(path, "re");
  if (f == NULL)
    return false;
  while (fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "SigCgt: %llx", &caught) == 1)
      break;
  fclose(f);
  return (caught & signal_bit(n)) != 0;
}


/* Scripts run by their first line have a comm of their own.  Where the executable
 * cannot be looked at (one with capabilities), there is only that. */
static bool is_neap(int pid) {
  char path[64], name[4096];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t n = readlink(path, name, sizeof name - 1);
  if (n < 0) {
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, name, sizeof name - 1) : -1;
    if (fd >= 0)
      close(fd);
  }
  name[n > 0 ? n : 0] = '\0';
  const char *slash = strrchr(name, '/');
  return strncmp(slash != NULL ? slash + 1 : name, "neap", 4) == 0 ||
         is_same(path, "/proc/self/exe");
}


bool knock_alive(host *h, int pid) {
  (void)h;
  return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}


static int tell(int pid, int pidfd, int what) {
  siginfo_t info = {.si_signo = SIGATTACH, .si_code = SI_QUEUE};
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = what;
  int status = pidfd < 0 ? sigqueue(pid, SIGATTACH, info.si_value)
                         : (int)syscall(SYS_pidfd_send_signal, pidfd, SIGATTACH,
                                        &info, 0);
  return status == 0 ? 0 : -errno;
}


static int knock_at(host *h, int pid, int pidfd, int what) {
  if (!knock_alive(h, pid))
    return -ESRCH;
  if (kill(pid, 0) != 0)
    return -errno;
  if (!catches(pid, SIGATTACH) || !is_neap(pid))
    return -ENOTSUP;
  return tell(pid, pidfd, what);
}


/* It may end at any time, and its number be another one's: what is looked at then may
 * be that one, but the pidfd is not. */
int knock_send(host *h, int pid, enum knock what, unsigned tag) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  int status = knock_at(h, pid, pidfd, (int)(what | tag << NOTE_TAG));
  if (pidfd >= 0)
    close(pidfd);
  return status;
}


/* It sees other files than we do when it is in another mount namespace, or has
 * another root folder. */
int knock_root(host *h, int pid, char *path, size_t room) {
  char names[64];
  (void)h;
  snprintf(names, sizeof names, "/proc/%d/ns/mnt", pid);
  snprintf(path, room, "/proc/%d/root/", pid);
  if (access(path, X_OK) != 0 ||
      (is_same(path, "/") && is_same(names, "/proc/self/ns/mnt")))
    *path = '\0';
  else
    path[strlen(path) - 1] = '\0';
  return 0;
}


/* Read the file that a descriptor of the process's leads to, if its name is the
 * answer's. */
static ssize_t read_note(int folder, const char *entry, const char *name,
                         char *text, size_t room) {
  char target[64];
  ssize_t n = readlinkat(folder, entry, target, sizeof target - 1);
  target[n > 0 ? n : 0] = '\0';
  if (strncmp(target, name, strlen(name)) != 0)
    return 0;
  int fd = openat(folder, entry, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  n = fd >= 0 ? pread(fd, text, room, 0) : 0;
  if (fd >= 0)
    close(fd);
  return n;
}


/* It is whole when its last line is empty, and of who is meant when its first line is
 * the label. */
static ssize_t take_note(const char *label, char *text, ssize_t n) {
  size_t head = strlen(label);
  if (n < (ssize_t)head + 2 || memcmp(text + n - 2, "\n\n", 2) != 0 ||
      memcmp(text, label, head) != 0 || text[head] != '\n')
    return 0;
  memmove(text, text + head + 1, (size_t)n - head - 2);
  return n - (ssize_t)head - 2;
}


ssize_t knock_note(host *h, int pid, unsigned tag, const char *label,
                   char *text, size_t room) {
  char path[64], name[64];
  ssize_t n = 0;
  (void)h;
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  snprintf(name, sizeof name, "/memfd:" NOTE_PREFIX "%u ", tag);
  DIR *d = opendir(path);
  if (d == NULL)
    return -errno;
  for (const struct dirent *e; n <= 0 && (e = readdir(d)) != NULL;)
    if (e->d_name[0] != '.')
      n = take_note(label, text,
                    read_note(dirfd(d), e->d_name, name, text, room));
  closedir(d);
  return n;
}
