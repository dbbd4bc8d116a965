/*
** Files: always ready, says the kernel, however long the disk takes.
**
** So what the kernel has not at hand a thread of its own reads, into a buffer of the
** file's, and another one writes, copies of what the stream offers: it is offered again
** when they are written, and taken then.  Where there can be no thread, it is done on the
** spot, for to wait for the disk is better than to fail.  Standard descriptors are written
** at once, between what C's stdio writes.  What was brought, and what else must not come
** from inside a call, is told by one later call (on_turn).
*/

#include "uv/file.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/inbox.h"
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
  char *copy;     /* CHUNK bytes, `copied` of them to be written; or NULL */
  size_t copied;
  ssize_t written; /* the result of that */
  int64_t size;    /* where a seek from the end begins */
  later turn;
  bool due;                      /* turn will be called */
  bool busy;                     /* a thread reads, or looks how large it is */
  bool arrived;                  /* result is not delivered yet */
  bool putting;                  /* a thread writes */
  bool put;                      /* written is not told yet */
  bool patient;                  /* who wrote can wait for a thread */
  bool dirty;                    /* so its close may wait for the disk, too */
  bool shut;                     /* the descriptor is closed */
  bool sized;                    /* size is known, or why not */
  bool reading, writing, closed; /* what the stream wants */
  bool seeking;                  /* to be told when no thread is busy */
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


/* What is in memory already; not all file systems tell. */
static bool bring_at_once(file *f) {
  struct iovec v = {f->buffer, CHUNK};
  f->result = preadv2(f->wire.watch.fd, &v, 1, -1, RWF_NOWAIT);
  return f->result >= 0;
}


static void ask(file *f) {
  loop *l = loop_of(stream_of(f)->host);
  if (f->buffer == NULL)
    f->buffer = malloc(CHUNK);
  f->busy = true;
  f->result = -ENOMEM;
  if (f->buffer != NULL && !bring_at_once(f)) {
    if (thread_run(l, bring, on_brought, f) == 0)
      return;
    bring(f);
  }
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


/* Also in a thread. */
static void shut_now(void *arg) {
  file *f = arg;
  owned_close(f->wire.watch.fd, loop_of(stream_of(f)->host)->epoll);
  f->shut = true;
}


static void on_shut(void *arg) {
  file *f = arg;
  f->busy = false;
  take_turn(f);
}


static void finish(file *f) {
  if (f->busy || f->putting)
    return;
  f->busy = f->dirty && !f->shut &&
            thread_run(loop_of(stream_of(f)->host), shut_now, on_shut, f) == 0;
  if (f->busy)
    return;
  if (!f->shut)
    shut_now(f);
  free(f->buffer);
  free(f->copy);
  stream_closed(stream_of(f));
}


/* Room to write, or a seek may get on. */
static void tell_writable(file *f) {
  bool writable = f->writing && !f->putting;
  bool seekable = f->seeking && !f->putting && !f->busy;
  if (f->closed || (!writable && !seekable))
    return;
  f->writing &= !writable;
  f->seeking &= !seekable;
  stream_writable(stream_of(f));
  round_run(stream_of(f)->host);
}


static void on_turn(later *x) {
  file *f = (file *)((char *)x - offsetof(file, turn));
  host *h = stream_of(f)->host;
  f->due = false;
  tell_writable(f);
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

static ssize_t write_now(int fd, const struct iovec *v, int n) {
  ssize_t sent;
  do
    sent = writev(fd, v, n < IOV_MAX ? n : IOV_MAX);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}


/* In the thread. */
static void put(void *arg) {
  file *f = arg;
  struct iovec v = {f->copy, f->copied};
  f->written = write_now(f->wire.watch.fd, &v, 1);
}


static void on_put(void *arg) {
  file *f = arg;
  f->putting = false;
  f->put = true;
  take_turn(f);
}


static void copy(file *f, const struct iovec *v, int n) {
  f->copied = 0;
  for (int i = 0; i < n && f->copied < CHUNK; i++) {
    size_t left = CHUNK - f->copied;
    size_t size = v[i].iov_len < left ? v[i].iov_len : left;
    if (size > 0)
      memcpy(f->copy + f->copied, v[i].iov_base, size);
    f->copied += size;
  }
}


/* What is offered again begins with what was copied: the outbox keeps it in order. */
static ssize_t try_write(stream *s, const struct iovec *v, int n) {
  file *f = file_of(s);
  if (f->putting)
    return -EAGAIN;
  if (f->put) {
    f->put = false;
    return f->written;
  }
  f->dirty = f->patient;
  if (f->patient && f->copy == NULL)
    f->copy = malloc(CHUNK);
  if (f->copy != NULL) {
    copy(f, v, n);
    f->putting = thread_run(loop_of(s->host), put, on_put, f) == 0;
  }
  return f->putting ? -EAGAIN : write_now(wire_fd(s), v, n);
}


/* Behind a short write the next one gets on, or tells why not. */
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
  f->reading = f->writing = f->seeking = false;
  f->closed = true;
  take_turn(f);
}


/*
** Seeking
*/

/* In the thread. */
static void measure(void *arg) {
  file *f = arg;
  struct stat st;
  f->size = fstat(f->wire.watch.fd, &st) < 0 ? -errno : st.st_size;
}


static void on_measured(void *arg) {
  file *f = arg;
  f->busy = false;
  f->sized = true;
  take_turn(f);
}


/* Is it known how large it is?  A thread looks, otherwise. */
static bool is_sized(file *f) {
  if (!f->sized) {
    f->busy =
        thread_run(loop_of(stream_of(f)->host), measure, on_measured, f) == 0;
    if (!f->busy)
      measure(f);
    f->sized = !f->busy;
  }
  return f->sized;
}


/* What has arrived, and nobody has read, lies behind where the script is. */
static int64_t seek(stream *s, int whence, int64_t offset) {
  file *f = file_of(s);
  if (f->busy || f->putting || (whence == SEEK_END && !is_sized(f))) {
    f->seeking = true;
    return -EAGAIN;
  }
  f->sized = false;
  int64_t base = f->size;
  if (whence == SEEK_CUR)
    base = lseek(wire_fd(s), 0, SEEK_CUR);
  if (whence == SEEK_CUR && f->arrived && f->result > 0)
    base -= f->result;
  if (whence == SEEK_CUR)
    base -= inbox_size(&s->in);
  if (whence == SEEK_SET)
    base = 0;
  if (base < 0)
    return whence == SEEK_END ? f->size : -ESPIPE;
  if (__builtin_add_overflow(base, offset, &offset))
    return -EOVERFLOW;
  offset = lseek(wire_fd(s), offset, SEEK_SET);
  if (offset < 0)
    return -errno;
  f->arrived = false;
  return offset;
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
    .seek = seek,
    .set = wire_set,
    .get = wire_get,
    .localaddr = wire_localaddr,
    .remoteaddr = wire_remoteaddr,
    .fd = wire_fd,
};


stream *file_new(host *h, int fd, bool patient) {
  stream *s = stream_new(h, &file_transport, false);
  file_of(s)->wire.watch.fd = fd;
  file_of(s)->patient = patient;
  owned_add(fd);
  return s;
}
