/*
** Standard input and outputs that somebody else made non-blocking.
**
** Who started us may have set O_NONBLOCK on the pipe or terminal, for its own end or
** for another program that has the same; then C's streams, and so print, lose what the
** other end has no room for.  The flag belongs to the open file: opened once more, it
** is ours alone, and blocks.  What is no pipe and no terminal is left as it is: a socket
** cannot be opened so, a file would begin anew, and the master of a terminal would be
** another one.
*/

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uv/world.h"


static bool opens_again(int fd) {
  struct stat st;
  int number;
  if (fstat(fd, &st) < 0)
    return false;
  return S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd) &&
                                  ioctl(fd, TIOCGPTN, &number) < 0);
}


/* Without waiting for another end. */
static void open_anew(int fd, int flags) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0)
    return;
  if (fcntl(own, F_SETFL, flags & O_APPEND) == 0)
    dup2(own, fd);
  close(own);
}


void uv_world_standard(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0 && opens_again(fd))
      open_anew(fd, flags & (O_ACCMODE | O_APPEND));
  }
}
