/*
** Files: always ready, says the kernel, however long the disk takes.
**
** So a thread of its own reads each chunk that the stream wants, into a buffer of
** the file's; where there can be none, it is read on the spot, for to wait for the
** disk is better than to fail.  Writing goes to the page cache and is done at
** once.  What was brought, and what else must not come from inside a call, is told
** by one later call (on_turn).
*/

#include "uv/file.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/round.h"
#include "net/stream.h"
#include "uv/loop.h"
#include "uv/owned.h"
#include "uv/socket.h"
#include "uv/thread.h"

/* So much that a thread for it costs little beside the copying. */
enum { CHUNK = 256 * 1024 };

typedef struct file {
  wire wire;      /* for the descriptor only; it is never watched */
  char *buffer;   /* CHUNK bytes, from the first read on */
  ssize_t result; /* of the read that has ended */
  later turn;
  bool due;                      /* turn will be called */
  bool busy;                     /* it is being read */
  bool arrived;                  /* result is not delivered yet */
  bool reading, writing, closed; /* what the stream wants */
} file;


static const transport file_transport;

static file *file_of(stream *s) {
  assert(s->state != CLOSED);
  return stream_part(s);
}


static stream *stream_of(file *f) {
  return wire_stream(&f->wire);
}


static void on_turn(later *x);

static void take_turn(file *f) {
  if (f->due)
    return;
  f->due = true;
  round_later(stream_of(f)->host, &f->turn, on_turn);
}


/*
** Reading
*/

/* In the thread. */
static void bring(void *arg) {
  file *f = arg;
  do
    f->result = read(f->wire.watch.fd, f->buffer, CHUNK);
  while (f->result < 0 && errno == EINTR);
  if (f->result < 0)
    f->result = -errno;
}


static void on_brought(void *arg) {
  file *f = arg;
  f->busy = false;
  f->arrived = true;
  take_turn(f);
}


static void ask(file *f) {
  loop *l = loop_of(stream_of(f)->host);
  if (f->buffer == NULL)
    f->buffer = malloc(CHUNK);
  f->busy = true;
  f->result = -ENOMEM;
  if (f->buffer != NULL && thread_run(l, bring, on_brought, f) == 0)
    return;
  if (f->buffer != NULL)
    bring(f);
  on_brought(f);
}


static void deliver(file *f) {
  stream *s = stream_of(f);
  f->arrived = false;
  f->reading &= f->result > 0;
  if (f->result > 0)
    round_lend(s, f->buffer, (size_t)f->result);
  else if (f->result == 0)
    stream_eof(s);
  else
    stream_error(s, (int)f->result);
  round_run(s->host);
}


static void finish(file *f) {
  if (f->busy)
    return;
  owned_close(f->wire.watch.fd, loop_of(stream_of(f)->host)->epoll);
  free(f->buffer);
  stream_closed(stream_of(f));
}


static void on_turn(later *x) {
  file *f = (file *)((char *)x - offsetof(file, turn));
  host *h = stream_of(f)->host;
  f->due = false;
  if (f->writing && !f->closed) {
    f->writing = false;
    stream_writable(stream_of(f));
    round_run(h);
  }
  if (f->arrived && f->reading && !h->quiet)
    deliver(f);
  if (f->reading && !f->busy && !f->arrived && !f->closed)
    ask(f);
  if (f->closed && !f->due)
    finish(f);
}


static int start_read(stream *s) {
  file *f = file_of(s);
  if (f->reading)
    return 0;
  f->reading = true;
  if (f->arrived)
    take_turn(f);
  else if (!f->busy)
    ask(f);
  return 0;
}


static void stop_read(stream *s) {
  file_of(s)->reading = false;
}


/*
** Writing
*/

static ssize_t try_write(stream *s, const struct iovec *v, int n) {
  ssize_t sent;
  do
    sent = writev(wire_fd(s), v, n < IOV_MAX ? n : IOV_MAX);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}


/* A short write; the next one gets on, or tells why not. */
static int want_write(stream *s) {
  file *f = file_of(s);
  f->writing = true;
  take_turn(f);
  return 0;
}


static int shut(stream *s) {
  (void)s;
  return 0;
}


/* The descriptor stays open under a thread that reads from it. */
static void close_file(stream *s, bool reset) {
  file *f = stream_part(s);
  (void)reset;
  f->reading = f->writing = false;
  f->closed = true;
  take_turn(f);
}


static const transport file_transport = {
    .kind = {.name = "file", .outside = true},
    .size = sizeof(file),
    .start_read = start_read,
    .stop_read = stop_read,
    .try_write = try_write,
    .want_write = want_write,
    .shutdown = shut,
    .close = close_file,
    .set = wire_set,
    .get = wire_get,
    .localaddr = wire_localaddr,
    .remoteaddr = wire_remoteaddr,
    .fd = wire_fd,
};


stream *file_new(host *h, int fd) {
  stream *s = stream_new(h, &file_transport, false);
  file_of(s)->wire.watch.fd = fd;
  owned_add(fd);
  return s;
}
