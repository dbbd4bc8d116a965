#include "uv/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>


/*
** Files of unix sockets
*/

static bool has_file(const address *a) {
  return a->u.any.sa_family == AF_UNIX &&
         a->length > offsetof(struct sockaddr_un, sun_path) &&
         a->u.un.sun_path[0] != '\0';
}


/* A socket refuses when nobody listens on it; other files do always. */
static bool is_dead(const sockspec *spec) {
  int fd = socket(AF_UNIX, spec->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  int result = connect(fd, &spec->addr.u.any, spec->addr.length);
  bool refused = result != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}


/* Remove the file, if it is a socket that nobody listens on, and the same
 * before and after that was tried. */
static bool remove_stale(const sockspec *spec) {
  const char *path = spec->addr.u.un.sun_path;
  struct stat before, after;
  return lstat(path, &before) == 0 && S_ISSOCK(before.st_mode) &&
         is_dead(spec) && lstat(path, &after) == 0 &&
         after.st_dev == before.st_dev && after.st_ino == before.st_ino &&
         unlink(path) == 0;
}


/* Of a stream until it listens nobody can connect.  The file is held
 * by a descriptor, so that what is changed is what was looked at. */
static int claim_file(place *p, const sockspec *spec) {
  char held[32];
  struct stat st = {0};
  int fd = open(spec->addr.u.un.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  int status = 0;
  if (fd < 0)
    return -errno;
  snprintf(held, sizeof held, "/proc/self/fd/%d", fd);
  p->owns_file = fstat(fd, &st) == 0;
  p->device = st.st_dev;
  p->inode = st.st_ino;
  if (spec->mode >= 0 && chmod(held, (mode_t)spec->mode) != 0)
    status = -errno;
  close(fd);
  return status;
}


void place_leave(const place *p, const address *a) {
  const char *path = a->u.un.sun_path;
  struct stat st;
  if (p->owns_file && lstat(path, &st) == 0 && st.st_dev == p->device &&
      st.st_ino == p->inode)
    unlink(path);
}


static int try_bind(int fd, const address *a) {
  return bind(fd, &a->u.any, a->length) == 0 ? 0 : -errno;
}


static int bind_file(int fd, const sockspec *spec, place *p) {
  int status = try_bind(fd, &spec->addr);
  if (status == -EADDRINUSE && spec->unlink_stale && remove_stale(spec))
    status = try_bind(fd, &spec->addr);
  return status < 0 ? status : claim_file(p, spec);
}


/* The file begins with the socket's own mode. */
int place_take(int fd, const sockspec *spec, place *p) {
  if (spec->mode >= 0)
    fchmod(fd, (mode_t)spec->mode);
  return has_file(&spec->addr) ? bind_file(fd, spec, p)
                               : try_bind(fd, &spec->addr);
}
