#include "uv/again.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>


bool again_can(int fd) {
  struct stat st;
  unsigned number;
  if (fstat(fd, &st) < 0)
    return false;
  return S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd) &&
                                  ioctl(fd, TIOCGPTN, &number) != 0);
}


int again_open(int fd, int flags) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}
