#include "uv/bound_path.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/file.h>
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


/* Is a socket of this type, which tries to connect, told that there is none?  Or
 * a negative errno. */
static int refuses(const address *a, int type) {
  int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  int result = connect(fd, &a->u.any, a->length);
  int refused = result != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}


/* Is no socket bound to the file?  Then none ever will be.  To one that does not
 * listen yet only a socket of another type can tell that it is there; and such
 * a one does not get into its queue. */
static int is_dead(const sockspec *spec) {
  int refused = refuses(&spec->addr, SOCK_DGRAM);
  return refused > 0 ? refuses(&spec->addr, spec->type) : refused;
}


static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}


/* What was made here. */
static int claim_file(bound_path *p, const sockspec *spec) {
  const char *path = spec->addr.u.un.sun_path;
  struct stat st;
  if (lstat(path, &st) != 0)
    return -errno;
  p->owns_file = true;
  p->device = st.st_dev;
  p->inode = st.st_ino;
  if (spec->mode < 0 || (st.st_mode & 0777) == (mode_t)spec->mode)
    return 0;
  /* The folder has access lists of its own, or see bind_with_mode. */
  return fchmodat(AT_FDCWD, path, (mode_t)spec->mode, AT_SYMLINK_NOFOLLOW) == 0
             ? 0
             : -errno;
}


void bound_path_leave(const bound_path *p, const address *a) {
  const char *path = a->u.un.sun_path;
  struct stat st;
  if (p->owns_file && lstat(path, &st) == 0 && st.st_dev == p->device &&
      st.st_ino == p->inode)
    unlink(path);
}


/*
** Binding
*/

typedef struct binding {
  int fd, status;
  const address *addr;
} binding;


static int try_bind(int fd, const address *a) {
  return bind(fd, &a->u.any, a->length) == 0 ? 0 : -errno;
}


static void *bind_openly(void *arg) {
  binding *b = arg;
  if (unshare(CLONE_FS) == 0)
    umask(0);
  b->status = try_bind(b->fd, b->addr);
  return NULL;
}


static int start(pthread_t *id, binding *b) {
  enum { STACK = 256 * 1024 };
  pthread_attr_t how;
  pthread_attr_init(&how);
  pthread_attr_setstacksize(&how, STACK);
  int error = pthread_create(id, &how, bind_openly, b);
  pthread_attr_destroy(&how);
  return -error;
}


/* The file begins with the socket's own mode, less the umask.  That is the
 * process's, and other threads make files meanwhile: so it is a thread that
 * binds, with an umask of its own.  It must not hear our signals.  Where there
 * can be none, or it may not have that, the file begins with less, and
 * claim_file gives it the rest. */
static int bind_with_mode(int fd, const sockspec *spec) {
  binding b = {fd, 0, &spec->addr};
  pthread_t id;
  sigset_t all, before;
  if (fchmod(fd, (mode_t)spec->mode) != 0)
    return -errno;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = start(&id, &b);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (status < 0)
    return try_bind(fd, &spec->addr);
  pthread_join(id, NULL);
  return b.status;
}


static int bind_file(int fd, const sockspec *spec) {
  return spec->mode < 0 ? try_bind(fd, &spec->addr) : bind_with_mode(fd, spec);
}


/*
** Taking over
**
** A dead socket's file is removed and then bound to.  Between the look at it and
** its removal nobody else may do the same, who would then have a live one there:
** who removes holds a lock on a file beside it.  Who finds it locked comes too
** late, as if the other had been there all the time.
*/

typedef struct lock {
  int fd;
  char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 16];
} lock;


static void unlock(lock *k) {
  unlink(k->path);
  close(k->fd);
}


/* It may have been removed by who held it, since it was opened. */
static bool is_locked(const lock *k) {
  struct stat ours, there;
  return flock(k->fd, LOCK_EX | LOCK_NB) == 0 && fstat(k->fd, &ours) == 0 &&
         lstat(k->path, &there) == 0 && is_same(&ours, &there);
}


static int lock_beside(lock *k, const char *path) {
  snprintf(k->path, sizeof k->path, "%s.takeover", path);
  k->fd = open(k->path,
               O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (k->fd < 0)
    return -errno;
  if (is_locked(k))
    return 0;
  close(k->fd);
  return -EADDRINUSE;
}


/* Is the file that is held a dead socket's, and in its place?  Or a negative
 * errno.  While it is held no newer file has its inode. */
static int is_stale(int held, const sockspec *spec) {
  struct stat seen, there;
  if (fstat(held, &seen) != 0 || !S_ISSOCK(seen.st_mode))
    return false;
  int dead = is_dead(spec);
  if (dead <= 0)
    return dead;
  return lstat(spec->addr.u.un.sun_path, &there) == 0 && is_same(&seen, &there);
}


/* The file of a socket that is just bound is there before its socket can be
 * found, but the folder is locked until then: for that a bind in vain waits. */
static int replace(int fd, int held, const sockspec *spec) {
  int status = bind_file(fd, spec);
  int stale = status == -EADDRINUSE ? is_stale(held, spec) : false;
  if (stale < 0)
    return stale;
  if (stale && unlink(spec->addr.u.un.sun_path) == 0)
    status = bind_file(fd, spec);
  return status;
}


static int replace_locked(int fd, const sockspec *spec) {
  int held = open(spec->addr.u.un.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (held < 0)
    return errno == ENOENT ? bind_file(fd, spec) : -errno;
  int status = replace(fd, held, spec);
  close(held);
  return status;
}


static int take_over(int fd, const sockspec *spec) {
  lock k;
  int status = lock_beside(&k, spec->addr.u.un.sun_path);
  if (status < 0)
    return status;
  status = replace_locked(fd, spec);
  unlock(&k);
  return status;
}


static int take_file(int fd, const sockspec *spec, bound_path *p) {
  int status = bind_file(fd, spec);
  int dead =
      status == -EADDRINUSE && spec->unlink_stale ? is_dead(spec) : false;
  if (dead != 0)
    status = dead < 0 ? dead : take_over(fd, spec);
  return status < 0 ? status : claim_file(p, spec);
}


int bound_path_take(int fd, const sockspec *spec, bound_path *p) {
  return has_file(&spec->addr) ? take_file(fd, spec, p)
                               : try_bind(fd, &spec->addr);
}
