#include "uv/given.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/memory.h"

enum { FIRST = STDERR_FILENO + 1 };

typedef struct given {
  int fd;
  dev_t device;
  ino_t inode;
} given;

static given
    *all; /* by their numbers; made once, before there are other threads */
static size_t count;


static int said(void) {
  const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
  if (pid == NULL || n == NULL || atoi(pid) != getpid())
    return 0;
  int most = (int)sysconf(_SC_OPEN_MAX) - FIRST;
  return atoi(n) < most ? atoi(n) : most;
}


/* What this process opens is close-on-exec. */
static void note(int fd) {
  struct stat st;
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0 || (flags & FD_CLOEXEC) != 0 || fstat(fd, &st) != 0)
    return;
  all = memory_grow(all, (count + 1) * sizeof *all);
  all[count++] = (given){fd, st.st_dev, st.st_ino};
}


void given_note(void) {
  int n = said();
  for (int i = 0; i < n; i++)
    note(FIRST + i);
}


static const given *find(int fd) {
  for (size_t i = 0; i < count; i++)
    if (all[i].fd == fd)
      return &all[i];
  return NULL;
}


static bool is_same(const given *g) {
  struct stat st;
  return fstat(g->fd, &st) == 0 && st.st_dev == g->device &&
         st.st_ino == g->inode;
}


bool given_is(int fd) {
  const given *g = find(fd);
  return g != NULL && is_same(g);
}


bool given_was(int fd) {
  const given *g = find(fd);
  return g != NULL && !is_same(g);
}


int given_next(int fd) {
  for (size_t i = 0; i < count; i++)
    if (all[i].fd > fd)
      return all[i].fd;
  return -1;
}
