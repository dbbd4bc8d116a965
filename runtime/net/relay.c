/*
** relay: bytes both ways between two streams, without becoming Lua strings.
**
** What each side has read already, or not yet sent, goes out first; then the
** backend moves bytes between the descriptors until both directions have
** ended.
*/

#include <errno.h>

#include "net/inbox.h"
#include "net/net.h"
#include "sched/world.h"

#define CLASS "neap.relay"

enum { A = 1, B, RELAYING };

enum { EMPTYING, MOVING };

typedef struct relaying {
  host *host;
  struct relay *relay; /* the backend's; NULL: not begun, or over */
  stream *ends[2];     /* NULL once let go of */
  waitq waiter;
  uint64_t counts[2];  /* what we moved ourselves: a to b, b to a */
  bool done;
} relaying;


static void on_done(void *owner) {
  relaying *r = owner;
  r->done = true;
  wait_wake(&r->waiter, 0);
}


/* Stop, and give the streams back. */
static void let_go(relaying *r) {
  if (r->relay != NULL)
    r->host->world->net->relay_stop(r->relay);
  r->relay = NULL;
  for (int i = 0; i < 2; i++) {
    if (r->ends[i] != NULL)
      r->ends[i]->relaying = NULL;
    r->ends[i] = NULL;
  }
}


void relay_interrupt(relaying *r) {
  uint64_t more[2] = {0, 0};
  if (r->relay != NULL)
    r->host->world->net->relay_result(r->relay, more);
  r->counts[0] += more[0];
  r->counts[1] += more[1];
  wait_wake_all(&r->ends[0]->writers, -ECANCELED);
  wait_wake_all(&r->ends[1]->writers, -ECANCELED);
  let_go(r);
  wait_wake(&r->waiter, -ECANCELED);
}


static int l_close(lua_State *L) {
  let_go(lua_touserdata(L, 1));
  return 0;
}


/* Hand what `from` holds to `to`; returns how much.  The bytes are taken out
 * first: the two may be the ends of one pair, and `from` receive them again. */
static uint64_t forward(stream *from, stream *to) {
  inbox in = from->in;
  uint32_t n = inbox_size(&in);
  struct iovec v[2] = {{NULL, 0}, {(char *)inbox_bytes(&in), n}};
  from->in = (inbox){NULL, 0, 0, 0};
  from->scanned = 0;
  if (n > 0)
    outbox_send(to, v, 1, NULL, NULL);
  inbox_clear(&in);
  return n;
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


/* The backend takes over; false where it cannot join these two. */
static int start(lua_State *L, relaying *r) {
  static const waiting waits = {"relay", NEVER, true};
  const backend *net = r->host->world->net;
  stream *a = r->ends[0], *b = r->ends[1];
  if (a->reading)
    a->transport->stop_read(a);
  if (b->reading)
    b->transport->stop_read(b);
  a->reading = b->reading = false;
  if (a->transport->outside && b->transport->outside)
    r->relay = net->relay(r->host, a, b, on_done, r);
  if (r->relay == NULL) {
    let_go(r);
    lua_pushboolean(L, false);
    return 1 + push_counts(L, r);
  }
  return wait_park(L, &r->waiter, &waits, MOVING, relay_k);
}


static int empty(lua_State *L, relaying *r) {
  for (int i = 0; i < 2; i++) {
    stream *s = r->ends[i];
    waiting how = {"relay", NEVER, s->transport->outside};
    if (s->write_error != 0)
      return failed(L, r, s->write_error);
    if (outbox_pending(s) > 0)
      return wait_park(L, &s->writers, &how, EMPTYING, relay_k);
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
**             | false, bytes, bytes when it must be done in Lua
*/

int relay_lua(lua_State *L) {
  box *a = luaL_checkudata(L, A, STREAM_CLASS);
  box *b = luaL_checkudata(L, B, STREAM_CLASS);
  luaL_argcheck(L, a != b, B, "another stream expected");
  lua_settop(L, B);
  wait_enter(L, "relay");
  if (a->stream == NULL || b->stream == NULL)
    return stream_fail(L, NULL, -EBADF, "relay");
  stream_check_reader(L, a->stream);
  stream_check_reader(L, b->stream);
  relaying *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (relaying){.host = host_of(L), .ends = {a->stream, b->stream}};
  luaL_setmetatable(L, CLASS);
  lua_toclose(L, RELAYING);
  r->counts[0] = forward(a->stream, b->stream);
  r->counts[1] = forward(b->stream, a->stream);
  outbox_flush(a->stream);
  outbox_flush(b->stream);
  a->stream->relaying = b->stream->relaying = r;
  return empty(L, r);
}


void relay_open(lua_State *L) {
  luaL_newmetatable(L, CLASS);
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
