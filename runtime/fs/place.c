#include "fs/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guard/guard.h"


static int open_beneath(int fd, const char *path, int flags, mode_t mode) {
  struct open_how how = {
      .flags = (unsigned)flags,
      .mode = (flags & O_CREAT) != 0 ? mode : 0,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
  };
  return (int)syscall(SYS_openat2, fd, path, &how, sizeof how);
}


static int open_in(const place *p, const char *path, int flags, mode_t mode,
                   int how) {
  if (guard_stands())
    return guard_open(p->fd, path, flags, mode,
                      how | (p->beneath ? GUARD_BENEATH : 0));
  int fd = p->beneath ? open_beneath(p->fd, path, flags, mode)
                      : openat(p->fd, path, flags, mode);
  return fd < 0 ? -errno : fd;
}


/* The kernel gives up where somebody renames beside a "..", and says EAGAIN. */
static int try_open(const place *p, const char *path, int flags, mode_t mode,
                    int how) {
  int fd, tries = 1000;
  flags |= O_CLOEXEC | ((flags & O_PATH) != 0 ? 0 : O_NOCTTY);
  do
    fd = open_in(p, path, flags, mode, how);
  while (fd == -EINTR || (fd == -EAGAIN && p->beneath && tries-- > 0));
  return fd;
}


int place_open(const place *p, const char *path, int flags, mode_t mode) {
  return try_open(p, path, flags, mode, 0);
}


static bool is_file(int fd) {
  struct stat st;
  struct statfs fs;
  return fstat(fd, &st) == 0 && fstatfs(fd, &fs) == 0 &&
         (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)) &&
         fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC;
}


/* A link of the kernel's leads to ordinary files, but says by itself what is not. */
bool place_has_file(const place *p, const char *path) {
  static const int ways[] = {O_PATH | O_NOFOLLOW, O_PATH};
  for (int i = 0; i < 2; i++) {
    int fd = place_open(p, path, ways[i], 0);
    bool good = fd < 0 || is_file(fd);
    if (fd >= 0)
      close(fd);
    if (!good)
      return false;
  }
  return true;
}


static bool is_name(const char *name) {
  return *name != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}


bool place_says_folder(const char *path) {
  size_t n = strlen(path);
  return n > 0 && path[n - 1] == '/';
}


/* It has no name: why, where it leads out. */
static int refuse(const place *p, const char *path) {
  int fd = p->beneath ? place_open(p, path, O_PATH, 0) : -EINVAL;
  if (fd >= 0)
    close(fd);
  return *path == '\0' ? -ENOENT : fd == -EXDEV ? fd : -EINVAL;
}


int place_parent(const place *p, const char *path, char name[NAME_MAX + 1]) {
  char folder[PATH_MAX] = ".";
  size_t end = strlen(path);
  while (end > 0 && path[end - 1] == '/')
    end--;
  size_t begin = end;
  while (begin > 0 && path[begin - 1] != '/')
    begin--;
  if (end - begin > NAME_MAX || begin >= sizeof folder)
    return -ENAMETOOLONG;
  memcpy(name, path + begin, end - begin);
  name[end - begin] = '\0';
  if (!is_name(name))
    return refuse(p, path);
  if (begin > 0) {
    memcpy(folder, path, begin);
    folder[begin] = '\0';
  }
  return try_open(p, folder, O_PATH | O_DIRECTORY, 0, GUARD_CHANGES);
}


/* EPERM: a sandbox that does not know it. */
int place_check(int fd) {
  int got = open_beneath(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (got < 0)
    return errno == EPERM ? -ENOSYS : -errno;
  close(got);
  return 0;
}
