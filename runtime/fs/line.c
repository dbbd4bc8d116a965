#include "fs/line.h"

#include <asm/termbits.h> /* any speed; termios.h has a list, and the same names */
#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>


/* What others call a usual speed by: they would not know it otherwise. */
static tcflag_t usual(int speed) {
  static const struct {
    int speed;
    tcflag_t name;
  } list[] = {
      {1200, B1200},     {2400, B2400},     {4800, B4800},
      {9600, B9600},     {19200, B19200},   {38400, B38400},
      {57600, B57600},   {115200, B115200}, {230400, B230400},
      {460800, B460800}, {921600, B921600}, {1000000, B1000000},
  };
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (list[i].speed == speed)
      return list[i].name;
  return BOTHER;
}


static tcflag_t control(const line *l) {
  static const tcflag_t sizes[] = {CS5, CS6, CS7, CS8};
  static const tcflag_t parities[] = {
      [LINE_NONE] = 0, [LINE_EVEN] = PARENB, [LINE_ODD] = PARENB | PARODD};
  return sizes[l->bits - 5] | parities[l->parity] |
         (l->stop == 2 ? CSTOPB : 0) |
         (l->flow == LINE_HARDWARE ? CRTSCTS : 0) | CREAD | CLOCAL |
         usual(l->speed);
}


int line_set(int fd, const line *l) {
  struct termios2 t;
  if (ioctl(fd, TCGETS2, &t) < 0)
    return -errno;
  t.c_iflag = (l->parity != LINE_NONE ? INPCK : 0) |
              (l->flow == LINE_SOFTWARE ? IXON | IXOFF : 0);
  t.c_oflag = 0;
  t.c_lflag = 0;
  t.c_cflag = control(l);
  t.c_ispeed = t.c_ospeed = (speed_t)l->speed;
  t.c_cc[VMIN] = 1;
  t.c_cc[VTIME] = 0;
  return ioctl(fd, TCSETS2, &t) < 0 ? -errno : 0;
}
