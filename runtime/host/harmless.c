#include "host/harmless.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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


size_t harmless_run(const char *text, size_t n, int besides) {
  size_t at = 0, length;
  while (at < n && (length = fine(text + at, n - at, besides)) > 0)
    at += length;
  return at;
}


size_t harmless_escape(const char *text, size_t n, char out[HARMLESS_ESCAPE]) {
  const unsigned char *p = (const unsigned char *)text;
  uint32_t point = 0;
  size_t length = *p < 0x80 ? 0 : decode(p, n, &point);
  if (length > 0)
    snprintf(out, HARMLESS_ESCAPE, "\\u{%x}", (unsigned)point);
  else if (*p == '\n' || *p == '\r' || *p == '\t')
    snprintf(out, HARMLESS_ESCAPE, "\\%c",
             *p == '\n'   ? 'n'
             : *p == '\r' ? 'r'
                          : 't');
  else
    snprintf(out, HARMLESS_ESCAPE, "\\x%02x", *p);
  return length > 0 ? length : 1;
}


void harmless_print(FILE *f, const char *text, size_t n, int besides) {
  char escape[HARMLESS_ESCAPE];
  while (n > 0) {
    size_t run = harmless_run(text, n, besides);
    fwrite(text, 1, run, f);
    text += run;
    n -= run;
    if (n > 0) {
      size_t used = harmless_escape(text, n, escape);
      fputs(escape, f);
      text += used;
      n -= used;
    }
  }
}


void harmless_text(FILE *f, const char *text) {
  if (text != NULL)
    harmless_print(f, text, strlen(text), HARMLESS_LINES);
}


int harmless_lua(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  int besides = HARMLESS_LINES | (lua_toboolean(L, 2) ? HARMLESS_COLOURS : 0);
  size_t run = harmless_run(text, n, besides);
  luaL_Buffer b;
  lua_settop(L, 1);
  if (run == n)
    return 1;
  luaL_buffinit(L, &b);
  while (n > 0) {
    luaL_addlstring(&b, text, run);
    text += run;
    n -= run;
    if (n > 0) {
      char *escape = luaL_prepbuffsize(&b, HARMLESS_ESCAPE);
      size_t used = harmless_escape(text, n, escape);
      luaL_addsize(&b, strlen(escape));
      text += used;
      n -= used;
      run = harmless_run(text, n, besides);
    }
  }
  luaL_pushresult(&b);
  return 1;
}
