/*
** What a peer sends: frames made events (RFC 6455 §5, §7).
**
** A small message that has come as a whole is given as it lies.  Of any other the
** bytes are put aside as they come, in a buffer that is no larger than twice what has
** come, and the message is given by the call behind that: so whatever Lua does to take it
** may fail, and nothing is put aside twice.
*/

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream.h"
#include "websocket/websocket.h"

enum {
  SMALLEST = 8 * 1024, /* room of a message that is put aside */
  WHOLE = 4 * 1024     /* bytes of one that is given as it lies */
};


static int push_wrong(lua_State *L, int code, const char *words) {
  lua_pushliteral(L, "wrong");
  lua_pushinteger(L, code);
  lua_pushstring(L, words);
  return TAKEN;
}


static int push_no_text(lua_State *L) {
  return push_wrong(L, CODE_NO_TEXT, "a text that is no UTF-8");
}


static void push_kind(lua_State *L, enum opcode opcode) {
  static const char *const names[] = {
      [TEXT] = "text", [BINARY] = "binary", [PING] = "ping", [PONG] = "pong"};
  lua_pushstring(L, names[opcode]);
}


/*
** Control frames
*/

/* One that a peer may send; those up to 2999 have been given out (IANA). */
static bool is_code(int code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}


static int push_close(lua_State *L, const char *bytes, size_t n) {
  if (n == 1)
    return push_wrong(L, CODE_PROTOCOL, "half a close code");
  if (n == 0) {
    lua_pushliteral(L, "close");
    lua_pushnil(L);
    lua_pushliteral(L, "");
    return TAKEN;
  }
  const unsigned char *p = (const unsigned char *)bytes;
  int code = p[0] << 8 | p[1];
  if (!is_code(code))
    return push_wrong(L, CODE_PROTOCOL, "a close code that cannot be sent");
  if (!utf8_is(bytes + 2, n - 2))
    return push_no_text(L);
  lua_pushliteral(L, "close");
  lua_pushinteger(L, code);
  lua_pushlstring(L, bytes + 2, n - 2);
  return TAKEN;
}


static int take_control(lua_State *L, view *v, frame *f) {
  char bytes[CONTROL_MAX];
  size_t n = (size_t)f->length;
  v->need = f->size + n;
  if (v->size < v->need)
    return MORE;
  mask_copy(&f->mask, bytes, v->bytes + f->size, n);
  v->at = v->need;
  if (f->opcode == CLOSES)
    return push_close(L, bytes, n);
  push_kind(L, f->opcode);
  lua_pushlstring(L, bytes, n);
  return TAKEN;
}


/*
** Messages
*/

static bool is_text(const codec *c) {
  return c->message == TEXT && !c->compressed;
}


/* Room for n bytes more, which are allowed. */
static bool reserve(codec *c, size_t n) {
  if (c->room - c->size >= n)
    return true;
  size_t room = c->room > 0 ? c->room : SMALLEST;
  while (room - c->size < n)
    room *= 2;
  room = room < c->max ? room : (size_t)c->max;
  char *bytes = realloc(c->bytes, room);
  if (bytes == NULL)
    return false;
  c->bytes = bytes;
  c->room = room;
  return true;
}


void codec_forget(codec *c) {
  free(c->bytes);
  c->bytes = NULL;
  c->size = c->room = 0;
  c->message = CONTINUES;
  c->text = (utf8){0};
}


/* A text that is broken is told of by the next call. */
static bool copy_aside(codec *c, const char *bytes, size_t n) {
  if (!reserve(c, n))
    return false;
  char *to = c->bytes + c->size;
  mask_copy(&c->mask, to, bytes, n);
  c->size += n;
  c->left -= n;
  c->broken = is_text(c) && !utf8_go_on(&c->text, to, n);
  return true;
}


/* What is there of the frame under way, from v->at on. */
static int put_aside(lua_State *L, codec *c, view *v) {
  size_t n = v->size - v->at;
  if (n > c->left)
    n = (size_t)c->left;
  if (n == 0 && v->at == 0)
    return MORE;
  if (n > 0 && !copy_aside(c, v->bytes + v->at, n))
    return -ENOMEM;
  v->at += n;
  lua_pushboolean(L, true);
  return TAKEN;
}


/* All of it was put aside. */
static int push_message(lua_State *L, codec *c) {
  if (!utf8_whole(&c->text))
    return push_no_text(L);
  push_kind(L, c->message);
  lua_pushlstring(L, c->bytes, c->size);
  lua_pushboolean(L, c->compressed);
  codec_forget(c);
  return TAKEN;
}


/* A small message in one frame, all of which is there. */
static int take_whole(lua_State *L, view *v, frame *f) {
  char bytes[WHOLE];
  size_t n = (size_t)f->length;
  mask_copy(&f->mask, bytes, v->bytes + f->size, n);
  if (f->opcode == TEXT && !f->rsv1 && !utf8_is(bytes, n))
    return push_no_text(L);
  v->at = f->size + n;
  push_kind(L, f->opcode);
  lua_pushlstring(L, bytes, n);
  lua_pushboolean(L, f->rsv1);
  return TAKEN;
}


static int begin_frame(lua_State *L, codec *c, view *v, const frame *f) {
  size_t there = v->size - f->size;
  if (!reserve(c, there < f->length ? there : (size_t)f->length))
    return -ENOMEM;
  if (f->opcode != CONTINUES) {
    c->message = f->opcode;
    c->compressed = f->rsv1;
  }
  c->fin = f->fin;
  c->left = f->length;
  c->mask = f->mask;
  v->at = f->size;
  return put_aside(L, c, v);
}


static const char *check_order(const codec *c, const frame *f) {
  if (f->masked == c->client)
    return c->client ? "a frame that is masked" : "a frame without a mask";
  if (f->rsv1 && (!c->deflate || f->opcode == CONTINUES || f->opcode >= CLOSES))
    return "a reserved bit is set";
  if (f->opcode == CONTINUES && c->message == CONTINUES)
    return "a continuation of no message";
  if ((f->opcode == TEXT || f->opcode == BINARY) && c->message != CONTINUES)
    return "a message inside of another one";
  return NULL;
}


static int take_frame(lua_State *L, codec *c, view *v) {
  frame f;
  const char *why = NULL;
  int size = frame_read(&f, v->bytes, v->size, &why);
  if (size != 0 || v->size >= 2)
    why = why != NULL ? why : check_order(c, &f);
  if (why != NULL)
    return push_wrong(L, CODE_PROTOCOL, why);
  if (size == 0) {
    v->need = v->size < 2 ? 2 : f.size;
    return MORE;
  }
  if (f.opcode >= CLOSES)
    return take_control(L, v, &f);
  if (f.length > c->max - c->size)
    return push_wrong(L, CODE_TOO_LONG, "a message that is too long");
  if (f.fin && c->message == CONTINUES && f.length <= WHOLE &&
      v->size - f.size >= f.length)
    return take_whole(L, v, &f);
  return begin_frame(L, c, v, &f);
}


int codec_take(lua_State *L, view *v, int arg) {
  codec *c = lua_touserdata(L, arg);
  if (c->interrupted) {
    c->interrupted = false;
    lua_pushboolean(L, false);
    return TAKEN;
  }
  if (c->broken)
    return push_no_text(L);
  int result = c->left > 0                         ? put_aside(L, c, v)
               : c->message != CONTINUES && c->fin ? push_message(L, c)
                                                   : take_frame(L, c, v);
  if (result == MORE && v->end) {
    lua_pushnil(L);
    result = TAKEN;
  }
  return result;
}
