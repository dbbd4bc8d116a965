/*
** Standard input and outputs that somebody else made non-blocking.
**
** Who started us may have set O_NONBLOCK on the pipe or terminal, for its own end or
** for another program that has the same; then C's streams, and so print, lose what the
** other end has no room for.  The flag belongs to the open file: opened once more, it
** is ours alone, and blocks.  What is no pipe and no terminal is left as it is.
*/

#include <fcntl.h>
#include <unistd.h>

#include "uv/again.h"
#include "uv/world.h"


static void open_anew(int fd, int flags) {
  int own = again_open(fd, flags);
  if (own < 0)
    return;
  if (fcntl(own, F_SETFL, flags & O_APPEND) == 0)
    dup2(own, fd);
  close(own);
}


void uv_world_standard(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0 && again_can(fd))
      open_anew(fd, flags & (O_ACCMODE | O_APPEND));
  }
}
