/*
** The takers of readers (stream_take.h): counts and lines, numbers as io.read has
** them, read's formats, string.unpack's, and descriptors that came along.
**
** They only look, at bytes that stay where they are, so one is tried again from
** the start when more has arrived; a search goes on where it had come to.
*/

#include "net/stream_take.h"

#include <errno.h>
#include <string.h>

#include "net/format.h"
#include "net/passing.h"
#include "net/stream_methods.h"


static size_t rest(const view *v) {
  return v->size - v->at;
}


static void push_bytes(lua_State *L, view *v, size_t n, size_t skip) {
  if (v->dry)
    lua_pushboolean(L, true);
  else
    lua_pushlstring(L, v->bytes + v->at, n);
  v->at += n + skip;
}


/* What is left at the end of the stream, nil when that is nothing. */
static int take_last(lua_State *L, view *v) {
  if (rest(v) == 0)
    lua_pushnil(L);
  else
    push_bytes(L, v, rest(v), 0);
  return TAKEN;
}


/* Nothing has arrived: recv_now takes what has. */
int take_none(lua_State *L, view *v, int arg) {
  (void)arg;
  return v->end ? take_last(L, v) : MORE;
}


static int take_count(lua_State *L, view *v, size_t n) {
  if (n == 0 && (rest(v) > 0 || v->end)) {
    if (rest(v) > 0)
      lua_pushliteral(L, "");
    else
      lua_pushnil(L);
    return TAKEN;
  }
  if (rest(v) >= n && n > 0) {
    push_bytes(L, v, n, 0);
    return TAKEN;
  }
  v->need = v->at + (n > 0 ? n : 1);
  return v->end ? take_last(L, v) : MORE;
}


static int take_all(lua_State *L, view *v) {
  if (!v->end && v->size >= COUNT_MAX)
    return -EMSGSIZE;
  if (!v->end) {
    v->need = COUNT_MAX;
    return MORE;
  }
  push_bytes(L, v, rest(v), 0);
  return TAKEN;
}


static const char *find(const char *bytes, size_t size, const char *mark,
                        size_t n) {
  return n == 1 ? memchr(bytes, *mark, size) : memmem(bytes, size, mark, n);
}


/* Up to a delimiter.  keep: how much of it belongs to the value; crlf: a "\r" before it
 * belongs to it.  What the
 * first taker of a call has searched is not searched again. */
static int take_until(lua_State *L, view *v, const char *mark, size_t n,
                      size_t keep, size_t max, bool crlf) {
  bool first = v->at == 0;
  size_t from = first ? *v->seen : v->at;
  const char *found = find(v->bytes + from, v->size - from, mark, n);
  size_t partial = rest(v) < n ? rest(v) : n - 1;
  size_t size =
      found != NULL ? (size_t)(found - v->bytes) - v->at : rest(v) - partial;
  if (size > max)
    return -EMSGSIZE;
  if (found != NULL) {
    size_t cr = crlf && size > 0 && found[-1] == '\r';
    push_bytes(L, v, size + keep - cr, n - keep + cr);
    return TAKEN;
  }
  if (v->end)
    return take_last(L, v);
  if (first)
    *v->seen = size;
  return MORE;
}


int take_line(lua_State *L, view *v, int how) {
  return take_until(L, v, "\n", 1, how == WITH_END, LINE_MAX_DEFAULT,
                    how == CRLF);
}


int take_delimited(lua_State *L, view *v, int arg) {
  size_t n;
  const char *mark = lua_tolstring(L, arg, &n);
  lua_Integer max = luaL_optinteger(L, arg + 1, LINE_MAX_DEFAULT);
  return take_until(L, v, mark, n, 0, (size_t)max, false);
}


/* What is left at the end has no delimiter behind it. */
int take_strictly(lua_State *L, view *v, int arg) {
  bool ended = v->end;
  size_t before = v->size;
  v->end = false;
  int result = take_delimited(L, v, arg);
  v->end = ended;
  if (result != MORE || !ended)
    return result;
  return before > 0 ? -ENODATA : take_last(L, v);
}


int take_exactly(lua_State *L, view *v, int arg) {
  size_t n = (size_t)lua_tointeger(L, arg);
  if (rest(v) >= n) {
    push_bytes(L, v, n, 0);
    return TAKEN;
  }
  v->need = n;
  return !v->end ? MORE : rest(v) > 0 ? -ENODATA : take_last(L, v);
}


int take_peek(lua_State *L, view *v, int arg) {
  size_t n = (size_t)lua_tointeger(L, arg);
  int result = take_count(L, v, n);
  v->at = 0;
  return result;
}


/*
** Numbers, as io.read("n") reads them: the longest prefix that could be one
*/

enum { NUMERAL_MAX = 200 };

typedef struct numeral {
  view *v;
  size_t at;
  int n;
  bool short_of; /* ran into the end of what has arrived */
  char text[NUMERAL_MAX + 1];
} numeral;


static int next_char(numeral *r) {
  if (r->at < r->v->size)
    return (unsigned char)r->v->bytes[r->at];
  r->short_of = !r->v->end;
  return -1;
}


/* One that is too long is none (liolib.c). */
static bool take_char(numeral *r) {
  if (r->n == NUMERAL_MAX) {
    r->text[0] = '\0';
    return false;
  }
  r->text[r->n++] = r->v->bytes[r->at++];
  return true;
}


static bool accept_any(numeral *r, const char *set) {
  int c = next_char(r);
  return c > 0 && strchr(set, c) != NULL && take_char(r);
}


static int accept_digits(numeral *r, bool hex) {
  const char *digits = hex ? "0123456789abcdefABCDEF" : "0123456789";
  int n = 0;
  while (accept_any(r, digits))
    n++;
  return n;
}


static void read_numeral(numeral *r) {
  bool hex = false;
  int digits = 0;
  while (next_char(r) > 0 && strchr(" \t\n\v\f\r", next_char(r)) != NULL)
    r->at++;
  accept_any(r, "+-");
  if (accept_any(r, "0")) {
    hex = accept_any(r, "xX");
    digits = !hex;
  }
  digits += accept_digits(r, hex);
  if (accept_any(r, "."))
    digits += accept_digits(r, hex);
  if (digits > 0 && accept_any(r, hex ? "pP" : "eE")) {
    accept_any(r, "+-");
    accept_digits(r, false);
  }
  next_char(r); /* a number ends where something else begins */
}


static int take_number(lua_State *L, view *v) {
  numeral r = {.v = v, .at = v->at};
  read_numeral(&r);
  if (r.short_of)
    return rest(v) > LINE_MAX_DEFAULT ? -EMSGSIZE : MORE;
  r.text[r.n] = '\0';
  v->at = r.at;
  if (lua_stringtonumber(L, r.text) == 0)
    lua_pushnil(L);
  return TAKEN;
}


/*
** read's formats
*/

static int take_format(lua_State *L, view *v, int arg) {
  if (lua_type(L, arg) == LUA_TNUMBER)
    return take_count(L, v, (size_t)lua_tointeger(L, arg));
  const char *format = lua_tostring(L, arg);
  if (*format == '*')
    format++;
  switch (*format) {
  case 'l':
    return take_line(L, v, WITHOUT_END);
  case 'L':
    return take_line(L, v, WITH_END);
  case 'n':
    return take_number(L, v);
  default:
    return take_all(L, v);
  }
}


/* All formats from index 2 to `last`; after a nil no more are tried. */
static int take_each(lua_State *L, view *v, int last) {
  for (int i = 2; i <= last; i++) {
    int result = take_format(L, v, i);
    if (result != TAKEN)
      return result;
    if (lua_isnil(L, -1) || !view_look(v))
      break;
  }
  return TAKEN;
}


/* Several are looked at before the first is pushed: that would be copied again
 * with each arrival until the last is there. */
int take_formats(lua_State *L, view *v, int last) {
  if (last > 2) {
    v->dry = true;
    int result = take_each(L, v, last);
    v->dry = false;
    v->at = 0;
    lua_settop(L, last);
    if (result != TAKEN)
      return result;
  }
  return take_each(L, v, last);
}


void take_check_format(lua_State *L, int arg) {
  if (lua_type(L, arg) == LUA_TNUMBER) {
    lua_Integer n = luaL_checkinteger(L, arg);
    luaL_argcheck(L, n >= 0 && n <= COUNT_MAX, arg,
                  "a count of bytes from 0 to 2^31-1 expected");
    return;
  }
  const char *format = luaL_checkstring(L, arg);
  format += *format == '*';
  luaL_argcheck(L, *format != '\0' && strchr("lLna", *format) != NULL, arg,
                "invalid format ('l', 'L', 'n', 'a' or a count expected)");
}


/*
** unpack
*/

/* What an error of string.unpack means, which only its text tells (lstrlib.c):
 * these bytes are no such value, or the format is wrong. */
static int unpack_failed(lua_State *L, int arg, int status) {
  const char *message = lua_tostring(L, -1);
  if (status != LUA_ERRRUN)
    lua_error(L);
  if (strstr(message, "does not fit") == NULL)
    luaL_argerror(L, arg, message);
  lua_pop(L, 1);
  return -EBADMSG;
}


/* Push the values that the first n of the bytes there are. */
static int unpack_some(lua_State *L, view *v, int arg, size_t n) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, read_methods); /* string.unpack */
  lua_pushvalue(L, arg);
  lua_pushlstring(L, v->bytes + v->at, n);
  int status = lua_pcall(L, 2, LUA_MULTRET, 0);
  if (status != LUA_OK)
    return unpack_failed(L, arg, status);
  v->at += (size_t)lua_tointeger(L, -1) - 1;
  lua_pop(L, 1);
  return TAKEN;
}


/* Tried once, when the bytes are there: each try copies them. */
int take_unpack(lua_State *L, view *v, int arg) {
  size_t max = (size_t)luaL_optinteger(L, arg + 1, LINE_MAX_DEFAULT);
  const char *format = lua_tostring(L, arg);
  size_t size = format_size(format, v->bytes, v->size, v->seen);
  if (size > max)
    return -EMSGSIZE;
  if (size <= v->size)
    return unpack_some(L, v, arg, size);
  if (v->end && v->size > 0)
    return -ENODATA;
  if (v->end)
    return take_last(L, v);
  v->need = size;
  return MORE;
}


/*
** Descriptors, and the bytes up to them
*/

int take_passed(lua_State *L, view *v, int arg) {
  const stream *s = ((box *)lua_touserdata(L, 1))->stream;
  size_t max = (size_t)luaL_optinteger(L, arg, COUNT_MAX);
  size_t n = rest(v) < max ? rest(v) : max;
  size_t distance = passing_distance(s);
  if (n == 0 && max > 0 && distance == SIZE_MAX) {
    if (!v->end)
      return MORE;
    lua_pushnil(L);
    return TAKEN;
  }
  push_bytes(L, v, distance < n ? distance : n, 0);
  if (distance <= n) {
    passing_push(L);
  } else {
    lua_newtable(L);
    lua_pushnil(L);
  }
  return TAKEN;
}


int stream_take_there(lua_State *L, const box *b, taker *take, int arg) {
  stream *s = b->stream;
  wait_enter(L, "recv");
  if (s == NULL || inbox_size(&s->in) == 0 || s->relayed || s->read_busy ||
      wait_spent(L))
    return 0;
  int last = lua_gettop(L);
  size_t seen = 0;
  view v = {.box = b, .need = 1, .seen = &seen};
  view_look(&v);
  if (take(L, &v, arg) != TAKEN)
    lua_settop(L, last);
  else if (b->stream != NULL)
    view_take(b->stream, &v);
  return lua_gettop(L) - last;
}
