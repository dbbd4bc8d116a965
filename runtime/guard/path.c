/*
** Files.
**
** A file is opened twice: first by O_PATH, which opens nothing that could act, and pins
** what the path led to; the kernel tells where that is (/proc/self/fd); then, if it is
** allowed, the very same thing is opened again.  What is to be made is made in a folder
** that is pinned so, by a name that is followed no further.
*/

#include "guard/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "guard/rules.h"

enum { ABOVE = 8 }; /* beside GUARD_CODE: it is only a folder on the way */


void path_of_descriptor(int fd, char out[PATH_NUMBER]) {
  snprintf(out, PATH_NUMBER, "/proc/self/fd/%d", fd);
}


/* Its length; 0: it has none. */
static size_t place_of(int fd, char out[PATH_ROOM]) {
  char link[PATH_NUMBER];
  path_of_descriptor(fd, link);
  ssize_t n = readlink(link, out, PATH_ROOM - 1);
  if (n <= 0 || n >= PATH_ROOM - 1)
    return 0;
  out[n] = '\0';
  return (size_t)n;
}


/*
** The rules
*/

static bool is_beneath(const rule *r, const char *path, size_t n) {
  size_t own = r->length;
  if (own == 1) /* "/" */
    return path[0] == '/';
  return n >= own && memcmp(path, r->text, own) == 0 &&
         (path[own] == '/' || path[own] == '\0');
}


static bool is_lua(const char *path, size_t n) {
  return n > 4 && strcmp(path + n - 4, ".lua") == 0;
}


static bool means(const rule *r, const char *path, size_t n, int how) {
  switch (r->kind) {
  case RULE_ALL:
    return true;
  case RULE_FOLDER:
    return is_beneath(r, path, n);
  case RULE_CODE:
    return (how & GUARD_CODE) != 0 && is_beneath(r, path, n) &&
           ((how & ABOVE) != 0 || is_lua(path, n));
  default:
    return false;
  }
}


static int check(guard_deed deed, const char *path, size_t n, int how) {
  const rule *r = NULL;
  while (n > 0 && (r = rule_next(r, deed)) != NULL)
    if (means(r, path, n, how))
      return 0;
  return guard_refusal(deed);
}


static bool reads(int flags) {
  return (flags & O_ACCMODE) != O_WRONLY;
}


static bool writes(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}


static int check_place(const char *path, size_t n, int flags, int how) {
  int status = 0;
  if ((flags & O_PATH) != 0)
    return check((how & GUARD_CHANGES) != 0 ? GUARD_WRITE : GUARD_READ, path, n,
                 how);
  if (reads(flags))
    status = check(GUARD_READ, path, n, how);
  if (status == 0 && (writes(flags) || (how & GUARD_CHANGES) != 0))
    status = check(GUARD_WRITE, path, n, how);
  return status;
}


static int check_open(int fd, int flags, int how) {
  char path[PATH_ROOM];
  size_t n = place_of(fd, path);
  return check_place(path, n, flags, how);
}


int guard_descriptor(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -errno : check_open(fd, flags & (O_ACCMODE | O_PATH), 0);
}


/*
** Opening
*/

static int open_at(int folder, const char *path, int flags, mode_t mode,
                   int how) {
  int fd;
  struct open_how beneath = {
      .flags = (unsigned)flags,
      .mode = (flags & O_CREAT) != 0 ? mode : 0,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
  };
  if ((how & GUARD_BENEATH) == 0)
    fd = openat(folder, path, flags, mode);
  else
    fd = (int)syscall(SYS_openat2, folder, path, &beneath, sizeof beneath);
  return fd < 0 ? -errno : fd;
}


static int done(int fd, int status) {
  close(fd);
  return status;
}


/* What is pinned, as it was to be opened. */
static int open_pinned(int fd, int flags, mode_t mode, int how) {
  char link[PATH_NUMBER];
  int status = check_open(fd, flags, how);
  if (status < 0)
    return done(fd, status);
  if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
    return done(fd, -EEXIST);
  if ((flags & O_PATH) != 0)
    return fd;
  path_of_descriptor(fd, link);
  struct stat st;
  if ((flags & O_NOFOLLOW) != 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode))
    return done(fd, -ELOOP);
  int again = open(link, (flags & ~(O_CREAT | O_NOFOLLOW)) | O_CLOEXEC, mode);
  return done(fd, again < 0 ? -errno : again);
}


/* The path cut into the folder, which fits, and the name in it. */
static const char *cut(const char *path, char folder[PATH_MAX]) {
  const char *slash = strrchr(path, '/');
  size_t n = slash != NULL ? (size_t)(slash - path) + 1 : 0;
  if (n >= PATH_MAX)
    return NULL;
  memcpy(folder, n == 0 ? "." : path, n == 0 ? 1 : n);
  folder[n == 0 ? 1 : n] = '\0';
  return path + n;
}


/* Nothing is there. */
static int open_new(int at, const char *path, int flags, mode_t mode, int how) {
  char folder[PATH_MAX];
  const char *name = cut(path, folder);
  if (name == NULL || *name == '\0')
    return name == NULL ? -ENAMETOOLONG : -EISDIR;
  int above = open_at(at, folder, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, how);
  if (above < 0)
    return above;
  int status = check_open(above, O_WRONLY, 0);
  if (status == 0 && reads(flags))
    status = check_open(above, O_RDONLY, 0);
  if (status < 0)
    return done(above, status);
  int fd = openat(above, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
  return done(above, fd < 0 ? -errno : fd);
}


/* What is not there is told only where it might have been opened: the first folder
 * above it that is there is looked at. */
static int refused(int at, const char *path, int flags, int how) {
  char folder[PATH_MAX], next[PATH_MAX];
  int above = -ENOENT;
  guard_deed deed =
      !reads(flags) || (how & GUARD_CHANGES) != 0 ? GUARD_WRITE : GUARD_READ;
  if (cut(path, folder) == NULL)
    return guard_refusal(deed);
  while ((above = open_at(at, folder, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                          how)) < 0) {
    size_t n = strlen(folder);
    if (strcmp(folder, ".") == 0 || n <= 1)
      return guard_refusal(deed);
    folder[n - 1] = '\0';
    cut(strcpy(next, folder), folder);
  }
  return done(above,
              check_open(above, flags & O_ACCMODE, how | GUARD_CODE | ABOVE));
}


int guard_open(int folder, const char *path, int flags, mode_t mode, int how) {
  if (!guard_on)
    return open_at(folder, path, flags | O_CLOEXEC, mode, how);
  int pin = O_PATH | O_CLOEXEC | (flags & (O_NOFOLLOW | O_DIRECTORY));
  if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)
    pin |= O_NOFOLLOW;
  if ((flags & O_TMPFILE) == O_TMPFILE)
    pin |= O_DIRECTORY;
  int fd = open_at(folder, path, pin, 0, how);
  if (fd >= 0)
    return open_pinned(fd, flags, mode, how);
  if (fd == -ENOENT && (flags & O_CREAT) != 0)
    return open_new(folder, path, flags, mode, how);
  if (fd == -EXDEV || fd == -EINTR || fd == -EAGAIN)
    return fd;
  int status = refused(folder, path, flags, how);
  return status < 0 ? status : fd;
}


/*
** Names
*/

/* The folder in which a name is to be changed, and that name. */
static int open_above(const char *path, char name[NAME_MAX + 1]) {
  char text[PATH_MAX], folder[PATH_MAX];
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/')
    n--;
  if (n >= sizeof text)
    return -ENAMETOOLONG;
  memcpy(text, path, n);
  text[n] = '\0';
  const char *last = cut(text, folder);
  if (last == NULL) /* never: text is no longer than that */
    return -ENAMETOOLONG;
  if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
    return n == 0 ? -ENOENT : -EINVAL;
  if (strlen(last) > NAME_MAX)
    return -ENAMETOOLONG;
  strcpy(name, last);
  return guard_open(AT_FDCWD, folder, O_PATH | O_DIRECTORY, 0, GUARD_CHANGES);
}


int guard_remove(const char *path) {
  char name[NAME_MAX + 1];
  int above = open_above(path, name);
  if (above < 0)
    return above;
  int got = unlinkat(above, name, 0);
  if (got != 0 && (errno == EISDIR || errno == EPERM))
    got = unlinkat(above, name, AT_REMOVEDIR);
  return done(above, got == 0 ? 0 : -errno);
}


static bool may_read(int folder, int how) {
  return check_open(folder, O_RDONLY, how) == 0;
}


int guard_move(int from, int to) {
  if (!guard_on || may_read(from, 0))
    return 0;
  bool opens = may_read(to, 0) || (may_read(to, GUARD_CODE | ABOVE) &&
                                   !may_read(from, GUARD_CODE | ABOVE));
  return opens ? guard_refusal(GUARD_READ) : 0;
}


int guard_rename(const char *from, const char *to) {
  char name[NAME_MAX + 1], other[NAME_MAX + 1];
  int above = open_above(from, name);
  if (above < 0)
    return above;
  int there = open_above(to, other);
  if (there < 0)
    return done(above, there);
  int status = guard_move(above, there);
  if (status == 0 && renameat(above, name, there, other) < 0)
    status = -errno;
  close(above);
  return done(there, status);
}


size_t path_of_socket(const char *path, size_t n, char out[PATH_ROOM]) {
  char text[PATH_MAX], folder[PATH_MAX];
  struct stat st;
  n = strnlen(path, n);
  if (n >= sizeof text)
    return 0;
  memcpy(text, path, n);
  text[n] = '\0';
  const char *name = cut(text, folder);
  if (name == NULL || *name == '\0')
    return 0;
  int above = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (above < 0)
    return 0;
  size_t used = place_of(above, out);
  bool link = fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
              S_ISLNK(st.st_mode);
  close(above);
  if (used == 0 || link)
    return 0;
  used += (size_t)snprintf(out + used, PATH_ROOM - used, "%s%s",
                           used > 1 ? "/" : "", name);
  return used < PATH_ROOM ? used : 0;
}


size_t path_pin(const char *path, size_t n, char out[PATH_ROOM], int *held) {
  char text[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
  n = strnlen(path, n);
  memcpy(text, path, n);
  text[n] = '\0';
  *held = open(text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  return *held >= 0 ? place_of(*held, out) : 0;
}
