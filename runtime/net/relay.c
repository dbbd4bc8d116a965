/*
** relay: bytes both ways between two streams, without becoming Lua strings.
**
** What each side has read already, or not yet sent, goes out first; then the
** backend moves bytes between the descriptors until both directions have
** ended.  Where it cannot, as with mem:, two tasks pump from the start, one a
** direction: they hold no byte while they wait, so ending them loses none.
*/

#include <errno.h>

#include "host/class.h"
#include "net/functions.h"
#include "net/inbox.h"
#include "net/outbox.h"
#include "net/relay.h"
#include "net/stream_methods.h"
#include "sched/world.h"

#define CLASS "neap.relay"

enum { A = 1, B, RELAYING };

enum { EMPTYING, MOVING };

typedef struct relaying {
  host *host;
  struct relay *relay; /* the backend's; NULL: not begun, or over */
  stream *ends[2];     /* NULL once let go of */
  waitq waiter;
  uint64_t counts[2]; /* what we moved ourselves: a to b, b to a */
  bool done;
  bool handed; /* to Lua, whose tasks pump: not to be closed yet */
  bool failed; /* a pump has told so */
  int status;  /* of a target that took no more */
} relaying;


static void on_done(void *owner) {
  relaying *r = owner;
  r->done = true;
  wait_wake(&r->waiter, 0);
}


static void hold(relaying *r) {
  for (int i = 0; i < 2; i++) {
    stream_extra(r->ends[i])->relaying = r;
    r->ends[i]->relayed = true;
  }
}


/* Stop, and give the streams back. */
static void let_go(relaying *r) {
  if (r->relay != NULL)
    r->host->world->net->relay_stop(r->relay);
  r->relay = NULL;
  for (int i = 0; i < 2; i++) {
    if (r->ends[i] != NULL)
      r->ends[i]->relayed = false;
    r->ends[i] = NULL;
  }
}


void relay_interrupt(relaying *r) {
  uint64_t more[2] = {0, 0};
  if (r->relay != NULL)
    r->host->world->net->relay_result(r->relay, more);
  r->counts[0] += more[0];
  r->counts[1] += more[1];
  for (int i = 0; i < 2; i++) {
    wait_wake_all(&r->ends[i]->writers, 0);
    wait_wake_all(&r->ends[i]->readers, 0);
    r->ends[i]->read_busy = false;
  }
  let_go(r);
  wait_wake(&r->waiter, -ECANCELED);
}


const waitq *relay_waiter(const relaying *r) {
  return &r->waiter;
}


/* The first time it is the end of relay() that closes what it hands out. */
static int l_close(lua_State *L) {
  relaying *r = luaL_checkudata(L, 1, CLASS);
  if (!r->handed)
    let_go(r);
  r->handed = false;
  return 0;
}


/* Hand what `from` holds to `to`; returns how much.  The bytes are taken out
 * first: the two may be the ends of one pair, and `from` receive them again. */
static uint64_t forward(stream *from, stream *to) {
  inbox in = from->in;
  uint32_t n = inbox_size(&in);
  from->in = (inbox){.bytes = NULL};
  if (n == 0) {
    inbox_clear(&in);
    return 0;
  }
  struct iovec v[2] = {{NULL, 0}, {(char *)inbox_bytes(&in), n}};
  outbox_send(to, v, 1, NULL, NULL);
  inbox_clear(&in);
  return n;
}


/* From now on what arrives is the backend's, or a pump's. */
static void stop_reading(stream *s) {
  if (s->reading)
    s->transport->stop_read(s);
  s->reading = false;
}


static int push_counts(lua_State *L, const relaying *r) {
  lua_pushinteger(L, (lua_Integer)r->counts[0]);
  lua_pushinteger(L, (lua_Integer)r->counts[1]);
  return 2;
}


static int failed(lua_State *L, relaying *r, int status) {
  stream_fail(L, NULL, status, "relay");
  let_go(r);
  return 2 + push_counts(L, r);
}


static int relay_k(lua_State *L, int status, lua_KContext phase);


/* The backend may; or else the pumps do it from the start. */
static bool joins(const relaying *r) {
  return r->ends[0]->outside && r->ends[1]->outside;
}


/* The backend takes over; false where it cannot join these two. */
static int start(lua_State *L, relaying *r) {
  static const waiting waits = {"relay", NEVER, true};
  const backend *net = r->host->world->net;
  stream *a = r->ends[0], *b = r->ends[1];
  if (joins(r))
    r->relay = net->relay(r->host, a, b, on_done, r);
  if (r->relay == NULL) {
    r->handed = true;
    lua_pushvalue(L, RELAYING);
    return 1;
  }
  return wait_park(L, &r->waiter, &waits, MOVING, relay_k);
}


/* Pumps wait for room themselves, and each direction only for its own. */
static int empty(lua_State *L, relaying *r) {
  for (int i = 0; i < 2; i++) {
    stream *s = r->ends[i];
    waiting how = {"relay", NEVER, s->outside};
    if (s->write_error != 0)
      return failed(L, r, s->write_error);
    if (outbox_pending(s) > 0 && joins(r))
      return wait_park(L, &s->writers, &how, EMPTYING, relay_k);
    if (s->read_error != 0)
      return failed(L, r, s->read_error);
  }
  return start(L, r);
}


static int finish(lua_State *L, relaying *r) {
  uint64_t more[2];
  int status = r->host->world->net->relay_result(r->relay, more);
  r->counts[0] += more[0];
  r->counts[1] += more[1];
  if (status < 0)
    return failed(L, r, status);
  let_go(r);
  return push_counts(L, r);
}


static int relay_k(lua_State *L, int status, lua_KContext phase) {
  relaying *r = lua_touserdata(L, RELAYING);
  bool cancelled = false;
  int result = status == LUA_YIELD ? wait_peek(L, &cancelled) : 0;
  if (cancelled) {
    let_go(r);
    return wait_raise(L);
  }
  if (result < 0 || r->ends[0] == NULL)
    return failed(L, r, result < 0 ? result : -ECANCELED);
  if (phase == EMPTYING)
    return empty(L, r);
  static const waiting waits = {"relay", NEVER, true};
  if (!r->done)
    return wait_park(L, &r->waiter, &waits, MOVING, relay_k);
  return finish(L, r);
}


/*
** relay(a, b) : bytes a to b, b to a | nil, error, bytes, bytes
**             | relaying, for which two tasks are to pump, and which is to be
**               closed behind them
*/

/* Nobody else may read or write these two meanwhile. */
static void check_end(lua_State *L, stream *s) {
  stream_check_reader(L, s);
  if (s->called || !wait_idle(&s->turns))
    luaL_error(L, "another task writes to this stream (EBUSY)");
}


int relay_lua(lua_State *L) {
  box *a = luaL_checkudata(L, A, STREAM_CLASS);
  box *b = luaL_checkudata(L, B, STREAM_CLASS);
  luaL_argcheck(L, a != b, B, "another stream expected");
  lua_settop(L, B);
  wait_enter(L, "relay");
  relaying *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (relaying){.host = host_of(L)};
  luaL_setmetatable(L, CLASS);
  lua_toclose(L, RELAYING);
  if (a->stream == NULL || b->stream == NULL) /* by a finalizer, perhaps */
    return stream_fail(L, NULL, -EBADF, "relay");
  check_end(L, a->stream);
  check_end(L, b->stream);
  r->ends[0] = a->stream;
  r->ends[1] = b->stream;
  stop_reading(a->stream);
  stop_reading(b->stream);
  r->counts[0] = forward(a->stream, b->stream);
  r->counts[1] = forward(b->stream, a->stream);
  outbox_flush(a->stream);
  outbox_flush(b->stream);
  hold(r);
  return empty(L, r);
}


/*
** pump(relaying, direction) : nothing when the bytes have ended; raises failures
*/

/* Added to the direction, as a continuation's context: it waits to read. */
enum { READING = 2 };

static int pump_k(lua_State *L, int status, lua_KContext ctx);


/* Both directions end for one reason: it is told once. */
static int pump_failed(lua_State *L, relaying *r, int status) {
  if (r->failed)
    return 0;
  r->failed = true;
  stream_fail(L, NULL, status, "relay");
  return lua_error(L);
}


static void start_reading(stream *s) {
  if (s->reading)
    return;
  s->reading = true;
  int status = s->transport->start_read(s);
  if (status < 0)
    stream_error(s, status);
}


static bool has_news(const stream *s) {
  return inbox_size(&s->in) > 0 || s->eof || s->read_error != 0;
}


/* A target that is gone by then has nothing to be told. */
static int pump_end(stream *to) {
  if (!to->shut)
    stream_shut(to);
  to->shut = true;
  return 0;
}


static int await_room(lua_State *L, stream *to, lua_KContext i) {
  waiting how = {"relay", NEVER, to->outside};
  return wait_park(L, &to->writers, &how, i, pump_k);
}


static int await_bytes(lua_State *L, stream *from, lua_KContext i) {
  waiting how = {"relay", NEVER, from->outside};
  from->want = 1;
  from->read_busy = true;
  return wait_park(L, &from->readers, &how, i + READING, pump_k);
}


static int pump(lua_State *L, relaying *r, int i) {
  stream *from = r->ends[i], *to = r->ends[1 - i];
  if (inbox_size(&from->in) > 0 && outbox_pending(to) == 0)
    r->counts[i] += forward(from, to);
  if (to->write_error != 0) {
    r->status = to->write_error; /* it may still have something to say */
    return 0;
  }
  if (outbox_pending(to) > 0)
    return await_room(L, to, i);
  if (inbox_size(&from->in) == 0 && from->read_error != 0)
    return pump_failed(L, r, from->read_error);
  if (inbox_size(&from->in) == 0 && from->eof)
    return pump_end(to);
  start_reading(from);
  if (!has_news(from))
    return await_bytes(L, from, i);
  wait_enter(L, "relay"); /* two ends of mem: can keep each other busy */
  return wait_yield(L, i, pump_k);
}


static int pump_k(lua_State *L, int status, lua_KContext ctx) {
  relaying *r = lua_touserdata(L, 1);
  int i = ctx % READING;
  bool cancelled = false;
  int result = status == LUA_YIELD ? wait_peek(L, &cancelled) : 0;
  if (ctx >= READING && r->ends[i] != NULL)
    r->ends[i]->read_busy = false;
  if (cancelled)
    return wait_raise(L);
  if (result == 0 && r->ends[i] == NULL)
    result = -ECANCELED;
  return result < 0 ? pump_failed(L, r, result) : pump(L, r, i);
}


int pump_lua(lua_State *L) {
  relaying *r = luaL_checkudata(L, 1, CLASS);
  int i = (int)luaL_checkinteger(L, 2);
  luaL_argcheck(L, i == 0 || i == 1, 2, "a direction, 0 or 1, expected");
  wait_enter(L, "relay");
  if (r->ends[i] != NULL &&
      !r->host->world->net->may_relay(r->ends[i], r->ends[1 - i]))
    return 0;
  return pump_k(L, LUA_OK, i);
}


/*
** moved(relaying) : bytes a to b, bytes b to a | and the error of a target
*/

int moved_lua(lua_State *L) {
  const relaying *r = luaL_checkudata(L, 1, CLASS);
  if (r->status == 0)
    return push_counts(L, r);
  stream_fail(L, NULL, r->status, "relay");
  int err = lua_gettop(L);
  int n = push_counts(L, r);
  lua_pushvalue(L, err);
  return n + 1;
}


void relay_open(lua_State *L) {
  class_open_closing(L, CLASS, l_close);
}
