/*
** Reading: recv, read, lines, readuntil, readexactly, peek, unpack, chunks, recvfd.
**
** Each is a *taker* (stream_take.h), and one loop around them all waits and
** tries again, until the taker has its value.  Nothing is consumed before the
** whole call can be answered, so a timeout or a cancellation in the middle loses
** nothing.  What most calls come to needs neither: see try_first.
*/

#include <errno.h>
#include <string.h>

#include "host/arguments.h"
#include "host/error.h"
#include "host/traceback.h"
#include "net/inbox.h"
#include "net/outbox.h"
#include "net/passing.h"
#include "net/stream_methods.h"
#include "net/stream_take.h"

/* Instead of a count of results: more has arrived. */
enum { AGAIN = -1 };

/* The continuation's context: which verb, and whether failures are raised (an
 * iterator's). */
enum verb {
  RECV,
  READ,
  READUNTIL,
  PEEK,
  UNPACK,
  RECVFD,
  EXACTLY,
  STRICTLY,  /* readuntil, which takes nothing that is cut */
  FOREIGN,   /* by a taker of another folder's */
  CHUNK,     /* recv without an argument */
  LINE,      /* read "l" */
  LINE_KEPT, /* read "L" */
  LINE_CRLF, /* read("l", {crlf = true}) */
  VERBS
};
enum { RAISING = 16, VERB = RAISING - 1 };

static const char *const verb_names[VERBS] = {
    "recv",      "read", "readuntil", "peek", "unpack", "recvfd", "readexactly",
    "readuntil", "read", "recv",      "read", "read",   "read"};

static int verb_k(lua_State *L, int status, lua_KContext ctx);


/*
** The loop around the takers
*/

static int take_foreign(lua_State *L, view *v, int arg) {
  return ((const taking *)lua_touserdata(L, arg))->take(L, v, arg);
}


/* Arguments are from index 2 on.  READ's are as many as there are. */
static int take(lua_State *L, view *v, enum verb verb, int last) {
  static taker *const takers[VERBS] = {
      take_none,   take_formats, take_delimited, take_peek,    take_unpack,
      take_passed, take_exactly, take_strictly,  take_foreign, take_none,
      take_line,   take_line,    take_line};
  int arg = verb == READ ? last : verb >= LINE ? (int)(verb - LINE) : 2;
  return takers[verb](L, v, arg);
}


void stream_check_reader(lua_State *L, stream *s) {
  if (s->relayed)
    traceback_error(L, "this stream is being relayed (EBUSY)");
  if (s->read_busy)
    traceback_error(L, "another task reads this stream (EBUSY)");
}


static uint64_t deadline(lua_State *L, stream *s, enum verb verb) {
  const taking *t = verb == FOREIGN ? lua_touserdata(L, 2) : NULL;
  return t != NULL && t->deadline != 0 ? t->deadline : stream_deadline(s);
}


/* Wait until a next try makes sense; AGAIN if that is so already. */
static int await(lua_State *L, stream *s, uint32_t need, lua_KContext ctx) {
  waiting how = {verb_names[ctx & VERB], deadline(L, s, ctx & VERB),
                 s->outside};
  uint32_t before = inbox_size(&s->in);
  s->want = need;
  if (!s->reading) {
    stream_start_read(s);
    if (inbox_size(&s->in) != before || s->eof || s->read_error != 0)
      return AGAIN;
  }
  s->read_busy = true;
  return wait_park(L, &s->readers, &how, ctx, verb_k);
}


/* Raise what the verb returned as a failure, for an iterator. */
static int deliver(lua_State *L, int n, lua_KContext ctx) {
  if ((ctx & RAISING) != 0 && n == 2 && lua_isnil(L, -2) && error_is(L, -1))
    return lua_error(L);
  return n;
}


static int failed(lua_State *L, stream *s, int status, lua_KContext ctx) {
  return deliver(L, stream_fail(L, s, status, verb_names[ctx & VERB]), ctx);
}


static int wait_for_more(lua_State *L, stream *s, size_t need,
                         lua_KContext ctx) {
  if (s->read_error != 0)
    return failed(L, s, s->read_error, ctx);
  if (passing_full(s))
    return failed(L, s, -ETOOMANYREFS, ctx);
  if (need > COUNT_MAX)
    need = COUNT_MAX;
  return await(L, s, (uint32_t)need, ctx);
}


/* At the end a write that failed is told, if nobody was told before. */
static bool owes_error(const stream *s) {
  return s->eof && inbox_size(&s->in) == 0 && s->write_error != 0 &&
         !s->reported;
}


/* Push the first n bytes, and take skip more. */
static int push_first(lua_State *L, const box *b, size_t n, size_t skip) {
  stream *s = b->stream;
  lua_pushlstring(L, inbox_bytes(&s->in), n);
  if (b->stream == NULL)
    return 1;
  inbox_skip(&s->in, n + skip);
  s->want = s->in.scanned = 0;
  return 1;
}


/* What has arrived, up to a maximum: as a taker does, but without a view. */
static int recv_now(lua_State *L, const box *b, enum verb verb) {
  size_t n = inbox_size(&b->stream->in);
  if (verb == RECV) {
    size_t max = (size_t)lua_tointeger(L, 2);
    n = n < max ? n : max;
  }
  return push_first(L, b, n, 0);
}


/* A line that is there: the same.  0: it is not, or it is too long. */
static int line_now(lua_State *L, const box *b, enum verb verb) {
  const stream *s = b->stream;
  const char *bytes = inbox_bytes(&s->in);
  const char *end =
      memchr(bytes + s->in.scanned, '\n', inbox_size(&s->in) - s->in.scanned);
  if (end == NULL || end - bytes > LINE_MAX_DEFAULT)
    return 0;
  size_t keep = verb == LINE_KEPT;
  size_t cr = verb == LINE_CRLF && end > bytes && end[-1] == '\r';
  return push_first(L, b, (size_t)(end - bytes) + keep - cr, 1 - keep + cr);
}


/* What most calls come to: nothing is there yet, or what is there will do.
 * 0: neither. */
static inline int try_first(lua_State *L, const box *b, lua_KContext ctx) {
  stream *s = b->stream;
  enum verb verb = ctx & VERB;
  if (verb != RECV && verb < CHUNK)
    return 0;
  if (inbox_size(&s->in) > 0)
    return verb >= LINE ? line_now(L, b, verb) : recv_now(L, b, verb);
  return s->eof ? 0 : wait_for_more(L, s, 1, ctx);
}


/* The stream ended in the middle of what was wanted: what there is of it stays, and is
 * in the error, too. */
static int cut(lua_State *L, const box *b, lua_KContext ctx) {
  int n = failed(L, b->stream, -ENODATA, ctx);
  if (b->stream != NULL) {
    const inbox *in = &b->stream->in;
    uint32_t size = inbox_size(in);
    lua_pushlstring(L, size > 0 ? inbox_bytes(in) : "", size);
    lua_setfield(L, -2, "partial");
    lua_pushliteral(L, "the stream ended in the middle of it");
    lua_setfield(L, -2, "message");
  }
  return n;
}


static int try_once(lua_State *L, const box *b, lua_KContext ctx) {
  stream *s = b->stream;
  int first = try_first(L, b, ctx);
  if (first != 0)
    return first;
  int last = lua_gettop(L);
  size_t seen = s->in.scanned;
  if (owes_error(s)) {
    s->reported = true;
    return failed(L, s, s->write_error, ctx);
  }
  view v = {.box = b, .need = 1, .seen = &seen};
  view_look(&v);
  int result = take(L, &v, ctx & VERB, last);
  if (!view_look(&v))
    return result == TAKEN ? lua_gettop(L) - last
                           : failed(L, NULL, -ECANCELED, ctx);
  if (result == -ENODATA)
    return cut(L, b, ctx);
  if (result < 0)
    return failed(L, s, result, ctx);
  if (result == MORE) {
    lua_settop(L, last);
    s->in.scanned = (uint32_t)seen;
    return wait_for_more(L, s, v.need, ctx);
  }
  view_take(s, &v);
  return lua_gettop(L) - last;
}


static int try(lua_State *L, const box *b, lua_KContext ctx) {
  int n;
  do
    n = try_once(L, b, ctx);
  while (n == AGAIN);
  return n;
}


static int verb_k(lua_State *L, int status, lua_KContext ctx) {
  const box *b = lua_touserdata(L, 1);
  stream *s = b->stream;
  if (s != NULL)
    s->read_busy = false;
  int result = status == LUA_YIELD ? wait_to_take(L) : 0;
  if (s == NULL)
    return failed(L, s, result < 0 ? result : -ECANCELED, ctx);
  if (result < 0)
    return failed(L, s, result, ctx);
  return try(L, b, ctx);
}


/* Of its own in each verb. */
static inline int begin(lua_State *L, const box *b, lua_KContext ctx) {
  stream *s = b->stream;
  wait_enter(L, verb_names[ctx & VERB]);
  if (s == NULL)
    return failed(L, NULL, -EBADF, ctx);
  stream_check_reader(L, s);
  s->in.scanned = 0;
  if (wait_spent(L)) {
    s->read_busy = true;
    return wait_yield(L, ctx, verb_k);
  }
  int n = try_first(L, b, ctx);
  return n > 0 ? n : try(L, b, ctx);
}


/*
** The verbs
*/

static void check_max(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    return;
  lua_Integer max = luaL_checkinteger(L, arg);
  luaL_argcheck(L, max >= 1 && max <= COUNT_MAX, arg,
                "a count of bytes from 1 to 2^31-1 expected");
}


static int l_recv(lua_State *L) {
  const box *b = stream_box(L);
  if (lua_isnoneornil(L, 2))
    return begin(L, b, CHUNK);
  check_max(L, 2);
  return begin(L, b, RECV);
}


/* The only option of a table at arg, which is popped: is it set?  No table: it is
 * not. */
static bool pop_option(lua_State *L, int arg, const char *name) {
  const char *const names[] = {name, NULL};
  bool is = options_check(L, arg, names) && option_flag(L, arg, name, false);
  lua_settop(L, arg - 1);
  return is;
}


/* An empty table is no options: read's own check refuses it. */
static bool has_options(lua_State *L, int arg) {
  if (!lua_istable(L, arg))
    return false;
  lua_pushnil(L);
  bool is = lua_next(L, arg) != 0;
  lua_settop(L, arg);
  return is;
}


/* Lines may end with "\r\n" where a table behind their format says so. */
static bool check_crlf(lua_State *L) {
  int last = lua_gettop(L);
  if (last < 2 || !has_options(L, last) || !pop_option(L, last, "crlf"))
    return false;
  const char *format = luaL_optstring(L, 2, "l");
  luaL_argcheck(
      L, last <= 3 && (strcmp(format, "l") == 0 || strcmp(format, "*l") == 0),
      last, "crlf is an option of one format, 'l'");
  return true;
}


/* The formats from index 2 on; returns their number. */
static int check_formats(lua_State *L) {
  int last = lua_gettop(L);
  for (int i = last; i >= 2; i--)
    take_check_format(L, i);
  return last - 1;
}


/* The verb that reads these n formats. */
static enum verb verb_for(lua_State *L, int n) {
  if (n == 0)
    return LINE;
  if (n > 1 || lua_type(L, 2) == LUA_TNUMBER)
    return READ;
  const char *format = lua_tostring(L, 2);
  format += *format == '*';
  return *format == 'l' ? LINE : *format == 'L' ? LINE_KEPT : READ;
}


static int l_read(lua_State *L) {
  const box *b = stream_box(L);
  if (check_crlf(L))
    return begin(L, b, LINE_CRLF);
  int n = check_formats(L);
  luaL_checkstack(L, n + LUA_MINSTACK, "too many formats");
  return begin(L, b, verb_for(L, n));
}


static int l_readuntil(lua_State *L) {
  size_t n;
  const box *b = stream_box(L);
  luaL_checklstring(L, 2, &n);
  luaL_argcheck(L, n > 0, 2, "a delimiter of at least one byte expected");
  check_max(L, 3);
  lua_settop(L, 4);
  return begin(L, b, pop_option(L, 4, "strict") ? STRICTLY : READUNTIL);
}


static int l_readexactly(lua_State *L) {
  const box *b = stream_box(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0 && n <= COUNT_MAX, 2,
                "a count of bytes from 0 to 2^31-1 expected");
  lua_settop(L, 2);
  return begin(L, b, EXACTLY);
}


static int l_peek(lua_State *L) {
  const box *b = stream_box(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= HIGH_WATER, 2,
                "a count of bytes from 1 to 65536 expected");
  lua_settop(L, 2);
  return begin(L, b, PEEK);
}


static int l_unpack(lua_State *L) {
  const box *b = stream_box(L);
  luaL_checkstring(L, 2);
  check_max(L, 3);
  lua_settop(L, 3);
  return begin(L, b, UNPACK);
}


int stream_take(lua_State *L) {
  return begin(L, stream_box(L), FOREIGN);
}


static int l_recvfd(lua_State *L) {
  const box *b = stream_box(L);
  stream *s = b->stream;
  lua_Integer max = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, max >= 0 && max <= COUNT_MAX, 2,
                "a count of bytes from 0 to 2^31-1 expected");
  lua_settop(L, 2);
  if (s != NULL && !passing_begin(s))
    return passing_refuse(L, s, "recvfd");
  return begin(L, b, RECVFD);
}


/*
** for line in stream:lines(formats...) / for chunk in stream:chunks()
*/

/* The stream, upvalue 1, takes the place of what the loop passes. */
static const box *iterated(lua_State *L) {
  if (lua_gettop(L) == 0)
    lua_pushnil(L);
  lua_copy(L, lua_upvalueindex(1), 1);
  return lua_touserdata(L, 1);
}


static int l_next_formats(lua_State *L) {
  int n = (int)lua_tointeger(L, lua_upvalueindex(2));
  lua_settop(L, 1);
  luaL_checkstack(L, 2 * n + LUA_MINSTACK, "too many formats");
  for (int i = 1; i <= n; i++)
    lua_pushvalue(L, lua_upvalueindex(2 + i));
  return begin(L, iterated(L), READ | RAISING);
}


static int l_next_line(lua_State *L) {
  return begin(L, iterated(L), LINE | RAISING);
}


static int l_next_kept(lua_State *L) {
  return begin(L, iterated(L), LINE_KEPT | RAISING);
}


static int l_next_crlf(lua_State *L) {
  return begin(L, iterated(L), LINE_CRLF | RAISING);
}


static int l_lines(lua_State *L) {
  stream_box(L);
  if (check_crlf(L)) {
    lua_settop(L, 1);
    lua_pushcclosure(L, l_next_crlf, 1);
    return 1;
  }
  int n = check_formats(L);
  enum verb verb = verb_for(L, n);
  if (verb != READ) {
    lua_settop(L, 1);
    lua_pushcclosure(L, verb == LINE ? l_next_line : l_next_kept, 1);
    return 1;
  }
  luaL_argcheck(L, n <= 250, 252, "too many formats");
  lua_pushinteger(L, n);
  lua_insert(L, 2);
  lua_pushcclosure(L, l_next_formats, n + 2);
  return 1;
}


static int l_next_chunk(lua_State *L) {
  return begin(L, iterated(L), CHUNK | RAISING);
}


static int l_chunks(lua_State *L) {
  stream_box(L);
  lua_settop(L, 1);
  lua_pushcclosure(L, l_next_chunk, 1);
  return 1;
}


const luaL_Reg read_methods[] = {
    {"recv", l_recv},     {"read", l_read},     {"readuntil", l_readuntil},
    {"peek", l_peek},     {"unpack", l_unpack}, {"lines", l_lines},
    {"chunks", l_chunks}, {"recvfd", l_recvfd}, {"readexactly", l_readexactly},
    {NULL, NULL},
};
