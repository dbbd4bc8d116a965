#include "uv/places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/memory.h"
#include "sched/world.h"
#include "uv/pty.h"


static int adopt(host *h, int fd, stream **out) {
  int status = h->world->net->adopt(h, fd, out, NULL);
  if (status < 0)
    close(fd);
  return status;
}


/* A pipe between the child's descriptor i and a stream of ours. */
static int open_pipe(host *h, int i, stream **ours, int *theirs) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -errno;
  int mine = i == 0 ? ends[1] : ends[0];
  *theirs = i == 0 ? ends[0] : ends[1];
  return adopt(h, mine, ours);
}


/* Where there are no devices, an input that has ended is as good; what would take
 * any output there is not. */
static int open_null(int i) {
  int fd = open("/dev/null", (i == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
  int ends[2];
  if (fd >= 0 || i != 0 || errno == EMFILE || errno == ENFILE)
    return fd >= 0 ? fd : -errno;
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -errno;
  close(ends[1]);
  return ends[0];
}


static int open_one(host *h, spawnspec *spec, process *p, places *x, int i) {
  int kind = spec->io[i].kind, status = 0;
  if (kind == SPAWN_PIPE)
    return open_pipe(h, i, &p->io[i], &x->opened[i]);
  if (kind != SPAWN_NULL || (i == 2 && spec->merge))
    return 0;
  status = x->opened[i] = open_null(i);
  if (status < 0)
    spec->culprit = "/dev/null";
  return status < 0 ? status : 0;
}


static int open_terminal(host *h, spawnspec *spec, process *p, places *x) {
  int ends[2];
  if (!spec->pty)
    return 0;
  int status = pty_open(ends, spec->rows, spec->columns);
  if (status == 0) {
    x->opened[PROCESS_PTY] = x->terminal = ends[1];
    status = adopt(h, ends[0], &p->io[PROCESS_PTY]);
  }
  if (status < 0)
    spec->culprit = "pty";
  return status;
}


/* What the child's descriptor i is made of. */
static int source(const spawnspec *spec, const places *x, int i) {
  if (i == 2 && spec->merge)
    i = 1;
  switch (spec->io[i].kind) {
  case SPAWN_FD:
    return spec->io[i].fd;
  case SPAWN_INHERIT:
    return i;
  case SPAWN_PTY:
    return x->terminal;
  default:
    return x->opened[i];
  }
}


int places_open(host *h, spawnspec *spec, process *p, places *x) {
  *x = (places){.opened = {-1, -1, -1, -1}, .terminal = -1};
  int status = open_terminal(h, spec, p, x);
  for (int i = 0; i < 3 && status == 0; i++)
    status = open_one(h, spec, p, x, i);
  if (status < 0)
    return status;
  x->count = 3 + spec->fd_count;
  x->fds = memory_grow(NULL, x->count * sizeof *x->fds);
  for (int i = 0; i < 3; i++)
    x->fds[i] = (spawn_fd){i, source(spec, x, i), true};
  if (spec->fd_count > 0)
    memcpy(x->fds + 3, spec->fds, spec->fd_count * sizeof *x->fds);
  return 0;
}


void places_close(places *x) {
  for (int i = 0; i < PROCESS_STREAMS; i++)
    if (x->opened[i] >= 0)
      close(x->opened[i]);
  free(x->fds);
}
