/*
** Standard input and outputs of a simulated host as streams.
**
** Outputs go where C's stdout and stderr go, which take all at once; standard input is
** empty, as that of io is (standard.h).
*/

#include "sim/standard_stream.h"

#include <errno.h>
#include <stdio.h>

#include "net/stream.h"

typedef struct standard {
  int fd;
} standard;


static int nothing(stream *s) {
  (void)s;
  return 0;
}


static void stop_read(stream *s) {
  (void)s;
}


static ssize_t try_write(stream *s, const struct iovec *v, int n) {
  const standard *mine = stream_part(s);
  FILE *file = mine->fd == 1 ? stdout : stderr;
  ssize_t size = 0;
  if (mine->fd == 0)
    return -EBADF;
  for (int i = 0; i < n; i++) {
    if (fwrite(v[i].iov_base, 1, v[i].iov_len, file) < v[i].iov_len)
      return -EIO;
    size += (ssize_t)v[i].iov_len;
  }
  fflush(file);
  return size;
}


static void close_standard(stream *s, bool reset) {
  (void)reset;
  stream_gone(s);
}


static int no_option(stream *s, const sockopt *o) {
  (void)s, (void)o;
  return -ENOTSOCK;
}


static int no_option_value(stream *s, sockopt *o) {
  (void)s, (void)o;
  return -ENOTSOCK;
}


static int no_address(stream *s, address *a) {
  (void)s, (void)a;
  return -ENOTSOCK;
}


static int no_descriptor(stream *s) {
  (void)s;
  return -EBADF;
}


static const transport standard_transport = {
    .kind = {.name = "pipe", .outside = true},
    .size = sizeof(standard),
    .start_read = nothing,
    .stop_read = stop_read,
    .try_write = try_write,
    .want_write = nothing,
    .shutdown = nothing,
    .close = close_standard,
    .set = no_option,
    .get = no_option_value,
    .localaddr = no_address,
    .remoteaddr = no_address,
    .fd = no_descriptor,
};


int standard_borrow(host *h, int fd, bool reading, stream **out) {
  stream *s = stream_new(h, &standard_transport, false);
  ((standard *)stream_part(s))->fd = fd;
  if (reading)
    stream_eof(s);
  *out = s;
  return 0;
}
