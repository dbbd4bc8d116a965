/*
** From a file to a socket by sendfile(2), which copies nothing; in a thread of the
** caller's, for the file may have to be brought first.  So both descriptors are copies,
** that no stream closes under it.
*/

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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


/* Soon: who takes fast needs one thread for much, and who does not keeps none.  A
 * failure is left to be found by the stream. */
static bool has_room(int to) {
  enum { SOON = 1 }; /* ms */
  struct pollfd p = {.fd = to, .events = POLLOUT};
  return poll(&p, 1, SOON) > 0 && p.revents == POLLOUT;
}


ssize_t file_send(int file, int64_t from, int to, size_t n) {
  off_t at = from, end = from + (off_t)n;
  ssize_t sent;
  signals_quiet(true);
  do
    sent = sendfile(to, file, &at, (size_t)(end - at));
  while (sent < 0 ? errno == EINTR : sent > 0 && at < end && has_room(to));
  signals_quiet(false);
  if (sent < 0 && errno == EINVAL)
    errno = EOPNOTSUPP;
  return sent >= 0 || (errno == EAGAIN && at > from) ? at - from : -errno;
}


void file_failed(stream *to, int status) {
  if (status == -ECONNRESET && wire_is(to))
    wire_of(to)->failed = -ECONNRESET;
}
