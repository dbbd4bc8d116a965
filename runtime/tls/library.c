/*
** The module neap.tls.core.  Names, files and defaults are those of lua/neap/tls.lua
** and lua/neap/tls/sockets.lua.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "host/nearest.h"
#include "host/quote.h"
#include "host/traceback.h"
#include "net/inbox.h"
#include "net/listener.h"
#include "net/option_table.h"
#include "net/stream_methods.h"
#include "sched/world.h"
#include "tls/tls.h"

enum { HANDSHAKE = 22 }; /* the kind of the first record */


static tls_host *need(lua_State *L) {
  host *h = host_of(L);
  if (h->tls == NULL) {
    h->tls = memory_new(sizeof *h->tls);
    h->tls->host = h;
    h->tls->alarm = NEVER;
    h->tls->method = memory_sure(bio_method());
  }
  return h->tls;
}


static char *copy(lua_State *L, int index) {
  size_t n;
  const char *text = lua_tolstring(L, index, &n);
  return text != NULL ? memory_text(text, n) : NULL;
}


/*
** over(stream, context, server?, expected?, key?, endpoint?) : stream | nil, error.
** The Stream is the upper one from now on.
*/

enum { STREAM = 1, CONTEXT, SERVER, EXPECTED, KEY, ENDPOINT };


/* What the peer may have sent already is its first record: anything else was in the
 * clear, and may be anybody's. */
static bool has_plain(const stream *lower, bool server) {
  return inbox_size(&lower->in) > 0 &&
         (!server || *inbox_bytes(&lower->in) != HANDSHAKE);
}


static void name(lua_State *L, stream *s) {
  size_t n;
  const char *text = lua_tolstring(L, ENDPOINT, &n);
  const char *before = stream_where(layer_lower(s));
  if (text != NULL)
    stream_name(s, text, n);
  else if (before != NULL)
    stream_name(s, before, strlen(before));
  if (before != NULL && strncmp(before, "tcp", 3) == 0)
    memcpy(s->extra->where, "tls", 3);
}


static int l_over(lua_State *L) {
  box *b = stream_box(L);
  tls_context *c = context_check(L, CONTEXT);
  bool server = lua_toboolean(L, SERVER);
  need(L);
  stream *lower = b->stream;
  if (lower == NULL)
    return stream_fail(L, NULL, -EBADF, "starttls");
  if (lower->shut)
    return stream_fail(L, lower, -EPIPE, "starttls");
  stream_check_reader(L, lower);
  bool plain = has_plain(lower, server);
  uint64_t timeout = lower->timeout;
  stream *s = tls_new(lower, context_hold(c), server);
  if (s == NULL) {
    context_release(c);
    return luaL_error(L, "too many layers");
  }
  tls_of(s)->expected = copy(L, EXPECTED);
  tls_of(s)->key = copy(L, KEY);
  s->timeout = timeout;
  name(L, s);
  stream_fill(b, s);
  if (plain)
    session_fail(s, ERROR_TLS_PLAIN, NULL);
  layer_begin(s);
  if (plain)
    tls_fail(s, ERROR_TLS_PLAIN, NULL);
  lua_settop(L, STREAM);
  return 1;
}


/*
** handshake(stream, op) : stream | nil, error | false, name: a context is to be chosen
** for that name, by choose().  To connect is to close what fails.
*/

static int handshake_k(lua_State *L, int status, lua_KContext ctx);


static int await(lua_State *L, stream *s) {
  waiting how = {lua_tostring(L, 2), stream_deadline(s), s->outside};
  tls *t = tls_of(s);
  if (t->deadline < how.deadline)
    how.deadline = t->deadline;
  t->attended = true;
  return wait_park(L, &s->writers, &how, 0, handshake_k);
}


static int push_called(lua_State *L, stream *s) {
  tls_of(s)->asked = true;
  lua_pushboolean(L, false);
  lua_pushstring(L, tls_of(s)->expected);
  return 2;
}


static void close_failed(lua_State *L) {
  stream *s = ((box *)lua_touserdata(L, STREAM))->stream;
  if (s != NULL && strcmp(lua_tostring(L, 2), "connect") == 0)
    stream_close(s, true);
}


static int failed(lua_State *L, stream *s, int status) {
  stream_fail(L, s, status, lua_tostring(L, 2));
  close_failed(L);
  return 2;
}


static int try(lua_State *L, stream *s) {
  const tls *t = tls_of(s);
  tls_begin(s);
  if (!t->open && t->failed == 0)
    layer_start_read(s); /* if it was made quiet */
  if (t->failed != 0)
    return failed(L, s, t->failed);
  if (t->choosing && !t->chosen && !t->asked)
    return push_called(L, s);
  if (!t->open)
    return await(L, s);
  lua_pushvalue(L, STREAM);
  return 1;
}


static int handshake_k(lua_State *L, int status, lua_KContext ctx) {
  bool cancelled;
  int result = wait_peek(L, &cancelled);
  stream *s = ((box *)lua_touserdata(L, STREAM))->stream;
  (void)status, (void)ctx;
  if (s != NULL)
    tls_of(s)->attended = false;
  if (cancelled) {
    close_failed(L);
    return wait_raise(L);
  }
  if (s == NULL)
    return failed(L, NULL, result < 0 ? result : -ECANCELED);
  if (result == -ETIMEDOUT)
    tls_look_at_deadline(s);
  bool is_over = result < 0 && tls_of(s)->failed == 0;
  return is_over ? failed(L, s, result) : try(L, s);
}


static int l_handshake(lua_State *L) {
  const box *b = stream_box(L);
  luaL_checkstring(L, 2);
  bool must = lua_toboolean(L, 3); /* it is TLS, or somebody's mistake */
  lua_settop(L, 2);
  wait_enter(L, lua_tostring(L, 2));
  stream *s = b->stream;
  if (s == NULL)
    return failed(L, NULL, -EBADF);
  if (tls_is(s)) {
    tls_of(s)->attended = true;
    return try(L, s);
  }
  if (must)
    traceback_error(L, "another serve of this listener is proxied (EBUSY)");
  lua_pushvalue(L, STREAM);
  return 1;
}


/*
** choose(stream, context?, refuse?)
*/

static int l_choose(lua_State *L) {
  stream *s = stream_box(L)->stream;
  tls_context *c = lua_isnil(L, 2) ? NULL : context_check(L, 2);
  if (s != NULL && tls_is(s) && tls_of(s)->failed == 0 && tls_of(s)->choosing)
    tls_go_on(s, c, lua_toboolean(L, 3));
  return 0;
}


/*
** used(stream) : the Context, or nil
*/

static int l_used(lua_State *L) {
  stream *s = stream_box(L)->stream;
  if (s != NULL && tls_is(s))
    context_push(L, tls_of(s)->context);
  else
    lua_pushnil(L);
  return 1;
}


/*
** cover(listener, context): what it accepts speaks TLS
*/

typedef struct tls_cover {
  cover cover;
  tls_context *context;
} tls_cover;


static stream *over(cover *c, stream *lower) {
  stream *s = tls_new(lower, context_hold(((tls_cover *)c)->context), true);
  layer_begin(s);
  return s;
}


static void end_cover(cover *c) {
  context_release(((tls_cover *)c)->context);
  free(c);
}


static int l_cover(lua_State *L) {
  listener *l = listener_test(L, 1);
  tls_context *c = context_check(L, 2);
  luaL_argcheck(L, l != NULL, 1, "an open listener expected");
  need(L);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, LISTENER_CONTEXT);
  tls_cover *x = memory_new(sizeof *x);
  *x = (tls_cover){{over, end_cover}, context_hold(c)};
  l->cover = &x->cover;
  if (strncmp(l->where, "tcp", 3) == 0)
    memcpy((char *)l->where, "tls", 3);
  return 1;
}


/*
** is_option(name) : of sockets?
** unknown(name, list, set, sockets?) : a message, which says what may be meant
*/

static int l_is_option(lua_State *L) {
  lua_pushboolean(L, option_find(luaL_checkstring(L, 1)) != NULL);
  return 1;
}


static void try_all(lua_State *L, nearest *meant, bool sockets) {
  for (int i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
    nearest_try(meant, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1))
    nearest_try(meant, lua_tostring(L, -2));
  for (const option *row = option_table; sockets && row->name != NULL; row++)
    nearest_try(meant, row->name);
}


static int l_unknown(lua_State *L) {
  size_t n;
  char quoted[QUOTE];
  nearest meant = {.written = luaL_checklstring(L, 1, &n)};
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  try_all(L, &meant, lua_toboolean(L, 4));
  quote(quoted, meant.written, n);
  if (meant.name != NULL)
    lua_pushfstring(L, "unknown option '%s' (did you mean '%s'?)", quoted,
                    meant.name);
  else
    lua_pushfstring(L, "unknown option '%s'", quoted);
  return 1;
}


/*
** bare(listener, on) : the Context; while on, whoever takes what it accepts covers
** that
*/

static int l_bare(lua_State *L) {
  luaL_checkudata(L, 1, LISTENER_CLASS);
  listener *l = listener_test(L, 1);
  bool on = lua_toboolean(L, 2);
  if (l != NULL && on && l->bare)
    traceback_error(L, "another serve of this listener is proxied (EBUSY)");
  if (l != NULL)
    l->bare = on;
  lua_getiuservalue(L, 1, LISTENER_CONTEXT);
  return 1;
}


static int open_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"context", context_lua},
      {"swap", context_swap_lua},
      {"file", context_file_lua},
      {"given", context_given_lua},
      {"over", l_over},
      {"handshake", l_handshake},
      {"choose", l_choose},
      {"used", l_used},
      {"cover", l_cover},
      {"bare", l_bare},
      {"is_option", l_is_option},
      {"unknown", l_unknown},
      {"about", context_about_lua},
      {"piecewise", context_piecewise_lua},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  context_open(L);
  lua_setfield(L, -2, "Context");
  return 1;
}


int tls_open(lua_State *L) {
  host_module(L, "neap.tls.core", open_core);
  return 0;
}


void tls_close(host *h) {
  tls_host *t = h->tls;
  if (t == NULL)
    return;
  h->tls = NULL;
  BIO_meth_free(t->method);
  free(t->out);
  free(t->joined);
  free(t);
}
