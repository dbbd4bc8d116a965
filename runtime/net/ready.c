/*
** Waits that take nothing: stream:wait, datagram:wait, and net.wait, for the
** descriptors of others.  listener:wait is beside accept.
**
** Who waits to read stands in the line of those who read, who waits to write in
** that of those who write, and leaves it for the next one: what it was woken for is
** still there.  A task is in one line only, so who waits for both is among the
** readers, and is woken when it may write, too (`both`).
*/

#include "net/ready.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "host/class.h"
#include "host/error.h"
#include "net/functions.h"
#include "net/inbox.h"
#include "net/outbox.h"
#include "net/passing.h"
#include "net/send_batch.h"
#include "net/stream_methods.h"
#include "sched/world.h"

/* On the stack of all of them; at LIMIT the deadline, as ready_limit leaves it. */
enum { WHAT = 2, LIMIT, OBSERVER };

/* The continuation's context: what for, and whether in the line of writers. */
enum { IN_LINE = 4 };

static const char *const names[] = {"r", "w", "rw", NULL};


unsigned ready_check(lua_State *L, int arg) {
  return (unsigned)luaL_checkoption(L, arg, names[0], names) + 1;
}


void ready_limit(lua_State *L, int arg, uint64_t timeout) {
  const host *h = host_of(L);
  uint64_t deadline = NEVER;
  lua_settop(L, arg);
  if (!lua_isnil(L, arg)) {
    lua_Number seconds = luaL_checknumber(L, arg);
    luaL_argcheck(L, seconds >= 0, arg, "seconds from 0 expected");
    deadline = wait_deadline(L, seconds);
  } else if (timeout > 0) {
    deadline = h->world->now(h->outside) + timeout;
  }
  lua_pushinteger(L, (lua_Integer)deadline);
  lua_replace(L, arg);
}


uint64_t ready_deadline(lua_State *L, int arg) {
  return (uint64_t)lua_tointeger(L, arg);
}


int ready_push(lua_State *L, unsigned ready) {
  lua_pushstring(L, names[ready - 1]);
  return 1;
}


/*
** stream:wait(what?, timeout?) : "r" | "w" | "rw" | nil, error
*/

static int stream_k(lua_State *L, int status, lua_KContext ctx);


static bool is_readable(const stream *s) {
  return inbox_size(&s->in) > 0 || s->eof || s->read_error != 0 ||
         passing_full(s);
}


/* Would a write be accepted now, or fail? */
static bool is_writable(const stream *s) {
  bool is_clear =
      !s->called && wait_idle(&s->turns) && outbox_pending(s) < HIGH_WATER;
  return is_clear || s->write_error != 0 || s->shut;
}


static unsigned look_at_stream(const stream *s, unsigned what) {
  unsigned ready = 0;
  if ((what & READABLE) != 0 && is_readable(s))
    ready |= READABLE;
  if ((what & WRITABLE) != 0 && is_writable(s))
    ready |= WRITABLE;
  return ready;
}


static int await_stream(lua_State *L, stream *s, unsigned what) {
  waiting how = {"wait", ready_deadline(L, LIMIT), s->outside};
  if (what == WRITABLE)
    return wait_park(L, &s->turns, &how, WRITABLE | IN_LINE, stream_k);
  s->read_busy = true;
  s->both = what != READABLE;
  s->want = 1;
  return wait_park(L, &s->readers, &how, (lua_KContext)what, stream_k);
}


static int try_stream(lua_State *L, stream *s, unsigned what) {
  unsigned ready = look_at_stream(s, what);
  if (ready == 0 && (what & READABLE) != 0 && !s->reading) {
    stream_start_read(s);
    ready = look_at_stream(s, what);
  }
  return ready != 0 ? ready_push(L, ready) : await_stream(L, s, what);
}


/* It was this task's turn to write: it is the next one's. */
static void pass_turn(stream *s) {
  s->called = false;
  if (outbox_pending(s) < HIGH_WATER)
    stream_next_turn(s);
}


static int stream_k(lua_State *L, int status, lua_KContext ctx) {
  stream *s = ((box *)lua_touserdata(L, 1))->stream;
  unsigned what = (unsigned)ctx & (READABLE | WRITABLE);
  (void)status;
  if (s != NULL && what != WRITABLE)
    s->read_busy = s->both = false;
  int result = wait_status(L);
  if (s == NULL)
    return stream_fail(L, s, result < 0 ? result : -ECANCELED, "wait");
  if (result < 0)
    return stream_fail(L, s, result, "wait");
  if ((ctx & IN_LINE) != 0) {
    pass_turn(s);
    if (outbox_pending(s) < HIGH_WATER || is_writable(s))
      return ready_push(L, WRITABLE);
  }
  return try_stream(L, s, what);
}


static int l_stream_wait(lua_State *L) {
  const box *b = stream_box(L);
  unsigned what = ready_check(L, WHAT);
  ready_limit(L, LIMIT, b->stream != NULL ? b->stream->timeout : 0);
  wait_enter(L, "wait");
  stream *s = b->stream; /* a finalizer may have closed it */
  if (s == NULL)
    return stream_fail(L, NULL, -EBADF, "wait");
  if (what == WRITABLE && s->relayed)
    return luaL_error(L, "this stream is being relayed (EBUSY)");
  if (what != WRITABLE)
    stream_check_reader(L, s);
  if (!wait_spent(L))
    return try_stream(L, s, what);
  s->read_busy |= what != WRITABLE;
  return wait_yield(L, (lua_KContext)what, stream_k);
}


const luaL_Reg stream_ready_methods[] = {{"wait", l_stream_wait}, {NULL, NULL}};


/*
** datagram:wait(what?, timeout?) : "r" | "w" | "rw" | nil, error
*/

static int datagram_k(lua_State *L, int status, lua_KContext ctx);


static unsigned look_at_datagram(const datagram *d, unsigned what) {
  unsigned ready = 0;
  if (datagram_first(d) != NULL || d->recv_error != 0 || d->ended)
    ready |= READABLE;
  if (!datagram_blocked(d, NULL))
    ready |= WRITABLE;
  return ready & what;
}


static int await_datagram(lua_State *L, datagram *d, unsigned what) {
  waiting how = {"wait", ready_deadline(L, LIMIT), d->transport->outside};
  if (what == WRITABLE)
    return wait_park(L, &d->writers, &how, WRITABLE, datagram_k);
  if (!d->receiving) {
    int status = d->transport->recv_start(d);
    if (status < 0)
      return datagram_fail(L, d, status, "wait");
    d->receiving = true;
  }
  d->both |= what != READABLE;
  return wait_park(L, &d->readers, &how, (lua_KContext)what, datagram_k);
}


/* Who was woken for a message and only looks wakes the next one. */
static int try_datagram(lua_State *L, datagram *d, unsigned what) {
  unsigned ready = look_at_datagram(d, what);
  if (ready == 0)
    return await_datagram(L, d, what);
  if ((ready & READABLE) != 0)
    wait_wake(&d->readers, 0);
  return ready_push(L, ready);
}


static int datagram_k(lua_State *L, int status, lua_KContext ctx) {
  datagram *d = ((datagram_box *)lua_touserdata(L, 1))->datagram;
  int result = wait_status(L);
  (void)status;
  if (d == NULL)
    return datagram_fail(L, d, result < 0 ? result : -ECANCELED, "wait");
  if (result < 0)
    return datagram_fail(L, d, result, "wait");
  return try_datagram(L, d, (unsigned)ctx);
}


/* What has gathered goes out first: that tells whether there is room. */
static int l_datagram_wait(lua_State *L) {
  const datagram_box *b = datagram_box_of(L);
  unsigned what = ready_check(L, WHAT);
  ready_limit(L, LIMIT, b->datagram != NULL ? b->datagram->timeout : 0);
  wait_enter(L, "wait");
  datagram *d = b->datagram;
  if (d == NULL)
    return datagram_fail(L, NULL, -EBADF, "wait");
  if (wait_spent(L))
    return wait_yield(L, (lua_KContext)what, datagram_k);
  if ((what & WRITABLE) != 0)
    datagram_flush(d);
  return try_datagram(L, d, what);
}


const luaL_Reg datagram_ready_methods[] = {{"wait", l_datagram_wait},
                                           {NULL, NULL}};


/*
** net.wait(fd, what?, timeout?) : "r" | "w" | "rw" | nil, error
*/

#define CLASS "neap.observer"

static int descriptor_k(lua_State *L, int status, lua_KContext ctx);


/* What waits for it: on the stack of wait. */
typedef struct observer {
  attention attention;
  waitq waiter;
  int ready; /* or -EBADF */
} observer;


static void on_done(attention *a, int ready) {
  observer *w = a->owner;
  w->ready = ready;
  wait_wake(&w->waiter, 0);
}


static int l_close(lua_State *L) {
  observer *w = luaL_checkudata(L, 1, CLASS);
  host *h = host_of(L);
  h->world->net->unattend(h, &w->attention);
  return 0;
}


static bool has_fields(lua_State *L, int index) {
  if (lua_istable(L, index))
    return true;
  if (!lua_isuserdata(L, index) || !luaL_getmetafield(L, index, "__index"))
    return false;
  lua_pop(L, 1);
  return true;
}


/* Push its method; false, and no matter what else, if there is none.  A socket of ours
 * raises an error of its own for what it has not, so its class's methods are asked. */
static bool push_getfd(lua_State *L, int index) {
  if (!lua_isuserdata(L, index) ||
      luaL_getmetafield(L, index, "methods") == LUA_TNIL)
    lua_pushvalue(L, index);
  if (!has_fields(L, -1) || lua_getfield(L, -1, "getfd") == LUA_TNIL)
    return false;
  lua_remove(L, -2);
  return true;
}


/* Push what it says by its method; false if there is none. */
static bool ask_descriptor(lua_State *L, int index) {
  if (!push_getfd(L, index))
    return false;
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  return true;
}


/* Of a number, a file, or an object that tells it as LuaSocket's do; -1: closed. */
static int check_descriptor(lua_State *L) {
  const luaL_Stream *file = luaL_testudata(L, 1, LUA_FILEHANDLE);
  if (file != NULL)
    return file->closef != NULL ? fileno(file->f) : -1;
  if (lua_type(L, 1) == LUA_TNUMBER)
    lua_pushinteger(L, luaL_checkinteger(L, 1));
  else if (!ask_descriptor(L, 1))
    luaL_typeerror(L, 1, "descriptor, file or object with getfd()");
  int is_integer;
  lua_Integer fd = lua_tointegerx(L, -1, &is_integer);
  luaL_argcheck(L, is_integer, 1, "'getfd' did not give an integer");
  lua_pop(L, 1);
  return fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
}


static int fail_descriptor(lua_State *L, int status) {
  int fd = (int)lua_tointeger(L, 1);
  const char *where = fd >= 0 ? lua_pushfstring(L, "fd:%d", fd) : NULL;
  return fail(L, status, "wait", where);
}


static int await_descriptor(lua_State *L, int fd, unsigned what) {
  waiting how = {"wait", ready_deadline(L, LIMIT), true};
  host *h = host_of(L);
  observer *w = lua_newuserdatauv(L, sizeof *w, 0);
  attention a = {.fd = fd, .events = what, .done = on_done, .owner = w};
  *w = (observer){.attention = a};
  luaL_setmetatable(L, CLASS);
  lua_toclose(L, OBSERVER);
  int status = h->world->net->attend(h, &w->attention);
  if (status < 0)
    return fail_descriptor(L, status);
  return wait_park(L, &w->waiter, &how, (lua_KContext)what, descriptor_k);
}


static int try_descriptor(lua_State *L, unsigned what) {
  host *h = host_of(L);
  int fd = (int)lua_tointeger(L, 1);
  int ready = fd >= 0 ? h->world->net->look(h, fd, what) : -EBADF;
  if (ready < 0)
    return fail_descriptor(L, ready);
  return ready > 0 ? ready_push(L, (unsigned)ready)
                   : await_descriptor(L, fd, what);
}


static int descriptor_k(lua_State *L, int status, lua_KContext ctx) {
  const observer *w = lua_touserdata(L, OBSERVER);
  int result = wait_status(L);
  (void)status;
  if (result < 0)
    return fail_descriptor(L, result);
  if (w == NULL)
    return try_descriptor(L, (unsigned)ctx);
  return w->ready < 0 ? fail_descriptor(L, w->ready)
                      : ready_push(L, (unsigned)w->ready);
}


int wait_lua(lua_State *L) {
  unsigned what = ready_check(L, WHAT);
  ready_limit(L, LIMIT, 0);
  lua_pushinteger(L, check_descriptor(L));
  lua_replace(L, 1);
  wait_enter(L, "wait");
  if (wait_spent(L))
    return wait_yield(L, (lua_KContext)what, descriptor_k);
  return try_descriptor(L, what);
}


/*
** quiet(stream) : what arrives stays outside until somebody reads
*/

int quiet_lua(lua_State *L) {
  stream *s = stream_box(L)->stream;
  if (s != NULL)
    stream_quiet(s);
  return 0;
}


void ready_open(lua_State *L) {
  class_open_closing(L, CLASS, l_close);
}
