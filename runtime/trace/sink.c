#include "trace/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard.h"
#include "host/memory.h"


int sink_open(sink *s, const char *path) {
  enum { HOW = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC };
  s->fd = guard_open(AT_FDCWD, path, HOW, 0600, 0);
  s->owned = s->fd >= 0;
  return s->fd < 0 ? s->fd : 0;
}


bool sink_takes(const sink *s) {
  return s->error == 0 && s->used < SINK_LIMIT;
}


static void grow(sink *s, size_t n) {
  size_t room = s->room == 0 ? SINK_ROOM : s->room;
  while (room - s->used < n)
    room *= 2;
  s->bytes = memory_grow(s->bytes, room);
  s->room = room;
}


char *sink_room(sink *s, size_t n) {
  if (s->room - s->used < n && s->fd >= 0)
    sink_flush(s);
  if (s->room - s->used < n)
    grow(s, n);
  return s->bytes + s->used;
}


void sink_put(sink *s, const void *bytes, size_t n) {
  memcpy(sink_room(s, n), bytes, n);
  sink_add(s, n);
}


void sink_skip(sink *s, size_t n) {
  s->used -= n;
  if (n > 0 && s->used > 0)
    memmove(s->bytes, s->bytes + n, s->used);
}


/* One write; false when there can be no other now. */
static bool write_some(sink *s, size_t *done) {
  ssize_t n = write(s->fd, s->bytes + *done, s->used - *done);
  if (n >= 0)
    *done += (size_t)n;
  else if (errno != EINTR && errno != EAGAIN)
    s->error = -errno;
  return n >= 0 || errno == EINTR;
}


/* A descriptor shared with others may be one that does not block: what it does
 * not take is tried again. */
void sink_flush(sink *s) {
  size_t done = 0;
  if (s->fd < 0)
    return;
  while (s->error == 0 && done < s->used && write_some(s, &done))
    ;
  if (s->error != 0)
    done = s->used;
  sink_skip(s, done);
}


void sink_close(sink *s) {
  sink_flush(s);
  if (s->fd >= 0 && s->used > 0 && s->error == 0)
    s->error = -EAGAIN;
  if (s->owned && close(s->fd) != 0 && s->error == 0)
    s->error = -errno;
  s->fd = -1;
  s->owned = false;
  free(s->bytes);
  s->bytes = NULL;
  s->used = s->room = 0;
}
