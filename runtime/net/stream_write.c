/*
** Writing: write, flush, shutdown.
**
** A write is accepted whole or not at all: small ones gather, large ones go to
** the kernel at once and what it refuses is kept.  Then the writer waits until
** less than HIGH_WATER is kept.  A cancelled or late writer stops waiting; its
** bytes stay in their order.  Others wait in line before theirs are accepted,
** and are called one by one, so that none can push in.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "net/layer.h"
#include "net/stream_methods.h"
#include "sched/task.h"

/* The continuation's context. */
enum { WAITING_TURN, ACCEPTED, YIELDED };

/* Bytes of a write that is gathered: to copy more costs as much as sending. */
enum { SMALL = 8 * 1024 };

/* Pieces of one write that need no memory for their list. */
enum { FEW = 16 };

/* A peer that reads fast enough would keep everybody waiting: so many bytes
 * count as one verb more. */
enum { BYTES_A_VERB = 64 };

static int write_k(lua_State *L, int status, lua_KContext ctx);


/* What one call writes: the strings from index 2 on, which stay there. */
typedef struct pieces {
  int n;
  size_t size;           /* of all */
  struct iovec few[FEW]; /* few[i]: index i + 1; only if n < FEW */
} pieces;


static struct iovec piece(lua_State *L, int index) {
  size_t n;
  const char *bytes = lua_tolstring(L, index, &n);
  return (struct iovec){(char *)bytes, n};
}


/* Numbers are turned into strings. */
static void check_pieces(lua_State *L, pieces *p) {
  p->n = lua_gettop(L) - 1;
  p->size = 0;
  for (int i = p->n; i >= 1; i--) {
    struct iovec v = piece(L, i + 1);
    if (v.iov_base == NULL)
      luaL_checkstring(L, i + 1); /* raises */
    p->size += v.iov_len;
    if (i < FEW)
      p->few[i] = v;
  }
}


/* Copy the strings from index 2 on, and return their size; 0 if they do not fit,
 * or something else is among them. */
static inline size_t copy_strings(lua_State *L, char *to, size_t room) {
  size_t size = 0;
  for (int i = 2, top = lua_gettop(L); i <= top; i++) {
    size_t n;
    if (lua_type(L, i) != LUA_TSTRING)
      return 0;
    const char *bytes = lua_tolstring(L, i, &n);
    if (n > room - size)
      return 0;
    memcpy(to + size, bytes, n);
    size += n;
  }
  return size;
}


/* The same into the outbox: false, and nothing was gathered. */
static inline bool gather_strings(lua_State *L, stream *s) {
  size_t room;
  char *to = outbox_room(s, &room);
  size_t size = copy_strings(L, to, room < SMALL ? room : SMALL);
  outbox_gathered(s, size);
  wait_charge(L, size / BYTES_A_VERB);
  return size > 0;
}


/* False: it is large, and goes out at once. */
static bool gather(lua_State *L, stream *s, const pieces *p) {
  if (p->size > SMALL)
    return false;
  if (p->size == 0 || gather_strings(L, s))
    return true;
  outbox_flush(s);
  return gather_strings(L, s);
}


/* The i-th piece must stay: anchor its string. */
static int anchor(void *about, int i) {
  return sched_ref(about, i + 1);
}


/* False if the memory for the list cost the stream: a finalizer closed it. */
static bool send_now(lua_State *L, stream *s, pieces *p) {
  struct iovec *v = p->few;
  if (p->n >= FEW) {
    v = lua_newuserdatauv(L, (size_t)(p->n + 1) * sizeof *v, 0);
    for (int i = 1; i <= p->n; i++)
      v[i] = piece(L, i + 1);
  }
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL); /* for sched_ref */
  wait_charge(L, p->size / BYTES_A_VERB);
  bool open = ((box *)lua_touserdata(L, 1))->stream != NULL;
  if (open)
    outbox_send(s, v, p->n, anchor, L);
  lua_settop(L, p->n + 1);
  return open;
}


static size_t size_of(lua_State *L) {
  pieces p;
  check_pieces(L, &p);
  return p.size;
}


/* nil and an error that says how many bytes of this call were accepted. */
static int failed(lua_State *L, stream *s, int status, lua_KContext ctx) {
  size_t size = size_of(L);
  stream_fail(L, s, status, "write");
  lua_pushinteger(L, ctx == ACCEPTED ? (lua_Integer)size : 0);
  lua_setfield(L, -2, "accepted");
  return 2;
}


static int await(lua_State *L, stream *s, lua_KContext ctx) {
  waiting how = {"write", stream_deadline(s), s->outside};
  waitq *q = ctx == WAITING_TURN ? &s->turns : &s->writers;
  return wait_park(L, q, &how, ctx, write_k);
}


void stream_next_turn(stream *s) {
  if (!s->called)
    s->called = wait_wake(&s->turns, 0);
  if (s->both && !s->called)
    wait_wake(&s->readers, 0);
}


static int fail_now(lua_State *L, stream *s, lua_KContext ctx) {
  if (s->write_error == 0)
    return failed(L, s, -EPIPE, ctx);
  s->reported = true;
  return failed(L, s, s->write_error, ctx);
}


static int finish(lua_State *L, stream *s) {
  if (s->write_error != 0)
    return fail_now(L, s, ACCEPTED);
  lua_pushvalue(L, 1);
  return 1;
}


static bool is_over(const stream *s) {
  return s->write_error != 0 || s->shut;
}


/* It is this task's turn: accept what it writes.  There was room when it was
 * called; what others had gathered by then may have taken it, but a task that
 * went back would lose its place. */
static int take_turn(lua_State *L, stream *s, pieces *p) {
  if (is_over(s)) {
    stream_next_turn(s);
    return fail_now(L, s, WAITING_TURN);
  }
  if (!gather(L, s, p) && !send_now(L, s, p))
    return failed(L, NULL, -ECANCELED, WAITING_TURN);
  if (outbox_pending(s) >= HIGH_WATER)
    return await(L, s, ACCEPTED);
  stream_next_turn(s);
  return finish(L, s);
}


/* Get in line, unless nobody else is. */
static int begin(lua_State *L, stream *s, pieces *p) {
  if (s->relayed)
    return luaL_error(L, "this stream is being relayed (EBUSY)");
  bool full = outbox_pending(s) >= HIGH_WATER && !is_over(s);
  if (full || s->called || !wait_idle(&s->turns))
    return await(L, s, WAITING_TURN);
  return take_turn(L, s, p);
}


/* What was accepted is not looked at again: others may have filled the outbox
 * since this task was woken. */
static int write_k(lua_State *L, int status, lua_KContext ctx) {
  stream *s = ((box *)lua_touserdata(L, 1))->stream;
  int result = wait_status(L);
  (void)status;
  if (s == NULL)
    return failed(L, s, result < 0 ? result : -ECANCELED, ctx);
  if (result < 0)
    return failed(L, s, result, ctx);
  if (ctx == ACCEPTED)
    return finish(L, s);
  pieces p;
  check_pieces(L, &p);
  if (ctx == YIELDED)
    return begin(L, s, &p);
  s->called = false;
  return take_turn(L, s, &p);
}


/*
** stream:write(...) : stream | nil, error
*/

static int write_pieces(lua_State *L, const box *b, bool spent) {
  pieces p;
  check_pieces(L, &p);
  stream *s = b->stream; /* a finalizer may have closed it */
  if (s == NULL)
    return failed(L, NULL, -EBADF, WAITING_TURN);
  if (spent)
    return wait_yield(L, YIELDED, write_k);
  return begin(L, s, &p);
}


/* May a write be accepted now, and its task go on? */
static bool is_clear(const stream *s) {
  return s != NULL && !s->relayed && !s->called && wait_idle(&s->turns) &&
         !is_over(s) && outbox_pending(s) < HIGH_WATER;
}


/* Most writes are a few short strings. */
static int l_write(lua_State *L) {
  const box *b = stream_box(L);
  wait_enter_put(L, "write");
  bool spent = wait_spent(L);
  if (spent || !is_clear(b->stream) || !gather_strings(L, b->stream))
    return write_pieces(L, b, spent);
  lua_pushvalue(L, 1);
  return 1;
}


static size_t copy_pieces(char *to, size_t room, const struct iovec *v, int n) {
  size_t size = 0;
  for (int i = 0; i < n; i++) {
    if (v[i].iov_len > room - size)
      return 0;
    memcpy(to + size, v[i].iov_base, v[i].iov_len);
    size += v[i].iov_len;
  }
  return size;
}


bool stream_write_now(lua_State *L, stream *s, const struct iovec *v, int n) {
  if (!is_clear(s))
    return false;
  size_t room;
  char *to = outbox_room(s, &room);
  size_t size = copy_pieces(to, room < SMALL ? room : SMALL, v, n);
  outbox_gathered(s, size);
  wait_charge(L, size / BYTES_A_VERB);
  return size > 0;
}


/*
** stream:flush() : stream | nil, error
*/

static int flush_k(lua_State *L, int status, lua_KContext ctx) {
  stream *s = ((box *)lua_touserdata(L, 1))->stream;
  int result = status == LUA_YIELD ? wait_status(L) : 0;
  if (s == NULL)
    return stream_fail(L, s, result < 0 ? result : -ECANCELED, "flush");
  if (s->write_error != 0) {
    s->reported = true;
    result = s->write_error;
  }
  if (result < 0)
    return stream_fail(L, s, result, "flush");
  if (!stream_is_out(s)) {
    waiting how = {"flush", stream_deadline(s), s->outside};
    return wait_park(L, &s->writers, &how, ctx, flush_k);
  }
  lua_settop(L, 1);
  return 1;
}


static int l_flush(lua_State *L) {
  stream *s = stream_box(L)->stream;
  lua_settop(L, 1);
  wait_enter_put(L, "flush");
  if (s == NULL)
    return stream_fail(L, NULL, -EBADF, "flush");
  outbox_flush(s);
  return flush_k(L, LUA_OK, 0);
}


/*
** stream:shutdown() : true | nil, error
*/

static int l_shutdown(lua_State *L) {
  stream *s = stream_box(L)->stream;
  if (s == NULL)
    return stream_fail(L, NULL, -EBADF, "shutdown");
  outbox_flush(s);
  if (s->write_error != 0) {
    s->reported = true;
    return stream_fail(L, s, s->write_error, "shutdown");
  }
  int status = 0;
  if (!s->shut && stream_is_out(s))
    status = stream_shut(s);
  s->shut = true;
  if (status < 0)
    return stream_fail(L, s, status, "shutdown");
  lua_pushboolean(L, true);
  return 1;
}


const luaL_Reg write_methods[] = {
    {"write", l_write},
    {"flush", l_flush},
    {"shutdown", l_shutdown},
    {NULL, NULL},
};
