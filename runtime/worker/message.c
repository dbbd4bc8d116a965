#include "worker/message.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "worker/channel.h"
#include "worker/workshop.h"
#include "json/json.h"

/* The kinds of values, a byte before each. */
enum {
  NIL = 'n',
  TRUE = 't',
  FALSE = 'f',
  INTEGER = 'i',
  FLOAT = 'd',
  STRING = 's',
  NULL_OF_JSON = 'z',
  TABLE = '{',
  ARRAY_OF_JSON = '[',
  ERROR = 'e',
  CHANNEL = 'c',
  END = '}'
};


/*
** Encoding
*/

/* Empty it, for the next message.  What a large one needed goes back. */
static void reset(scratch *s) {
  enum { KEPT = 64 * 1024 };
  if (s->room > KEPT) {
    free(s->bytes);
    s->bytes = NULL;
    s->room = 0;
  }
  s->size = 0;
  s->channel_count = 0;
}


/* As luaL_error, with nothing left in the scratch. */
static void refuse(lua_State *L, scratch *s, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  luaL_where(L, 1);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  reset(s);
  lua_error(L);
}


/* As realloc, which frees nothing when it fails; raises then. */
static void *grow(lua_State *L, scratch *s, void *p, size_t size) {
  void *grown = realloc(p, size);
  if (grown == NULL)
    refuse(L, s, "not enough memory");
  return grown;
}


static void put(lua_State *L, scratch *s, const void *bytes, size_t n) {
  if (n > MESSAGE_LIMIT - s->size)
    refuse(L, s, "a message has at most %d MiB", MESSAGE_LIMIT >> 20);
  if (s->size + n > s->room) {
    size_t room = (s->size + n) * 2;
    s->bytes = grow(L, s, s->bytes, room);
    s->room = room;
  }
  memcpy(s->bytes + s->size, bytes, n);
  s->size += n;
}


static void put_tag(lua_State *L, scratch *s, char tag) {
  put(L, s, &tag, 1);
}


static void put_number(lua_State *L, scratch *s, int index) {
  bool whole = lua_isinteger(L, index);
  lua_Integer i = whole ? lua_tointeger(L, index) : 0;
  lua_Number d = lua_tonumber(L, index);
  put_tag(L, s, whole ? INTEGER : FLOAT);
  put(L, s, whole ? (void *)&i : (void *)&d, whole ? sizeof i : sizeof d);
}


static void put_string(lua_State *L, scratch *s, int index) {
  size_t n;
  const char *text = lua_tolstring(L, index, &n);
  uint32_t size = (uint32_t)n;
  if (n > MESSAGE_LIMIT)
    refuse(L, s, "a message has at most %d MiB", MESSAGE_LIMIT >> 20);
  put_tag(L, s, STRING);
  put(L, s, &size, sizeof size);
  put(L, s, text, n);
}


static void put_channel(lua_State *L, scratch *s, int index) {
  channel *c = channel_test(L, index);
  uint32_t at = s->channel_count;
  if (c == NULL)
    refuse(L, s, "a %s cannot be sent to another worker",
           luaL_tolstring(L, index, NULL));
  if (at == s->channel_room) {
    unsigned room = at * 2 + 4;
    s->channels = grow(L, s, s->channels, room * sizeof *s->channels);
    s->channel_room = room;
  }
  s->channels[s->channel_count++] = c;
  put_tag(L, s, CHANNEL);
  put(L, s, &at, sizeof at);
}


static void put_null(lua_State *L, scratch *s, int index) {
  if (lua_touserdata(L, index) != NULL)
    refuse(L, s, "a light userdata cannot be sent to another worker");
  put_tag(L, s, NULL_OF_JSON);
}


static void put_value(lua_State *L, scratch *s, int index, int depth);


static void put_table(lua_State *L, scratch *s, int index, int depth) {
  bool is_error = error_is(L, index), is_array = json_is_array(L, index);
  if (!is_error && !is_array && lua_getmetatable(L, index))
    refuse(L, s, "a table with a metatable cannot be sent to another worker");
  if (depth == MESSAGE_DEPTH)
    refuse(L, s,
           "a message has at most %d tables inside each other "
           "(is one in itself?)",
           MESSAGE_DEPTH);
  luaL_checkstack(L, LUA_MINSTACK, "message");
  put_tag(L, s, is_error ? ERROR : is_array ? ARRAY_OF_JSON : TABLE);
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
    int top = lua_gettop(L);
    put_value(L, s, top - 1, depth + 1);
    put_value(L, s, top, depth + 1);
  }
  put_tag(L, s, END);
}


static void put_value(lua_State *L, scratch *s, int index, int depth) {
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    put_tag(L, s, NIL);
    break;
  case LUA_TBOOLEAN:
    put_tag(L, s, lua_toboolean(L, index) ? TRUE : FALSE);
    break;
  case LUA_TNUMBER:
    put_number(L, s, index);
    break;
  case LUA_TSTRING:
    put_string(L, s, index);
    break;
  case LUA_TTABLE:
    put_table(L, s, index, depth);
    break;
  case LUA_TUSERDATA:
    put_channel(L, s, index);
    break;
  case LUA_TLIGHTUSERDATA:
    put_null(L, s, index);
    break;
  default:
    refuse(L, s, "a %s cannot be sent to another worker",
           luaL_typename(L, index));
  }
}


/* The list of channels goes from the scratch into the message, which refers to
 * them from now on: nothing can fail any more. */
static message *finish(lua_State *L, scratch *s) {
  message *m = grow(L, s, NULL, sizeof *m + s->size);
  *m = (message){.size = s->size, .channel_count = s->channel_count};
  memcpy(m->bytes, s->bytes, s->size);
  for (unsigned i = 0; i < s->channel_count; i++)
    channel_hold(s->channels[i]);
  if (s->channel_count > 0) {
    m->channels = s->channels;
    s->channels = NULL;
    s->channel_room = 0;
  }
  reset(s);
  return m;
}


message *message_encode(lua_State *L, int first) {
  scratch *s = &workshop_of(host_of(L))->scratch;
  int top = lua_gettop(L);
  reset(s);
  for (int i = first; i <= top; i++)
    put_value(L, s, i, 0);
  put_tag(L, s, END);
  return finish(L, s);
}


/*
** Decoding
*/

typedef struct cursor {
  lua_State *L;
  const message *message;
  const char *at;
} cursor;


static void get(cursor *c, void *out, size_t n) {
  memcpy(out, c->at, n);
  c->at += n;
}


static bool get_value(cursor *c);


static void get_table(cursor *c, char tag) {
  luaL_checkstack(c->L, LUA_MINSTACK, "message");
  lua_newtable(c->L);
  while (get_value(c)) {
    get_value(c);
    lua_rawset(c->L, -3);
  }
  if (tag == ERROR)
    error_adopt(c->L);
  else if (tag == ARRAY_OF_JSON)
    json_mark_array(c->L);
}


static void get_string(cursor *c) {
  uint32_t n;
  get(c, &n, sizeof n);
  lua_pushlstring(c->L, c->at, n);
  c->at += n;
}


static void get_integer(cursor *c) {
  lua_Integer i;
  get(c, &i, sizeof i);
  lua_pushinteger(c->L, i);
}


static void get_float(cursor *c) {
  lua_Number d;
  get(c, &d, sizeof d);
  lua_pushnumber(c->L, d);
}


static void get_channel(cursor *c) {
  uint32_t i;
  get(c, &i, sizeof i);
  channel_push(c->L, c->message->channels[i]);
}


/* Push the next value; false, and nothing, at the end of a list. */
static bool get_value(cursor *c) {
  char tag = *c->at++;
  switch (tag) {
  case END:
    return false;
  case NIL:
    lua_pushnil(c->L);
    break;
  case TRUE:
  case FALSE:
    lua_pushboolean(c->L, tag == TRUE);
    break;
  case INTEGER:
    get_integer(c);
    break;
  case FLOAT:
    get_float(c);
    break;
  case STRING:
    get_string(c);
    break;
  case CHANNEL:
    get_channel(c);
    break;
  case NULL_OF_JSON:
    lua_pushlightuserdata(c->L, NULL);
    break;
  default:
    get_table(c, tag);
  }
  return true;
}


int message_decode(lua_State *L, const message *m) {
  cursor c = {L, m, m->bytes};
  int n = 0;
  luaL_checkstack(L, LUA_MINSTACK, "message");
  for (; get_value(&c); n++)
    luaL_checkstack(L, LUA_MINSTACK, "message");
  return n;
}


static int decode(lua_State *L) {
  return message_decode(L, lua_touserdata(L, 1));
}


int message_take(lua_State *L, message **list) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 2, "message");
  message *m = *list;
  *list = m->next;
  m->next = NULL;
  lua_pushcfunction(L, decode);
  lua_pushlightuserdata(L, m);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    m->next = *list;
    *list = m;
    return lua_error(L);
  }
  message_free(m);
  return lua_gettop(L) - top;
}


void message_free(message *m) {
  if (m == NULL)
    return;
  for (unsigned i = 0; i < m->channel_count; i++)
    channel_drop(m->channels[i]);
  free(m->channels);
  free(m);
}


void scratch_free(scratch *s) {
  free(s->channels);
  free(s->bytes);
  *s = (scratch){0};
}
