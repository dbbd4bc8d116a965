#include "net/outbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/state.h"
#include "net/trace.h"
#include "sched/task.h"
#include "sched/world.h"

/* Pieces that go out in one call; bytes below which a rest is copied. */
enum { PIECES = 64, COPIED = 4 * 1024 };

struct chunk {
  chunk *next;
  const char *bytes; /* behind the chunk, or of a Lua string */
  size_t size;
  int ref; /* the string's, or LUA_NOREF */
};


/*
** The pool, and those with gathered bytes
*/

static outbox *take(host *h) {
  outbox *o = pool_take(&net_of(h)->outboxes, sizeof *o);
  o->first = o->last = NULL;
  o->pending = 0;
  o->gathered = 0;
  return o;
}


static void give_back(host *h, outbox *o) {
  pool_give(&net_of(h)->outboxes, o, TOGETHER);
}


static void link_dirty(stream *s) {
  struct net *n = net_of(s->host);
  if (s->linked)
    return;
  if (n->dirty_count == TOGETHER)
    net_flush(s->host); /* no more than so many gather at a time */
  s->linked = true;
  n->dirty[n->dirty_count++] = s;
}


void outbox_unlink(stream *s) {
  struct net *n = net_of(s->host);
  unsigned i = 0;
  while (n->dirty[i] != s)
    i++;
  n->dirty[i] = NULL;
  s->linked = false;
}


/*
** One outbox
*/

static outbox *open_outbox(stream *s) {
  if (s->out == NULL)
    s->out = take(s->host);
  return s->out;
}


/* Give the outbox back when nothing is in it. */
static void rest(stream *s) {
  outbox *o = s->out;
  if (o == NULL || o->pending > 0 || o->gathered > 0)
    return;
  s->out = NULL;
  give_back(s->host, o);
}


/* The process waits at its end for what is pending to the world outside. */
static void hold(stream *s) {
  if (s->outside)
    sched_hold(s->host);
}


static void release(stream *s) {
  if (s->outside)
    sched_release(s->host);
}


static void append(stream *s, chunk *c) {
  outbox *o = open_outbox(s);
  if (o->pending == 0)
    hold(s);
  if (o->last != NULL)
    o->last->next = c;
  else
    o->first = c;
  o->last = c;
  o->pending += c->size;
}


static void remove_first(stream *s) {
  outbox *o = s->out;
  chunk *c = o->first;
  o->first = c->next;
  if (o->first == NULL)
    o->last = NULL;
  if (c->ref != LUA_NOREF)
    sched_unref(s->host, c->ref);
  free(c);
}


void outbox_drop(stream *s) {
  if (s->out == NULL)
    return;
  if (s->out->pending > 0)
    release(s);
  while (s->out->first != NULL)
    remove_first(s);
  s->out->pending = 0;
  s->out->gathered = 0;
  rest(s);
}


void outbox_fail(stream *s, int status) {
  if (s->write_error != 0)
    return;
  trace_stream_error(s, "write", status);
  s->write_error = (int16_t)status;
  outbox_drop(s);
  wait_wake_all(&s->writers, 0);
  wait_wake_all(&s->turns, 0);
  if (s->both)
    wait_wake(&s->readers, 0);
}


static void append_copy(stream *s, const char *bytes, size_t n) {
  chunk *c = malloc(sizeof *c + n);
  if (c == NULL) {
    outbox_fail(s, -ENOMEM);
    return;
  }
  *c = (chunk){NULL, (char *)(c + 1), n, LUA_NOREF};
  memcpy(c + 1, bytes, n);
  append(s, c);
}


static void append_ref(stream *s, const char *bytes, size_t n, int ref) {
  chunk *c = memory_new(sizeof *c);
  *c = (chunk){NULL, bytes, n, ref};
  append(s, c);
}


static void append_piece(stream *s, const struct iovec *v, int ref) {
  if (ref != LUA_NOREF)
    append_ref(s, v->iov_base, v->iov_len, ref);
  else if (v->iov_len > 0)
    append_copy(s, v->iov_base, v->iov_len);
}


/* One try.  Returns what the kernel took; on an error, nothing goes out any
 * more. */
static size_t give(stream *s, const struct iovec *v, int n) {
  ssize_t taken = s->transport->try_write(s, v, n);
  if (taken >= 0) {
    s->sent += (uint64_t)taken;
    if (!s->transport->tells_writes)
      trace_bytes(s, TRACE_WRITE, v, (size_t)taken);
    return (size_t)taken;
  }
  if (taken != -EAGAIN)
    outbox_fail(s, (int)taken);
  return 0;
}


/* Take n bytes off the front of the pieces; returns how many pieces that
 * used up. */
static int advance(struct iovec *v, int count, size_t n) {
  int i = 0;
  for (; i < count && n >= v[i].iov_len; i++)
    n -= v[i].iov_len;
  if (i < count) {
    v[i].iov_base = (char *)v[i].iov_base + n;
    v[i].iov_len -= n;
  }
  return i;
}


static size_t total(const struct iovec *v, int n) {
  size_t sum = 0;
  for (int i = 0; i < n; i++)
    sum += v[i].iov_len;
  return sum;
}


/* Give the pieces to the kernel; returns how many it took whole, the next one
 * being advanced.  A batch that it took in part is the last one. */
static int give_all(stream *s, struct iovec *v, int n) {
  int i = 0;
  while (i < n && s->write_error == 0) {
    int batch = n - i < PIECES ? n - i : PIECES;
    size_t size = total(v + i, batch);
    size_t taken = give(s, v + i, batch);
    i += advance(v + i, batch, taken);
    if (taken < size)
      break;
  }
  return i;
}


static void want(stream *s) {
  int status = outbox_pending(s) > 0 ? s->transport->want_write(s) : 0;
  if (status < 0)
    outbox_fail(s, status);
}


char *outbox_room(stream *s, size_t *n) {
  outbox *o = open_outbox(s);
  *n = GATHER - o->gathered;
  return o->gather + o->gathered;
}


void outbox_gathered(stream *s, size_t n) {
  s->out->gathered += (uint32_t)n;
  if (n > 0)
    link_dirty(s);
  else
    rest(s);
}


void outbox_flush(stream *s) {
  outbox *o = s->out;
  if (o == NULL || o->gathered == 0)
    return;
  struct iovec v = {o->gather, o->gathered};
  bool clear = o->pending == 0;
  o->gathered = 0;
  size_t taken = clear ? give(s, &v, 1) : 0;
  if (taken < v.iov_len && s->write_error == 0)
    append_copy(s, o->gather + taken, v.iov_len - taken);
  if (clear && taken < v.iov_len)
    want(s);
  rest(s);
}


void outbox_send(stream *s, struct iovec *v, int n, int (*ref)(void *, int),
                 void *about) {
  outbox *o = open_outbox(s);
  bool clear = o->pending == 0;
  int i = o->gathered > 0 ? 0 : 1;
  v[0] = (struct iovec){o->gather, o->gathered};
  o->gathered = 0;
  if (clear)
    i += give_all(s, v + i, n + 1 - i);
  for (; i <= n && s->write_error == 0; i++) {
    bool large = v[i].iov_len > COPIED && i > 0 && ref != NULL;
    append_piece(s, &v[i], large ? ref(about, i) : LUA_NOREF);
  }
  if (clear)
    want(s);
  rest(s);
}


int outbox_pass(stream *s, struct iovec v[2], const int *fds, int n,
                int (*ref)(void *, int), void *about) {
  outbox_flush(s);
  if (s->write_error != 0)
    return s->write_error;
  if (outbox_pending(s) > 0)
    return -EAGAIN;
  ssize_t taken = s->transport->pass(s, &v[1], fds, n);
  if (taken == -EAGAIN) {
    int status = s->transport->want_write(s);
    return status < 0 ? status : -EAGAIN;
  }
  if (taken < 0)
    return (int)taken;
  trace_bytes(s, TRACE_WRITE, &v[1], (size_t)taken);
  if (advance(v + 1, 1, (size_t)taken) == 0)
    outbox_send(s, v, 1, ref, about);
  return 0;
}


/* Give as many chunks as go in one call; false when the kernel has enough. */
static bool pump_some(stream *s) {
  struct iovec v[PIECES] = {{NULL, 0}};
  outbox *o = s->out;
  int n = 0;
  for (chunk *c = o->first; c != NULL && n < PIECES; c = c->next)
    v[n++] = (struct iovec){(char *)c->bytes, c->size};
  size_t size = total(v, n);
  size_t taken = give(s, v, n);
  if (s->write_error != 0)
    return false;
  o->pending -= taken;
  if (o->pending == 0)
    release(s);
  int used = advance(v, n, taken);
  for (int i = 0; i < used; i++)
    remove_first(s);
  if (taken < size) {
    o->first->bytes = v[used].iov_base;
    o->first->size = v[used].iov_len;
  }
  return taken == size;
}


void outbox_pump(stream *s) {
  while (outbox_pending(s) > 0 && pump_some(s))
    ;
  want(s);
  rest(s);
}


/*
** All of a host
*/

/* In the order in which they were written to. */
void outboxes_flush(host *h) {
  struct net *n = net_of(h);
  for (unsigned i = 0; i < n->dirty_count; i++) {
    stream *s = n->dirty[i];
    if (s == NULL)
      continue;
    s->linked = false;
    outbox_flush(s);
  }
  n->dirty_count = 0;
}


void outboxes_close(host *h) {
  pool_free(&net_of(h)->outboxes);
}
