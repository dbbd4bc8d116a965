/*
** From a file to a socket by sendfile(2), which copies nothing; in a thread of the
** caller's, for the file may have to be brought first.  So both descriptors are copies,
** that no stream closes under it.
*/

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "uv/file.h"
#include "uv/quiet.h"
#include "uv/socket.h"


/* One that waits would keep the thread for as long as the peer likes. */
int file_target(stream *to) {
  if (!wire_is(to) || !wire_splices(to))
    return -EOPNOTSUPP;
  int fd = wire_fd(to);
  if ((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0)
    return -EOPNOTSUPP;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  return copy < 0 ? -errno : copy;
}


ssize_t file_send(int file, int64_t from, int to, size_t n) {
  off_t at = from;
  ssize_t sent;
  signals_quiet(true);
  do
    sent = sendfile(to, file, &at, n);
  while (sent < 0 && errno == EINTR);
  signals_quiet(false);
  if (sent < 0 && errno == EINVAL)
    errno = EOPNOTSUPP;
  return sent < 0 ? -errno : sent;
}


void file_failed(stream *to, int status) {
  if (status == -ECONNRESET && wire_is(to))
    wire_of(to)->failed = -ECONNRESET;
}
