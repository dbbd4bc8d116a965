/*
** Relays: bytes from one descriptor to another and back, below Lua.
**
** Each direction is a *direction*.  It reads once an event, into the loop's shared
** buffer, and writes at once; what its target did not take it holds, and reads
** no more until that is out.  A direction that fills the buffer time after time is
** a bulk transfer: where both ends are sockets it goes on through a pipe by
** splice, without copying.
**
** While it runs, a relay has its own watches on both descriptors, and the
** streams' own are out of the epoll.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/layer.h"
#include "net/trace.h"
#include "uv/backend.h"
#include "uv/owned.h"
#include "uv/quiet.h"
#include "uv/wire.h"

enum {
  BULK = 8,          /* so many full buffers in a row */
  PIPE = 256 * 1024, /* its size, and at most so much an event */
  COPY_ONLY = 255    /* direction.full of one that can't be spliced */
};

typedef struct side {
  watch watch; /* first: it is how ready finds the side */
  struct relay *relay;
  stream *stream;
  loop_timer pause; /* runs: the kernel has no buffers for what is sent there */
} side;

typedef struct direction {
  side *from, *to;
  char *held; /* what `to` did not take, malloc'ed; NULL: nothing */
  size_t start, end;
  int pipe[2];    /* once spliced; or -1 */
  size_t inside;  /* the pipe */
  uint64_t count; /* bytes that `to` has taken */
  uint8_t full;   /* buffers filled in a row */
  int status;     /* why `to` takes no more; 0: it does */
  bool ended;     /* `from` has no more */
  bool over;      /* and `to` was told so */
} direction;

struct relay {
  loop *loop;
  side sides[2];
  direction directions[2]; /* directions[i] is from sides[i] */
  later later;
  void (*done)(void *owner);
  void *owner;
  int status;
  bool over;
};


static direction *away_from(const side *x) {
  return &x->relay->directions[x - x->relay->sides];
}


static direction *towards(const side *x) {
  return &x->relay->directions[1 - (x - x->relay->sides)];
}


static wire *wire_at(const side *x) {
  return wire_of(x->stream);
}


static bool is_pending(const direction *f) {
  return f->held != NULL || f->inside > 0;
}


static void count_sent(direction *f, size_t n) {
  f->count += n;
  f->to->stream->sent += n;
}


/*
** By copying
*/

/* The target takes nothing more.  It may still have something for the other side,
 * which is to arrive: a server answers and closes while it is sent to.  So only
 * this direction is over. */
static void fail_target(direction *f, int status) {
  trace_stream_error(f->to->stream, "write", status);
  f->status = status;
  f->ended = f->over = true;
  free(f->held);
  f->held = NULL;
  f->inside = 0;
}


/* What the target takes of these bytes. */
static size_t give(direction *f, char *bytes, size_t n) {
  stream *to = f->to->stream;
  struct iovec v = {bytes, n};
  ssize_t sent = to->transport->try_write(to, &v, 1);
  if (sent > 0) {
    count_sent(f, (size_t)sent);
    trace_bytes(to, TRACE_WRITE, &v, (size_t)sent);
  } else if (sent != -EAGAIN) {
    fail_target(f, (int)sent);
  }
  return sent > 0 ? (size_t)sent : 0;
}


static void push_held(direction *f) {
  f->start += give(f, f->held + f->start, f->end - f->start);
  if (f->status == 0 && f->start == f->end) {
    free(f->held);
    f->held = NULL;
  }
}


static void hold(direction *f, const char *bytes, size_t n) {
  f->held = malloc(n);
  if (f->held == NULL) {
    fail_target(f, -ENOMEM);
    return;
  }
  memcpy(f->held, bytes, n);
  f->start = 0;
  f->end = n;
}


/* Nothing was read: the end, a failure, or not yet.  The kernel tells a reset
 * only once: keep it for the stream. */
static int stop_at(direction *f, ssize_t n) {
  wire *w = wire_at(f->from);
  if (n == 0 && w->failed != 0)
    n = w->failed;
  else if (n < 0 && n != -EAGAIN)
    w->failed = (int16_t)n;
  f->ended = n == 0;
  if (n == 0)
    trace_stream(f->from->stream, TRACE_END, 0);
  else if (n != -EAGAIN)
    trace_stream_error(f->from->stream, "read", (int)n);
  return n == -EAGAIN ? 0 : (int)n;
}


/* What is left of a unix socket's queue, behind full buffers, is bulk too. */
static void count_full(direction *f, ssize_t n) {
  if (f->full == COPY_ONLY)
    return;
  if (n == ROUND_ROOM)
    f->full++;
  else if (n < ROUND_ROOM / 4)
    f->full = 0;
}


static int copy(direction *f) {
  char *buffer = round_room(f->from->stream->host);
  ssize_t n = wire_read(wire_at(f->from), buffer, ROUND_ROOM);
  if (n <= 0)
    return stop_at(f, n);
  trace_read(f->from->stream, buffer, (size_t)n);
  count_full(f, n);
  f->from->stream->received += (uint64_t)n;
  size_t sent = give(f, buffer, (size_t)n);
  if (f->status == 0 && sent < (size_t)n)
    hold(f, buffer + sent, (size_t)n - sent);
  return 0;
}


/*
** By splicing
*/

static ssize_t splice_some(int from, int to, size_t n) {
  ssize_t moved;
  signals_quiet(true);
  do
    moved = splice(from, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  while (moved < 0 && errno == EINTR);
  signals_quiet(false);
  return moved < 0 ? -errno : moved;
}


static void push_pipe(direction *f) {
  wire *to = wire_at(f->to);
  while (f->inside > 0) {
    ssize_t n = splice_some(f->pipe[0], to->watch.fd, f->inside);
    n = wire_written(to, n);
    if (n <= 0 && n != -EAGAIN)
      fail_target(f, n < 0 ? (int)n : -EPIPE);
    if (n <= 0)
      return;
    f->inside -= (size_t)n;
    count_sent(f, (size_t)n);
    trace_bytes(f->to->stream, TRACE_WRITE, NULL, (size_t)n);
  }
}


/* Without a pipe the direction is copied on. */
static void open_pipe(direction *f) {
  if (pipe2(f->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
    f->pipe[0] = f->pipe[1] = -1;
    f->full = COPY_ONLY;
    return;
  }
  owned_add(f->pipe[0]);
  owned_add(f->pipe[1]);
  fcntl(f->pipe[0], F_SETPIPE_SZ, PIPE); /* or as large as it is */
}


static void close_pipe(direction *f) {
  if (f->pipe[0] < 0)
    return;
  owned_close(f->pipe[0], -1);
  owned_close(f->pipe[1], -1);
  f->pipe[0] = f->pipe[1] = -1;
}


static int splice_on(direction *f) {
  ssize_t n = splice_some(wire_at(f->from)->watch.fd, f->pipe[1], PIPE);
  if (n == -EINVAL) { /* this kind of socket can't */
    close_pipe(f);
    f->full = COPY_ONLY;
    return copy(f);
  }
  if (n <= 0)
    return stop_at(f, n);
  f->from->stream->received += (uint64_t)n;
  f->inside = (size_t)n;
  trace_bytes(f->from->stream, TRACE_READ, NULL, (size_t)n);
  push_pipe(f);
  return 0;
}


/*
** Flowing
*/

static void push(direction *f) {
  if (f->held != NULL)
    push_held(f);
  else
    push_pipe(f);
}


static bool may_splice(direction *f) {
  if (f->full == BULK && f->pipe[0] < 0)
    open_pipe(f);
  return f->pipe[0] >= 0;
}


/* A trace is to see the bytes. */
static int pull(direction *f) {
  bool splices = !trace_is_on(f->from->relay->loop->host) && may_splice(f);
  return splices ? splice_on(f) : copy(f);
}


/* The end passes through, behind the bytes.  A target that is gone by then has
 * nothing to be told. */
static void pass_end(direction *f) {
  stream *to = f->to->stream;
  f->over = true;
  watch_drop(f->to->relay->loop, &f->to->watch);
  trace_stream(to, TRACE_SHUTDOWN, 0);
  to->transport->shutdown(to);
}


static int advance(direction *f, bool readable) {
  int status = 0;
  if (is_pending(f))
    push(f);
  if (readable && !f->ended && !is_pending(f))
    status = pull(f);
  if (status == 0 && f->ended && !f->over && !is_pending(f))
    pass_end(f);
  return status;
}


static void on_pause_over(loop_timer *timer);


/* Without buffers there is room, as epoll has it: then a pause is made. */
static int settle(side *x) {
  const direction *f = away_from(x);
  loop *l = x->relay->loop;
  uint32_t events = !f->ended && !is_pending(f) ? EPOLLIN : 0;
  bool waits = is_pending(towards(x));
  bool pauses = loop_timer_runs(&wire_at(x)->pause);
  if (waits && !pauses)
    events |= EPOLLOUT;
  if (waits && pauses && !loop_timer_runs(&x->pause))
    loop_timer_start(l, &x->pause, WIRE_PAUSE, on_pause_over);
  return watch_set(l, &x->watch, events);
}


static int settle_both(struct relay *r) {
  int status = settle(&r->sides[0]);
  return status < 0 ? status : settle(&r->sides[1]);
}


/*
** Beginning and ending
*/

static bool is_finished(const struct relay *r) {
  return r->directions[0].over && r->directions[1].over;
}


/* Leave the descriptors to their streams. */
static void let_go(struct relay *r) {
  r->over = true;
  for (int i = 0; i < 2; i++) {
    watch_drop(r->loop, &r->sides[i].watch);
    loop_timer_stop(r->loop, &r->sides[i].pause);
    wire_settle(wire_at(&r->sides[i]));
  }
}


/* Both directions, as far as these events allow. */
static int flow_on(side *x, uint32_t events) {
  int status = 0;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0)
    events |= EPOLLIN | EPOLLOUT;
  if ((events & EPOLLOUT) != 0)
    status = advance(towards(x), false);
  if (status == 0 && (events & EPOLLIN) != 0)
    status = advance(away_from(x), true);
  return status < 0 ? status : settle_both(x->relay);
}


/* False: it is over, and may be freed. */
static bool go_on(side *x, uint32_t events) {
  struct relay *r = x->relay;
  r->status = flow_on(x, events);
  if (r->status == 0 && !is_finished(r))
    return true;
  let_go(r);
  r->done(r->owner);
  return false;
}


static void on_ready(watch *w, uint32_t events) {
  const loop *l = ((side *)w)->relay->loop;
  if (!go_on((side *)w, events))
    round_run(l->host);
}


static void on_pause_over(loop_timer *timer) {
  go_on((side *)((char *)timer - offsetof(side, pause)), EPOLLOUT);
}


static void join(struct relay *r, int i, stream *s) {
  r->sides[i] = (side){
      .watch = {.fd = wire_fd(s), .ready = on_ready},
      .relay = r,
      .stream = s,
  };
  r->directions[i] = (direction){
      .from = &r->sides[i],
      .to = &r->sides[1 - i],
      .pipe = {-1, -1},
  };
}


static int flags_of(stream *s) {
  stream *bottom = layer_bottom(s);
  int fd = bottom->transport->fd(bottom);
  return fd < 0 ? O_RDWR : fcntl(fd, F_GETFL);
}


bool pump_may_relay(stream *from, stream *to) {
  return (flags_of(from) & O_ACCMODE) != O_WRONLY &&
         (flags_of(to) & O_ACCMODE) != O_RDONLY;
}


/* A direction that can't be is over from the start.  A description that blocks may
 * be read and written with care, not spliced. */
static void check(direction *f) {
  stream *from = f->from->stream, *to = f->to->stream;
  if (!pump_may_relay(from, to))
    f->ended = f->over = true;
  if (!wire_splices(from) || !wire_splices(to) ||
      (flags_of(from) & flags_of(to) & O_NONBLOCK) == 0)
    f->full = COPY_ONLY;
}


/* What is under way goes on as if the script had written it.  The host's buffer
 * may hold another stream's bytes now. */
static void hand_over(direction *f) {
  stream *to = f->to->stream;
  if (f->held != NULL)
    stream_send(to, f->held + f->start, f->end - f->start);
  free(f->held);
  char bytes[16 * 1024];
  ssize_t n;
  while (f->inside > 0 && (n = read(f->pipe[0], bytes, sizeof bytes)) > 0) {
    stream_send(to, bytes, (size_t)n);
    f->inside -= (size_t)n;
  }
}


static void on_stopped(later *x) {
  free((char *)x - offsetof(struct relay, later));
}


struct relay *pump_begin(host *h, stream *a, stream *b, void (*done)(void *),
                         void *owner) {
  if (!wire_is(a) || !wire_is(b))
    return NULL;
  struct relay *r = memory_new(sizeof *r);
  r->loop = loop_of(h);
  r->done = done;
  r->owner = owner;
  join(r, 0, a);
  join(r, 1, b);
  check(&r->directions[0]);
  check(&r->directions[1]);
  watch_drop(r->loop, &wire_of(a)->watch);
  watch_drop(r->loop, &wire_of(b)->watch);
  if (is_finished(r) || settle_both(r) < 0) {
    pump_stop(r);
    return NULL;
  }
  return r;
}


void pump_stop(struct relay *r) {
  if (!r->over)
    let_go(r);
  for (int i = 0; i < 2; i++) {
    hand_over(&r->directions[i]);
    close_pipe(&r->directions[i]);
  }
  round_later(r->loop->host, &r->later, on_stopped);
}


/* With what pump_stop hands over. */
static uint64_t moved(const direction *f) {
  return f->count + f->inside + (f->held != NULL ? f->end - f->start : 0);
}


int pump_result(struct relay *r, uint64_t counts[2]) {
  counts[0] = moved(&r->directions[0]);
  counts[1] = moved(&r->directions[1]);
  if (r->status == 0 && r->directions[0].status < 0)
    return r->directions[0].status;
  return r->status < 0 ? r->status : r->directions[1].status;
}
