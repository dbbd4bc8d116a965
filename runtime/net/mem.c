/*
** mem: streams between the tasks of one host.
**
** A transport without a descriptor: what one end writes is the other end's to
** read, until the reader says stop.  It proves the seam and makes tests
** instant.
*/

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/listener.h"
#include "net/mem.h"
#include "net/outbox.h"
#include "net/round.h"
#include "net/state.h"
#include "net/trace.h"
#include "sched/world.h"

/* A stream's own part. */
typedef struct mem {
  stream *peer; /* NULL: closed */
  bool paused;  /* stop_read was called */
  bool wants;   /* its writer is to be told when it may go on */
} mem;

/* A listener's own part: the other ends that wait to be accepted. */
typedef struct mem_name {
  struct mem_name *next;
  later later;
  listener *listener;
  char *name;
  int backlog, count;
  stream *queue[];
} mem_name;

static const transport mem_transport;
static const backend mem_backend;


static mem *mem_of(stream *s) {
  assert(s->state != CLOSED);
  return stream_part(s);
}


static int start_read(stream *s) {
  stream *peer = mem_of(s)->peer;
  mem_of(s)->paused = false;
  if (peer != NULL && mem_of(peer)->wants) {
    mem_of(peer)->wants = false;
    stream_writable(peer);
  }
  return 0;
}


static void stop_read(stream *s) {
  mem_of(s)->paused = true;
}


/* In portions, until the peer says stop; how many bytes it took. */
static size_t deliver(stream *s, stream *peer, char *bytes, size_t n) {
  size_t done = 0;
  while (done < n && !mem_of(peer)->paused) {
    size_t size = n - done < HIGH_WATER ? n - done : HIGH_WATER;
    trace_bytes(s, TRACE_WRITE, &(struct iovec){bytes + done, size}, size);
    round_give(peer, bytes + done, size);
    done += size;
  }
  return done;
}


static ssize_t try_write(stream *s, const struct iovec *v, int n) {
  stream *peer = mem_of(s)->peer;
  size_t sum = 0;
  if (peer == NULL || peer->state > UNDER)
    return -EPIPE;
  for (int i = 0; i < n; i++) {
    size_t size = deliver(s, peer, v[i].iov_base, v[i].iov_len);
    sum += size;
    if (size < v[i].iov_len)
      break;
  }
  return sum > 0 ? (ssize_t)sum : -EAGAIN;
}


static int want_write(stream *s) {
  stream *peer = mem_of(s)->peer;
  mem_of(s)->wants = true;
  return peer == NULL ? -EPIPE : 0;
}


static int shut(stream *s) {
  if (mem_of(s)->peer != NULL && !mem_of(s)->peer->eof)
    stream_eof(mem_of(s)->peer);
  return 0;
}


static void close_mem(stream *s, bool reset) {
  mem *m = stream_part(s);
  stream *peer = m->peer;
  m->peer = NULL;
  stream_gone(s);
  if (peer == NULL)
    return;
  mem_of(peer)->peer = NULL;
  if (reset)
    stream_error(peer, -ECONNRESET);
  else if (!peer->eof)
    stream_eof(peer);
  if (outbox_pending(peer) > 0)
    stream_writable(peer); /* finds that it is broken */
}


static int no_option(stream *s, const sockopt *o) {
  (void)s, (void)o;
  return -ENOPROTOOPT;
}


static int no_option_value(stream *s, sockopt *o) {
  (void)s, (void)o;
  return -ENOPROTOOPT;
}


static int no_address(stream *s, address *a) {
  (void)s;
  a->length = 0;
  return 0;
}


static int no_descriptor(stream *s) {
  (void)s;
  return -EBADF;
}


static const transport mem_transport = {
    .kind = {.name = "mem"},
    .size = sizeof(mem),
    .start_read = start_read,
    .stop_read = stop_read,
    .try_write = try_write,
    .tells_writes = true,
    .want_write = want_write,
    .shutdown = shut,
    .close = close_mem,
    .set = no_option,
    .get = no_option_value,
    .localaddr = no_address,
    .remoteaddr = no_address,
    .fd = no_descriptor,
};


int mem_pair(host *h, stream **a, stream **b) {
  *a = stream_new(h, &mem_transport, false);
  *b = stream_new(h, &mem_transport, false);
  mem_of(*a)->peer = *b;
  mem_of(*b)->peer = *a;
  (*a)->pair = FIRST_OF_TWO;
  (*b)->pair = SECOND_OF_TWO;
  return 0;
}


/*
** Listeners
*/

static mem_name **find(host *h, const char *name) {
  mem_name **at = &net_of(h)->names;
  while (*at != NULL && strcmp((*at)->name, name) != 0)
    at = &(*at)->next;
  return at;
}


static mem_name *name_of(listener *l) {
  return *(mem_name **)listener_part(l);
}


static int accept_mem(listener *l, stream **out, datagram **message_socket) {
  mem_name *n = name_of(l);
  if (n->count == 0)
    return -EAGAIN;
  *message_socket = NULL;
  *out = n->queue[0];
  memmove(n->queue, n->queue + 1, (size_t)--n->count * sizeof *n->queue);
  return 0;
}


static bool is_acceptable(listener *l) {
  return name_of(l)->count > 0;
}


static int watch(listener *l) {
  (void)l;
  return 0;
}


static void rest(listener *l) {
  (void)l;
}


static void on_closed(later *x) {
  mem_name *n = (mem_name *)((char *)x - offsetof(mem_name, later));
  listener_closed(n->listener);
  free(n->name);
  free(n);
}


static void close_listener(listener *l) {
  mem_name *n = name_of(l);
  mem_name **at = find(l->host, n->name);
  *at = n->next;
  round_later(l->host, &n->later, on_closed);
  for (int i = 0; i < n->count; i++)
    stream_close(n->queue[i], true);
}


static int set_listener(listener *l, const sockopt *o) {
  (void)l, (void)o;
  return -ENOPROTOOPT;
}


static int get_listener(listener *l, sockopt *o) {
  (void)l, (void)o;
  return -ENOPROTOOPT;
}


static int fd_of_listener(listener *l) {
  (void)l;
  return -EBADF;
}


static const backend mem_backend = {
    .accept = accept_mem,
    .acceptable = is_acceptable,
    .watch = watch,
    .rest = rest,
    .close_listener = close_listener,
    .set_listener = set_listener,
    .get_listener = get_listener,
    .fd_of_listener = fd_of_listener,
};


int mem_listen(host *h, const char *name, int backlog, listener **out) {
  static const sockspec no_spec;
  if (*find(h, name) != NULL)
    return -EADDRINUSE;
  if (backlog < 1)
    backlog = 1;
  if (backlog > 4096)
    backlog = 4096;
  mem_name *n = memory_new(sizeof *n + (size_t)backlog * sizeof *n->queue);
  listener *l = listener_new(h, sizeof n, &no_spec);
  n->name = memory_text(name, strlen(name));
  n->backlog = backlog;
  n->listener = l;
  n->next = net_of(h)->names;
  net_of(h)->names = n;
  l->backend = &mem_backend;
  l->outside = false;
  *(mem_name **)listener_part(l) = n;
  *out = l;
  return 0;
}


int mem_connect(host *h, const char *name, stream **out) {
  stream *other;
  mem_name *n = *find(h, name);
  if (n == NULL)
    return -ECONNREFUSED;
  if (n->count == n->backlog)
    return -EAGAIN;
  mem_pair(h, out, &other);
  n->queue[n->count++] = other;
  listener_ready(n->listener);
  return 0;
}
