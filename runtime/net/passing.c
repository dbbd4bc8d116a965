#include "net/passing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/fields.h"
#include "host/memory.h"
#include "net/descriptor.h"
#include "net/inbox.h"
#include "net/outbox.h"
#include "net/state.h"
#include "net/stream_methods.h"
#include "sched/task.h"
#include "sched/world.h"

/* What came with one read. */
typedef struct parcel {
  struct parcel *next;
  uint64_t end; /* bytes that had arrived with it */
  bool cut;     /* there were more: the process may not have them */
  int count, taken;
  int fds[];
} parcel;

struct passing {
  parcel *first, *last;
  uint64_t arrived; /* bytes since the first question */
  int count;        /* descriptors in the parcels; one for each that is cut */
};


static struct passing *passing_of(const stream *s) {
  return s->extra != NULL ? s->extra->passing : NULL;
}


/*
** Arriving
*/

static void discard(stream *s, const int *fds, int n) {
  for (int i = 0; i < n; i++)
    s->host->world->net->discard(s->host, fds[i]);
}


static void append(struct passing *p, const passed *x) {
  parcel *new = memory_new(sizeof *new + (size_t)x->count * sizeof *x->fds);
  new->end = p->arrived;
  new->cut = x->cut;
  new->count = x->count;
  memcpy(new->fds, x->fds, (size_t)x->count * sizeof *x->fds);
  if (p->last != NULL)
    p->last->next = new;
  else
    p->first = new;
  p->last = new;
  p->count += x->count + x->cut;
}


/* A reader that waits for more than has arrived has to be told (stream_read.c). */
static void stop(stream *s) {
  if (s->reading)
    s->transport->stop_read(s);
  s->reading = false;
  wait_wake(&s->readers, 0);
}


void stream_passed(stream *s, const passed *x, size_t bytes) {
  struct passing *p = s->extra->passing;
  if (s->state != OPEN) {
    discard(s, x->fds, x->count);
    return;
  }
  p->arrived += bytes;
  if (x->count == 0 && !x->cut)
    return;
  append(p, x);
  if (passing_full(s))
    stop(s);
}


bool passing_begin(stream *s) {
  if (s->transport->collect == NULL)
    return false;
  struct extra *x = stream_extra(s);
  if (x->passing == NULL) {
    x->passing = memory_new(sizeof *x->passing);
    s->transport->collect(s);
  }
  return true;
}


size_t passing_distance(const stream *s) {
  const struct passing *p = passing_of(s);
  size_t unread = inbox_size(&s->in);
  if (p == NULL || p->first == NULL)
    return SIZE_MAX;
  uint64_t behind = p->arrived - p->first->end;
  return behind < unread ? unread - (size_t)behind : 0;
}


bool passing_full(const stream *s) {
  const struct passing *p = passing_of(s);
  return p != NULL && p->count >= PASSED_MAX;
}


/*
** Taken
*/

static void remove_first(stream *s) {
  struct passing *p = s->extra->passing;
  parcel *x = p->first;
  p->first = x->next;
  if (p->first == NULL)
    p->last = NULL;
  p->count -= x->count - x->taken + x->cut;
  discard(s, x->fds + x->taken, x->count - x->taken);
  free(x);
}


void passing_drop(stream *s) {
  struct passing *p = passing_of(s);
  if (p == NULL)
    return;
  while (p->first != NULL)
    remove_first(s);
  free(p);
  s->extra->passing = NULL;
}


/* What is pushed may run a finalizer, and that may close the stream. */
static parcel *first_of(lua_State *L) {
  stream *s = ((box *)lua_touserdata(L, 1))->stream;
  const struct passing *p = s != NULL ? passing_of(s) : NULL;
  return p != NULL ? p->first : NULL;
}


static bool push_next(lua_State *L) {
  int *slot = descriptor_new(L);
  parcel *x = first_of(L);
  if (x == NULL || x->taken == x->count) {
    lua_pop(L, 1);
    return false;
  }
  *slot = x->fds[x->taken++];
  passing_of(((box *)lua_touserdata(L, 1))->stream)->count--;
  return true;
}


static void push_info(lua_State *L, bool cut) {
  if (!cut) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 1);
  set_flag(L, "lost", true);
}


void passing_push(lua_State *L) {
  lua_newtable(L);
  for (lua_Integer i = 1; push_next(L); i++)
    lua_rawseti(L, -2, i);
  const parcel *x = first_of(L);
  push_info(L, x != NULL && x->cut);
  if (first_of(L) != NULL)
    remove_first(((box *)lua_touserdata(L, 1))->stream);
}


/*
** stream:sendfd(data, {descriptor}) : stream | nil, error
**
** Descriptors go with bytes that the kernel takes now, so all that was
** accepted before has to be out.  While this task waits for that it has the
** turn of those who write, and others wait in line.
*/

enum { WAITING_TURN, HAS_TURN, ACCEPTED, YIELDED };

static int sendfd_k(lua_State *L, int status, lua_KContext ctx);


int passing_refuse(lua_State *L, stream *s, const char *op) {
  luaL_checkstack(L, 6, NULL);
  const char *where = stream_push_where(L, s);
  lua_pushnil(L);
  error_push_message(L, -EOPNOTSUPP, op, where,
                     "only unix sockets pass descriptors");
  return 2;
}


static int failed(lua_State *L, stream *s, int status) {
  return stream_fail(L, s, status, "sendfd");
}


static int await(lua_State *L, stream *s, lua_KContext ctx) {
  waiting how = {"sendfd", stream_deadline(s), s->outside};
  waitq *q = ctx == WAITING_TURN ? &s->turns : &s->writers;
  return wait_park(L, q, &how, ctx, sendfd_k);
}


static void give_turn(stream *s) {
  s->called = false;
  if (outbox_pending(s) < HIGH_WATER)
    stream_next_turn(s);
}


static int over(lua_State *L, stream *s) {
  int status = s->write_error != 0 ? s->write_error : -EPIPE;
  s->reported = true;
  return failed(L, s, status);
}


/* The bytes that the kernel left are kept as those of a write are. */
static int anchor(void *about, int i) {
  (void)i;
  return sched_ref(about, 2);
}


/* To ask for the descriptors may run a finalizer, and that may close it. */
static int pass(lua_State *L) {
  int fds[PASSED_MAX];
  struct iovec v[2];
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL); /* for sched_ref */
  int n = descriptor_list(L, 3, fds);
  stream *s = ((box *)lua_touserdata(L, 1))->stream;
  if (n < 0 || s == NULL)
    return n < 0 ? n : -ECANCELED;
  v[1].iov_base = (char *)lua_tolstring(L, 2, &v[1].iov_len);
  net_flush(s->host);
  return outbox_pass(s, v, fds, n, anchor, L);
}


/* It is this task's turn. */
static int take_turn(lua_State *L, stream *s) {
  if (s->write_error != 0 || s->shut) {
    give_turn(s);
    return over(L, s);
  }
  int status = pass(L);
  if (((box *)lua_touserdata(L, 1))->stream == NULL)
    return failed(L, NULL, status);
  if (status == -EAGAIN)
    return await(L, s, HAS_TURN);
  give_turn(s);
  if (status < 0)
    return failed(L, s, status);
  if (outbox_pending(s) >= HIGH_WATER)
    return await(L, s, ACCEPTED);
  lua_settop(L, 1);
  return 1;
}


static int begin(lua_State *L, stream *s) {
  if (s->relayed)
    return luaL_error(L, "this stream is being relayed (EBUSY)");
  if (s->called || !wait_idle(&s->turns))
    return await(L, s, WAITING_TURN);
  s->called = true;
  return take_turn(L, s);
}


static int finish(lua_State *L, stream *s) {
  if (s->write_error != 0)
    return over(L, s);
  lua_settop(L, 1);
  return 1;
}


static int sendfd_k(lua_State *L, int status, lua_KContext ctx) {
  stream *s = ((box *)lua_touserdata(L, 1))->stream;
  bool cancelled;
  int result = wait_peek(L, &cancelled);
  (void)status;
  if (s != NULL && ctx == HAS_TURN && result != 0)
    give_turn(s);
  if (cancelled)
    return wait_raise(L);
  if (s == NULL)
    return failed(L, s, result < 0 ? result : -ECANCELED);
  if (result < 0)
    return failed(L, s, result);
  if (ctx == ACCEPTED)
    return finish(L, s);
  return ctx == YIELDED ? begin(L, s) : take_turn(L, s);
}


static int l_sendfd(lua_State *L) {
  size_t n;
  stream_box(L);
  luaL_checklstring(L, 2, &n);
  luaL_argcheck(L, n > 0, 2,
                "a byte at least expected: descriptors go with it");
  descriptor_check_list(L, 3);
  lua_settop(L, 3);
  wait_enter_put(L, "sendfd");
  stream *s = stream_box(L)->stream; /* a finalizer may have closed it */
  if (s == NULL)
    return failed(L, NULL, -EBADF);
  if (s->transport->pass == NULL)
    return passing_refuse(L, s, "sendfd");
  if (wait_spent(L))
    return wait_yield(L, YIELDED, sendfd_k);
  return begin(L, s);
}


const luaL_Reg passing_methods[] = {{"sendfd", l_sendfd}, {NULL, NULL}};
