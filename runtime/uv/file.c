/*
** Files: always ready, says the kernel, however long the disk takes.
**
** So a thread of libuv's pool reads, one chunk at a time while the stream
** wants to, into a buffer of the file's own; writing goes to the page cache
** and is done at once.  What a thread has brought, and what else must not come
** from inside a call, is told by one later call (on_turn).
*/

#include "uv/file.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/stream.h"
#include "uv/loop.h"
#include "uv/owned.h"
#include "uv/socket.h"

typedef struct file {
  wire wire; /* for the descriptor only; it is never watched */
  uv_fs_t request;
  char *buffer;   /* LOOP_BUFFER bytes, from the first read on */
  ssize_t result; /* of the read that has ended */
  later turn;
  bool due;                      /* turn will be called */
  bool busy;                     /* a thread reads */
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
  loop_later(loop_of(stream_of(f)->host), &f->turn, on_turn);
}


/*
** Reading
*/

static void on_read(uv_fs_t *request) {
  file *f = request->data;
  f->busy = false;
  f->arrived = true;
  f->result = request->result;
  uv_fs_req_cleanup(request);
  take_turn(f);
}


/* Where no thread can be had, the error arrives in the thread's place. */
static void ask(file *f) {
  loop *l = loop_of(stream_of(f)->host);
  int fd = f->wire.watch.fd;
  if (f->buffer == NULL)
    f->buffer = memory_new(LOOP_BUFFER);
  uv_buf_t room = uv_buf_init(f->buffer, LOOP_BUFFER);
  f->request.data = f;
  int status = uv_fs_read(&l->uv, &f->request, fd, &room, 1, -1, on_read);
  loop_touch(l);
  f->busy = status == 0;
  if (!f->busy) {
    f->arrived = true;
    f->result = status;
    take_turn(f);
  }
}


static void deliver(file *f) {
  stream *s = stream_of(f);
  loop *l = loop_of(s->host);
  f->arrived = false;
  if (f->result > 0) {
    stream_data(s, f->buffer, (size_t)f->result);
    loop_round(l);
    stream_keep(s);
    return;
  }
  f->reading = false;
  if (f->result == 0)
    stream_eof(s);
  else
    stream_error(s, (int)f->result);
  loop_round(l);
}


static void finish(file *f) {
  if (f->busy)
    return;
  owned_remove(f->wire.watch.fd);
  close(f->wire.watch.fd);
  free(f->buffer);
  stream_closed(stream_of(f));
}


static void on_turn(later *x) {
  file *f = (file *)((char *)x - offsetof(file, turn));
  loop *l = loop_of(stream_of(f)->host);
  f->due = false;
  if (f->writing && !f->closed) {
    f->writing = false;
    stream_writable(stream_of(f));
    loop_round(l);
  }
  if (f->arrived && f->reading && !l->quiet)
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
  if (f->busy)
    uv_cancel((uv_req_t *)&f->request);
  take_turn(f);
}


static const transport file_transport = {
    .name = "file",
    .size = sizeof(file),
    .outside = true,
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
