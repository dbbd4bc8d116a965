#include "json/writer.h"

#include <lauxlib.h>

#include "json/json.h"
#include "json/text.h"


void writer_open(writer *w, lua_State *L) {
  w->L = L;
  w->text = w->own;
  w->n = 0;
  w->room = sizeof w->own;
  w->max = (size_t)-1;
  w->replaces = false;
  lua_pushnil(L);
  w->slot = lua_gettop(L);
}


static void check_size(const writer *w, size_t n) {
  if (n > w->max)
    luaL_error(w->L, "encode: the text is longer than max, %I bytes",
               (LUAI_UACINT)w->max);
}


void writer_grow(writer *w, size_t n) {
  size_t room = 2 * (w->n + n);
  check_size(w, w->n);
  char *text = lua_newuserdatauv(w->L, room, 0);
  memcpy(text, w->text, w->n);
  lua_replace(w->L, w->slot);
  w->text = text;
  w->room = room;
}


void writer_push(writer *w) {
  check_size(w, w->n);
  lua_pushlstring(w->L, w->text, w->n);
}


void writer_integer(writer *w, lua_Integer value) {
  enum { ROOM = 24 };
  char *out = writer_room(w, ROOM);
  uint64_t size = (uint64_t)value;
  if (value < 0) {
    *out++ = '-';
    size = 0 - size;
    w->n++;
  }
  w->n += json_print_digits(out, size);
}


void writer_float(writer *w, double value) {
  w->n += json_print_float(writer_room(w, JSON_FLOAT), value);
}


/*
** Strings
*/

/* What is behind the backslash; u: four digits are, too. */
static char escape_of(unsigned char c) {
  static const char names[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";
  return c < 0x20 ? names[c] : (char)c;
}


static void put_escape(writer *w, unsigned char c) {
  static const char hex[] = "0123456789abcdef";
  enum { LONGEST = 6 };
  char *out = writer_room(w, LONGEST);
  out[0] = '\\';
  out[1] = escape_of(c);
  w->n += 2;
  if (out[1] == 'u') {
    memcpy(out + 2, "00", 2);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    w->n += 4;
  }
}


bool writer_string(writer *w, const char *p, size_t n) {
  const char *end = p + n;
  writer_char(w, '"');
  for (;; p++) {
    const char *next = text_good_end(p, end);
    writer_put(w, p, (size_t)(next - p));
    p = next;
    if (p == end)
      break;
    if ((unsigned char)*p < 0x80)
      put_escape(w, (unsigned char)*p);
    else if (w->replaces)
      writer_put(w, TEXT_REPLACEMENT, strlen(TEXT_REPLACEMENT));
    else
      return false;
  }
  writer_char(w, '"');
  return true;
}
