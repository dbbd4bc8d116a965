/*
** Streams as scripts see them: the class, its close, reset and text, and the
** errors that name the stream.  The box is Lua's, the body the transport's
** (net/stream.h): here one is put into the other.
*/

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "net/inbox.h"
#include "net/layer.h"
#include "net/outbox.h"
#include "net/passing.h"
#include "net/property.h"
#include "net/ready.h"
#include "net/state.h"
#include "net/stream_methods.h"
#include "net/trace.h"
#include "sched/task.h"

/* Room for the endpoint of a peer. */
enum { PEER_TEXT = ADDRESS_TEXT + 32 };

/* Room for methods and fields.  They are a quarter of that: so few lookups meet
 * another name first. */
enum { METHODS = 128 };


const char stream_mark = 0;


void stream_push_closed(lua_State *L) {
  box *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (box){NULL, 0, host_mark(&stream_mark)};
  host_set_class(L, net_of(host_of(L))->stream_class);
}


void stream_fill(box *b, stream *s) {
  *b = (box){s, s->serial, host_mark(&stream_mark)};
  s->box = b;
  if (s->host->tested)
    sched_note_birth(s->host, s->serial);
  trace_stream(s, s->state == CONNECTING ? TRACE_CONNECT : TRACE_OPEN, 0);
}


bool stream_try_push(lua_State *L, stream *s) {
  box *b = host_box(L, STREAM_CLASS, sizeof *b, 0);
  if (b != NULL)
    stream_fill(b, s);
  else
    stream_close(s, true);
  return b != NULL;
}


void stream_push(lua_State *L, stream *s) {
  if (!stream_try_push(L, s))
    lua_error(L);
}


void stream_share(lua_State *L, int index) {
  const box *b = luaL_testudata(L, index, STREAM_CLASS);
  if (b != NULL && b->stream != NULL)
    b->stream->shared = true;
}


/* The endpoint of the peer, which an accepted stream has from nobody. */
static void print_peer(const stream *s, const address *a, char *to, size_t n) {
  char text[ADDRESS_TEXT];
  const char *scheme = s->transport->kind.scheme;
  int64_t port = address_port(a);
  if (scheme == NULL)
    scheme = s->transport->kind.name;
  if (port < 0) {
    address_print(s->host, a, text, sizeof text);
    snprintf(to, n, "%s:%s", scheme, text);
    return;
  }
  address_print_host(s->host, a, text, sizeof text);
  snprintf(to, n, strchr(text, ':') ? "%s://[%s]:%d" : "%s://%s:%d", scheme,
           text, (int)port);
}


/* As messages name it, in `text` or elsewhere; valid for as long as its body. */
static const char *describe(stream *s, char *text, size_t n) {
  address a;
  if (stream_where(s) != NULL)
    return stream_where(s);
  if (s->state == CLOSED || s->transport->remoteaddr(s, &a) < 0 ||
      a.length == 0)
    return s->transport->kind.name;
  print_peer(s, &a, text, n);
  return text;
}


const char *stream_push_where(lua_State *L, stream *s) {
  char text[PEER_TEXT];
  return lua_pushstring(L, s != NULL ? describe(s, text, sizeof text) : NULL);
}


int stream_fail(lua_State *L, stream *s, int status, const char *op) {
  luaL_checkstack(L, 8, NULL);
  const char *where = stream_push_where(L, s);
  const char *words = s != NULL ? layer_words(s, status) : NULL;
  words = lua_pushstring(L, words);
  lua_pushnil(L);
  error_push_message(L, status, op, where, words);
  return 2;
}


/*
** stream:close() : true | nil, error
*/

static int l_close(lua_State *L) {
  box *b = stream_box(L);
  stream *s = b->stream;
  if (s == NULL) {
    lua_pushboolean(L, true);
    return 1;
  }
  char text[PEER_TEXT];
  const char *where = NULL;
  outbox_flush(s);
  if (s->write_error != 0 && !s->reported)
    where = describe(s, text, sizeof text);
  int status = stream_close(s, false);
  if (status < 0)
    return fail(L, status, "close", where);
  lua_pushboolean(L, true);
  return 1;
}


/*
** stream:reset() : true
*/

static int l_reset(lua_State *L) {
  box *b = stream_box(L);
  if (b->stream != NULL)
    stream_close(b->stream, true);
  lua_pushboolean(L, true);
  return 1;
}


/*
** stream:detach() : descriptor, unread bytes | nil, error
*/

/* 0: it can be detached, as far as that is known now. */
static int detachable(const stream *s) {
  if (s->transport->detach == NULL)
    return -ENOTSUP;
  return s->state == CONNECTING ? -ENOTCONN : 0;
}


/* To push what is unread may run a finalizer, which may read. */
static stream *push_unread(lua_State *L, const box *b) {
  stream *s;
  size_t n;
  do {
    s = b->stream;
    n = inbox_size(&s->in);
    lua_settop(L, 1);
    lua_pushlstring(L, n > 0 ? inbox_bytes(&s->in) : "", n);
  } while (b->stream != NULL && inbox_size(&b->stream->in) != n);
  return b->stream;
}


static int detach_k(lua_State *L, int yielded, lua_KContext ctx) {
  const box *b = lua_touserdata(L, 1);
  stream *s = b->stream;
  int status = yielded == LUA_YIELD ? wait_status(L) : 0;
  if (s == NULL)
    return stream_fail(L, s, status < 0 ? status : -ECANCELED, "detach");
  if (s->write_error != 0) {
    s->reported = true;
    status = s->write_error;
  }
  if (status < 0)
    return stream_fail(L, s, status, "detach");
  if (s->relayed)
    return luaL_error(L, "this stream is being relayed (EBUSY)");
  if (!stream_is_out(s)) {
    const waiting how = {"detach", stream_deadline(s), s->outside};
    return wait_park(L, &s->writers, &how, ctx, detach_k);
  }
  s = push_unread(L, b);
  if (s == NULL)
    return stream_fail(L, s, -ECANCELED, "detach");
  lua_pushinteger(L, stream_detach(s));
  lua_insert(L, -2);
  return 2;
}


/* What others wait for in it ends as when it is closed. */
static int l_detach(lua_State *L) {
  stream *s = stream_box(L)->stream;
  lua_settop(L, 1);
  wait_enter(L, "detach");
  int status = s != NULL ? detachable(s) : -EBADF;
  if (status < 0)
    return stream_fail(L, s, status, "detach");
  outbox_flush(s);
  return detach_k(L, LUA_OK, 0);
}


static int l_tostring(lua_State *L) {
  box *b = stream_box(L);
  const char *where =
      b->stream != NULL ? stream_push_where(L, b->stream) : "closed";
  lua_pushfstring(L, "stream %d (%s)", (int)b->serial, where);
  return 1;
}


const luaL_Reg life_methods[] = {
    {"close", l_close}, {"reset", l_reset}, {"detach", l_detach}, {NULL, NULL}};

static const luaL_Reg *const methods[] = {
    life_methods,    read_methods,   write_methods, stream_ready_methods,
    passing_methods, option_methods, seek_methods,  NULL};

static const socket_class class = {
    .name = STREAM_CLASS,
    .close = l_close,
    .text = l_tostring,
    .fields = stream_fields,
    .room = METHODS,
    .methods = methods,
};


void stream_open(lua_State *L) {
  property_class(L, &class);
  net_of(host_of(L))->stream_class = host_class(L, STREAM_CLASS);
}
