/*
** Requests that have come together, and are answered together.
**
** Most have no body, and most handlers return a text: between the parser and the
** handler, and between that and the stream, Lua has nothing to do then.  What
** is made of such a request, and what its answer looks like, is as request.lua and
** response.lua of lua/neap/http have it; whatever else comes, or is to be done, is
** handed to server.lua.
*/

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "host/host.h"
#include "http/http.h"
#include "net/stream_methods.h"
#include "sched/drain.h"
#include "sched/world.h"

/* The arguments, and what is made of each request. */
enum {
  PARSER = 1,
  STREAM,
  PLAN,
  HANDLER,
  NOTE,
  HEAD,
  REQUEST,
  RESPONSE,
  VALUE
};

/* The function's upvalues: the classes of both, what takes the parser's place in a request
 * that is answered, an opening, and names. */
enum { REQUESTS = 1, RESPONSES, ANSWERED, OPENING, NAMES = OPENING };

/* Names of fields, as upvalues: behind NAMES. */
enum name {
  OF_HEAD = 1,
  OF_STREAM,
  OF_PARSER,
  OF_PLAN,
  OF_RESPONSE,
  OF_REQUEST,
  OF_STATUS,
  OF_DONE,
  OF_CLOSES,
  OF_COOKIES,
  LAST_NAME = OF_COOKIES
};

static const char *const names[] = {
    [OF_HEAD] = "head",         [OF_STREAM] = "stream",
    [OF_PARSER] = "parser",     [OF_PLAN] = "plan",
    [OF_RESPONSE] = "response", [OF_REQUEST] = "request",
    [OF_STATUS] = "status",     [OF_DONE] = "done",
    [OF_CLOSES] = "closes",     [OF_COOKIES] = "cookies"};

/* How an answer begins, up to the length of its body: made anew each second. */
typedef struct opening {
  int64_t second;
  size_t size;
  char text[128];
} opening;


void http_date(char text[HTTP_DATE], int64_t seconds) {
  static const char days[][4] = {"Sun", "Mon", "Tue", "Wed",
                                 "Thu", "Fri", "Sat"};
  static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  time_t t = seconds;
  struct tm d;
  gmtime_r(&t, &d);
  snprintf(text, HTTP_DATE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
           days[d.tm_wday], (unsigned)d.tm_mday % 100, months[d.tm_mon],
           (unsigned)(d.tm_year + 1900) % 10000, (unsigned)d.tm_hour % 100,
           (unsigned)d.tm_min % 100, (unsigned)d.tm_sec % 100);
}


static opening *opening_now(lua_State *L) {
  opening *o = lua_touserdata(L, lua_upvalueindex(OPENING));
  const host *h = host_of(L);
  int64_t second = h->world->wall(h->outside) / 1000000000;
  if (o->second != second) {
    char date[HTTP_DATE];
    http_date(date, second);
    o->second = second;
    o->size = (size_t)snprintf(o->text, sizeof o->text,
                               "HTTP/1.1 200 OK\r\ndate: %s\r\n"
                               "content-type: text/plain; charset=utf-8\r\n"
                               "content-length: ",
                               date);
  }
  return o;
}


/* The value at the top becomes the table's field, and is popped. */
static void set_top(lua_State *L, int table, enum name name) {
  lua_pushvalue(L, lua_upvalueindex(NAMES + name));
  lua_insert(L, -2);
  lua_rawset(L, table);
}


static void set(lua_State *L, int table, enum name name, int index) {
  lua_pushvalue(L, lua_upvalueindex(NAMES + name));
  lua_pushvalue(L, index);
  lua_rawset(L, table);
}


static bool has(lua_State *L, int table, enum name name) {
  lua_pushvalue(L, lua_upvalueindex(NAMES + name));
  lua_rawget(L, table);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}


/* The request and the response of the head, each at its place. */
static void push_both(lua_State *L) {
  lua_createtable(L, 0, 5);
  set(L, REQUEST, OF_HEAD, HEAD);
  set(L, REQUEST, OF_STREAM, STREAM);
  set(L, REQUEST, OF_PARSER, PARSER);
  set(L, REQUEST, OF_PLAN, PLAN);
  lua_createtable(L, 0, 3);
  set(L, RESPONSE, OF_REQUEST, REQUEST);
  set(L, REQUEST, OF_RESPONSE, RESPONSE);
  lua_pushvalue(L, lua_upvalueindex(REQUESTS));
  lua_setmetatable(L, REQUEST);
  lua_pushvalue(L, lua_upvalueindex(RESPONSES));
  lua_setmetatable(L, RESPONSE);
}


/* Does all that is to be done with what the handler returned come to these bytes? */
static bool is_simple(lua_State *L) {
  return lua_type(L, VALUE) == LUA_TSTRING && !has(L, RESPONSE, OF_STATUS) &&
         !has(L, RESPONSE, OF_CLOSES) && !has(L, RESPONSE, OF_COOKIES) &&
         !sched_drains(host_of(L));
}


/* A number and the end of a head, before `end`: where they begin. */
static char *before(char *end, size_t number) {
  static const char blank[] = "\r\n\r\n";
  end -= sizeof blank - 1;
  memcpy(end, blank, sizeof blank - 1);
  do
    *--end = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return end;
}


/* False: it is left to server.lua. */
static bool send_text(lua_State *L) {
  if (!is_simple(L))
    return false;
  size_t n;
  char *text = (char *)lua_tolstring(L, VALUE, &n);
  char room[32], *end = room + sizeof room, *length = before(end, n);
  opening *o = opening_now(L);
  const struct iovec v[] = {
      {o->text, o->size}, {length, (size_t)(end - length)}, {text, n}};
  const box *b = lua_touserdata(L, STREAM);
  if (!stream_write_now(L, b->stream, v, 3))
    return false;
  lua_pushinteger(L, 200);
  set_top(L, RESPONSE, OF_STATUS);
  lua_pushinteger(L, (lua_Integer)n);
  set_top(L, RESPONSE, OF_DONE);
  return true;
}


/* The head of the next request that is like these, at its place.  False: perhaps one
 * that is not, or there is none yet. */
static bool take_next(lua_State *L) {
  http_parser *p = lua_touserdata(L, PARSER);
  lua_settop(L, NOTE);
  http_begin_head(p);
  int n =
      stream_take_there(L, lua_touserdata(L, STREAM), http_take_head, PARSER);
  lua_settop(L, n == 2 ? HEAD + 1 : NOTE + 1);
  bool plain = n == 2 && lua_toboolean(L, -1);
  lua_settop(L, HEAD);
  return plain;
}


/* What server.lua is to do. */
static int hand_over(lua_State *L, bool returned) {
  lua_pushboolean(L, returned);
  lua_insert(L, VALUE);
  return 5;
}


static int answer_k(lua_State *L, int status, lua_KContext logged);


static int call(lua_State *L, lua_KContext logged) {
  push_both(L);
  lua_pushvalue(L, HANDLER);
  lua_pushvalue(L, REQUEST);
  lua_pushvalue(L, RESPONSE);
  return lua_pcallk(L, 2, 1, NOTE, logged, answer_k);
}


/* A handler has returned, or failed. */
static int answer_k(lua_State *L, int status, lua_KContext logged) {
  for (;;) {
    if (status != LUA_OK && status != LUA_YIELD)
      return hand_over(L, false);
    if (!send_text(L))
      return hand_over(L, true);
    if (logged) {
      lua_settop(L, RESPONSE);
      lua_pushnil(L);
      return hand_over(L, true);
    }
    set(L, REQUEST, OF_PARSER, lua_upvalueindex(ANSWERED));
    if (!take_next(L))
      return 1;
    status = call(L, logged);
  }
}


/* Of a plain request's head: answer that request, and those like it which are there.  Returns the
 * head of one that is of another kind, or nil; or also the request and the response of
 * which more is to be done, whether the handler returned, and what. */
static int l_flight(lua_State *L) {
  lua_settop(L, HEAD);
  http_check_parser(L, PARSER);
  stream_box_at(L, STREAM);
  lua_getfield(L, PLAN, "log");
  bool logged = lua_toboolean(L, -1);
  lua_pop(L, 1);
  int status = call(L, logged);
  return answer_k(L, status, logged);
}


/* flight(requests, responses, over) : function(parser, stream, plan, handler, note, head);
 * of the classes of both, and what takes the parser's place in requests that are answered. */
int http_flight(lua_State *L) {
  lua_settop(L, 3);
  opening *o = lua_newuserdatauv(L, sizeof *o, 0);
  o->second = -1;
  for (int i = 1; i <= LAST_NAME; i++)
    lua_pushstring(L, names[i]);
  lua_pushcclosure(L, l_flight, NAMES + LAST_NAME);
  return 1;
}
