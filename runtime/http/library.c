/*
** The module neap.http.core: parsers, and the heads that they give.
*/

#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#include "host/arguments.h"
#include "host/class.h"
#include "host/host.h"
#include "http/http.h"
#include "net/stream_methods.h"
#include "sched/wait.h"
#include "sched/world.h"

#define PARSER "neap.http.Parser"
#define HEAD "neap.http.Head"

const char http_parser_mark = 0;


/*
** Heads
*/

http_head *http_push_head(lua_State *L, size_t fields, size_t n) {
  http_head *h =
      lua_newuserdatauv(L, sizeof *h + fields * sizeof *h->field + n, 0);
  memset(h, 0, sizeof *h);
  h->self = h;
  h->fields = (uint32_t)fields;
  h->size = (uint32_t)n;
  luaL_setmetatable(L, HEAD);
  return h;
}


http_head *http_head_at(lua_State *L, int index) {
  http_head *h = lua_touserdata(L, index);
  if (h == NULL || lua_islightuserdata(L, index) ||
      lua_rawlen(L, index) < sizeof *h || h->self != h)
    return NULL;
  return h;
}


static http_head *check_head(lua_State *L) {
  http_head *h = http_head_at(L, 1);
  return h != NULL ? h : luaL_checkudata(L, 1, HEAD);
}


static void push_span(lua_State *L, const http_head *h, const http_span *s) {
  lua_pushlstring(L, http_head_bytes(h) + s->at, s->size);
}


/* head:get(name) : string | nil */
static int l_get(lua_State *L) {
  size_t n;
  const http_head *h = check_head(L);
  const char *name = luaL_checklstring(L, 2, &n);
  for (uint32_t i = 0; i < h->fields; i++)
    if (http_is(h, &h->field[i][0], name, n)) {
      push_span(L, h, &h->field[i][1]);
      return 1;
    }
  lua_pushnil(L);
  return 1;
}


/* head:all() : names and values, in order */
static int l_all(lua_State *L) {
  const http_head *h = check_head(L);
  lua_createtable(L, (int)(2 * h->fields), 0);
  for (uint32_t i = 0; i < 2 * h->fields; i++) {
    push_span(L, h, &h->field[i / 2][i % 2]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


static const char *const framings[] = {"none", "length", "chunks", "close"};


static void push_length(lua_State *L, const http_head *h) {
  if (h->framing == BY_LENGTH)
    lua_pushinteger(L, (lua_Integer)h->length);
  else
    lua_pushnil(L);
}


static void push_status(lua_State *L, const http_head *h) {
  if (h->status != 0)
    lua_pushinteger(L, h->status);
  else
    lua_pushnil(L);
}


static void push_text(lua_State *L, const http_head *h, const http_span *s,
                      bool is) {
  if (is)
    push_span(L, h, s);
  else
    lua_pushnil(L);
}


/* Is the target a path without anything that stands for something else? */
static bool is_path(const http_head *h) {
  const char *target = http_head_bytes(h) + h->target.at;
  return h->status == 0 && h->target.size > 0 && *target == '/' &&
         memchr(target, '?', h->target.size) == NULL &&
         memchr(target, '%', h->target.size) == NULL;
}


/* What is in its first line and decides of the rest: numbers in the place of methods. */
enum part {
  METHOD = 1,
  TARGET,
  PATH,
  REASON,
  STATUS,
  VERSION,
  KEEPALIVE,
  UPGRADE,
  EXPECTS,
  FRAMING,
  LENGTH,
  LAST_PART = LENGTH
};

static const char *const parts[] = {
    [METHOD] = "method",       [TARGET] = "target",   [PATH] = "path",
    [REASON] = "reason",       [STATUS] = "status",   [VERSION] = "version",
    [KEEPALIVE] = "keepalive", [UPGRADE] = "upgrade", [EXPECTS] = "expects",
    [FRAMING] = "framing",     [LENGTH] = "length"};


static void push_part(lua_State *L, const http_head *h, enum part part) {
  switch (part) {
  case METHOD:
    push_text(L, h, &h->method, h->status == 0);
    break;
  case TARGET:
    push_text(L, h, &h->target, h->status == 0);
    break;
  case PATH:
    push_text(L, h, &h->target, is_path(h));
    break;
  case REASON:
    push_text(L, h, &h->target, h->status != 0);
    break;
  case STATUS:
    push_status(L, h);
    break;
  case VERSION:
    lua_pushstring(L, h->minor == 0 ? "1.0" : "1.1");
    break;
  case KEEPALIVE:
    lua_pushboolean(L, h->keepalive);
    break;
  case UPGRADE:
    lua_pushboolean(L, h->upgrade);
    break;
  case EXPECTS:
    lua_pushboolean(L, h->expects);
    break;
  case FRAMING:
    lua_pushstring(L, framings[h->framing]);
    break;
  case LENGTH:
    push_length(L, h);
    break;
  }
}


/* Its methods, or a part. */
static int head_index(lua_State *L) {
  if (class_method(L) && lua_type(L, -1) == LUA_TNUMBER) {
    enum part part = (enum part)lua_tointeger(L, -1);
    push_part(L, check_head(L), part);
  }
  return 1;
}


/* Behind class_open: the methods are __index's upvalue. */
static void add_parts(lua_State *L) {
  luaL_getmetatable(L, HEAD);
  lua_getfield(L, -1, "__index");
  lua_getupvalue(L, -1, 1);
  for (int i = 1; i <= LAST_PART; i++) {
    lua_pushinteger(L, i);
    lua_setfield(L, -2, parts[i]);
  }
  lua_pop(L, 3);
}


/*
** Parsers
*/

static const http_limits usual = {
    .line = 8 * 1024, .head = 64 * 1024, .fields = 100};


http_parser *http_check_parser(lua_State *L, int arg) {
  http_parser *p = host_marked(L, arg, sizeof *p, &http_parser_mark);
  return p != NULL ? p : luaL_checkudata(L, arg, PARSER);
}


static uint64_t option_seconds(lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg))
    return 0;
  uint64_t ns = 0;
  if (lua_getfield(L, arg, name) != LUA_TNIL) {
    lua_Number s = lua_tonumber(L, -1);
    if (!lua_isnumber(L, -1) || !(s > 0))
      luaL_error(L, "parser: option '%s': seconds above 0 expected", name);
    ns = s < 1e9 ? (uint64_t)(s * 1e9) + 1 : 0;
  }
  lua_pop(L, 1);
  return ns;
}


/* parser("request"|"response", {line=, head=, fields=, idle=, first=, header=, body=}) */
static int l_parser(lua_State *L) {
  static const char *const kinds[] = {"request", "response", NULL};
  static const char *const names[] = {"line",  "head",   "fields", "idle",
                                      "first", "header", "body",   NULL};
  int kind = luaL_checkoption(L, 1, NULL, kinds);
  lua_settop(L, 2);
  options_check(L, 2, names);
  http_limits l = {
      .line = (uint32_t)option_integer(L, 2, "line", 64, 1 << 20, usual.line),
      .head = (uint32_t)option_integer(L, 2, "head", 64, 1 << 24, usual.head),
      .fields =
          (uint32_t)option_integer(L, 2, "fields", 0, 10000, usual.fields),
      .idle = option_seconds(L, 2, "idle"),
      .header = option_seconds(L, 2, "header"),
      .body = option_seconds(L, 2, "body"),
  };
  l.first = option_seconds(L, 2, "first");
  if (l.first == 0)
    l.first = l.idle;
  http_parser *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (http_parser){.limits = l,
                     .kind = (uint8_t)kind,
                     .whole = true,
                     .mark = host_mark(&http_parser_mark)};
  luaL_setmetatable(L, PARSER);
  return 1;
}


/* The arguments of stream_take: the Stream first. */
static http_parser *take_by(lua_State *L, taker *take) {
  http_parser *p = http_check_parser(L, 1);
  const box *b = stream_box_at(L, 2);
  if (b->stream != NULL) /* who waits goes on by what stands in the parser */
    stream_check_reader(L, b->stream);
  lua_pushvalue(L, 1);
  lua_copy(L, 2, 1);
  lua_replace(L, 2);
  p->taking = (taking){.take = take};
  p->began = 0;
  return p;
}


/* In so many seconds; 0: whenever. */
static uint64_t late_of(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    return 0;
  const host *h = host_of(L);
  lua_Number s = luaL_checknumber(L, arg);
  uint64_t ns = s > 0 ? s < 1e9 ? (uint64_t)(s * 1e9) : UINT64_C(1) << 60 : 0;
  return h->world->now(h->outside) + ns;
}


/* parser:head(stream, to_head, seconds) : head, plain; nil at the end; nil and an error, or a
 * status and words for what is refused.  Plain is a request that has no body, and is answered
 * as most are: the connection goes on.  Seconds, if they are said, are those of all of it. */
static int l_head(lua_State *L) {
  lua_settop(L, 4);
  bool to_head = lua_toboolean(L, 3);
  uint64_t late = late_of(L, 4);
  lua_settop(L, 2);
  http_parser *p = take_by(L, http_take_head);
  luaL_argcheck(L, p->whole, 1, "a parser whose last body was read expected");
  http_begin_head(p);
  p->to_head = to_head;
  p->late = late;
  return stream_take(L);
}


/* parser:piece(stream, max) */
static int l_piece(lua_State *L) {
  lua_Integer max = luaL_optinteger(L, 3, COUNT_MAX);
  luaL_argcheck(L, max >= 1 && max <= COUNT_MAX, 3,
                "a count of bytes from 1 to 2^31-1 expected");
  lua_settop(L, 2);
  http_parser *p = take_by(L, http_take_piece);
  if (p->chunk == CHUNK_TRAILERS)
    p->at = p->looked = p->lines = 0;
  lua_pushinteger(L, max);
  return stream_take(L);
}


/* parser:pending(stream) : boolean; have bytes come that nobody has taken? */
static int l_pending(lua_State *L) {
  const box *b = stream_box_at(L, 2);
  http_check_parser(L, 1);
  lua_pushboolean(L, b->stream != NULL && inbox_size(&b->stream->in) > 0);
  return 1;
}


static int parser_index(lua_State *L) {
  if (class_method(L))
    return 1;
  const http_parser *p = http_check_parser(L, 1);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(name, "whole") == 0)
    lua_pushboolean(L, p->whole);
  else if (strcmp(name, "framing") == 0)
    lua_pushstring(L, framings[p->framing]);
  else if (strcmp(name, "remaining") == 0)
    lua_pushinteger(L, (lua_Integer)p->remaining);
  else
    lua_pushnil(L);
  return 1;
}


/*
** What a script writes
*/

/* token(text) : boolean (RFC 9110 §5.6.2) */
static int l_token(lua_State *L) {
  size_t n;
  const char *text = lua_tolstring(L, 1, &n);
  lua_pushboolean(L, lua_type(L, 1) == LUA_TSTRING && http_is_token(text, n));
  return 1;
}


/* value(text) : boolean; can it be the value of a field? */
static int l_value(lua_State *L) {
  size_t n;
  const char *text = lua_tolstring(L, 1, &n);
  lua_pushboolean(L, lua_type(L, 1) == LUA_TSTRING && http_is_text(text, n));
  return 1;
}


/* date(seconds) : string, as RFC 9110 §5.6.7 has it */
static int l_date(lua_State *L) {
  char text[HTTP_DATE];
  lua_Integer seconds = luaL_checkinteger(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds < INT64_C(253402300800), 1,
                "seconds since 1970, up to the year 9999 expected");
  http_date(text, seconds);
  lua_pushlstring(L, text, HTTP_DATE - 1);
  return 1;
}


static const luaL_Reg head_methods[] = {
    {"get", l_get}, {"all", l_all}, {NULL, NULL}};

static const luaL_Reg parser_methods[] = {
    {"head", l_head}, {"piece", l_piece}, {"pending", l_pending}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"parser", l_parser}, {"token", l_token},      {"value", l_value},
    {"date", l_date},     {"flight", http_flight}, {NULL, NULL}};


static const luaL_Reg none[] = {{NULL, NULL}};


static int open_core(lua_State *L) {
  class_open(L, HEAD, none, head_methods, head_index);
  add_parts(L);
  class_open(L, PARSER, none, parser_methods, parser_index);
  luaL_newlib(L, functions);
  lua_pushliteral(L, "neap/" NEAP_VERSION);
  lua_setfield(L, -2, "agent");
  return 1;
}


int http_open(lua_State *L) {
  host_module(L, "neap.http.core", open_core);
  return 0;
}
