#include "host/harmless.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ESCAPE = 12 }; /* room for one, with its zero */

/* Pairs of first and last code point. */
static const uint32_t harmful[][2] = {
    {0x7f, 0x9f},        /* DEL, C1 */
    {0x61c, 0x61c},      /* Arabic letter mark */
    {0x200b, 0x200f},    /* of no width; marks of direction */
    {0x2028, 0x202e},    /* separators of lines; embeddings, overrides */
    {0x2060, 0x206f},    /* of no width; isolates */
    {0xfeff, 0xfeff},    /* of no width */
    {0xe0000, 0xe007f}}; /* tags, which are not shown */


static bool is_harmful(uint32_t point) {
  for (size_t i = 0; i < sizeof harmful / sizeof *harmful; i++)
    if (point >= harmful[i][0] && point <= harmful[i][1])
      return true;
  return false;
}


/* The length of the character of several bytes that the text begins with, and its
 * code point; or 0: it is no UTF-8, but cut, overlong, a surrogate or too
 * large. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *point) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t length = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
  if (*p < 0xc2 || *p > 0xf4 || n < length)
    return 0;
  *point = *p & (0x7fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((p[i] & 0xc0) != 0x80)
      return 0;
    *point = *point << 6 | (p[i] & 0x3fu);
  }
  bool surrogate = *point >= 0xd800 && *point <= 0xdfff;
  return *point < least[length] || *point > 0x10ffff || surrogate ? 0 : length;
}


/* The length of what sets a colour, at the beginning of the text; or 0. */
static size_t colour(const char *text, size_t n) {
  size_t i = 2;
  if (n < 3 || text[0] != '\033' || text[1] != '[')
    return 0;
  while (i < n && ((text[i] >= '0' && text[i] <= '9') || text[i] == ';'))
    i++;
  return i < n && text[i] == 'm' ? i + 1 : 0;
}


/* The length of the one thing that the text begins with, if it is fine; or 0. */
static size_t fine(const char *text, size_t n, int besides) {
  unsigned char c = (unsigned char)*text;
  uint32_t point = 0;
  if (c >= ' ' && c < 0x7f)
    return 1;
  if (c == '\n' || c == '\t')
    return (besides & HARMLESS_LINES) != 0;
  if (c == '\033' && (besides & HARMLESS_COLOURS) != 0)
    return colour(text, n);
  size_t length = c < 0x80 ? 0 : decode((const unsigned char *)text, n, &point);
  return length > 0 && is_harmful(point) ? 0 : length;
}


/* How many bytes at its beginning are fine as they are. */
static size_t run_of(const char *text, size_t n, int besides) {
  size_t at = 0, length;
  while (at < n && (length = fine(text + at, n - at, besides)) > 0)
    at += length;
  return at;
}


/* Write an escape, with a zero behind it, for what the text, of at least a byte,
 * begins with, and is not fine.  Returns how many bytes of the text it stands for. */
static size_t escape(const char *text, size_t n, char out[ESCAPE]) {
  const unsigned char *p = (const unsigned char *)text;
  uint32_t point = 0;
  size_t length = *p < 0x80 ? 0 : decode(p, n, &point);
  if (length > 0)
    snprintf(out, ESCAPE, "\\u{%x}", (unsigned)point);
  else if (*p == '\n' || *p == '\r' || *p == '\t')
    snprintf(out, ESCAPE, "\\%c", *p == '\n' ? 'n' : *p == '\r' ? 'r' : 't');
  else
    snprintf(out, ESCAPE, "\\x%02x", *p);
  return length > 0 ? length : 1;
}


void harmless_put(const char *text, size_t n, int besides,
                  void (*put)(void *to, const char *piece, size_t n),
                  void *to) {
  char instead[ESCAPE];
  while (n > 0) {
    size_t run = run_of(text, n, besides);
    if (run > 0)
      put(to, text, run);
    text += run;
    n -= run;
    if (n > 0) {
      size_t used = escape(text, n, instead);
      put(to, instead, strlen(instead));
      text += used;
      n -= used;
    }
  }
}


static void put_in_file(void *to, const char *piece, size_t n) {
  fwrite(piece, 1, n, to);
}


void harmless_print(FILE *f, const char *text, size_t n, int besides) {
  harmless_put(text, n, besides, put_in_file, f);
}


void harmless_text(FILE *f, const char *text) {
  if (text != NULL)
    harmless_print(f, text, strlen(text), HARMLESS_LINES);
}


static void put_in_buffer(void *to, const char *piece, size_t n) {
  luaL_addlstring(to, piece, n);
}


int harmless_lua(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  int besides = HARMLESS_LINES | (lua_toboolean(L, 2) ? HARMLESS_COLOURS : 0);
  luaL_Buffer b;
  lua_settop(L, 1);
  if (run_of(text, n, besides) == n)
    return 1;
  luaL_buffinit(L, &b);
  harmless_put(text, n, besides, put_in_buffer, &b);
  luaL_pushresult(&b);
  return 1;
}
