#include "uv/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>


/* By the first end, and not by a name below /dev/pts, which may be another's. */
static int open_second(int first) {
  int locked = 0;
  if (ioctl(first, TIOCSPTLCK, &locked) < 0)
    return -errno;
  int second = ioctl(first, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return second < 0 ? -errno : second;
}


int pty_open(int ends[2], unsigned short rows, unsigned short columns) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  ends[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[0] < 0)
    return -errno;
  ends[1] = open_second(ends[0]);
  if (ends[1] < 0) {
    close(ends[0]);
    return ends[1];
  }
  ioctl(ends[0], TIOCSWINSZ, &size);
  return 0;
}
