#include <lauxlib.h>
#include <string.h>

#include "json/reader.h"
#include "json/text.h"


static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/* The four digits at p, or -1. */
static int32_t hex4(const char *p) {
  int32_t value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(p[i]);
    if (digit < 0)
      return -1;
    value = value << 4 | digit;
  }
  return value;
}


static char *put_character(char *out, uint32_t c) {
  if (c < 0x80) {
    *out++ = (char)c;
    return out;
  }
  if (c < 0x800) {
    *out++ = (char)(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      *out++ = (char)(0xe0 | c >> 12);
    } else {
      *out++ = (char)(0xf0 | c >> 18);
      *out++ = (char)(0x80 | (c >> 12 & 0x3f));
    }
    *out++ = (char)(0x80 | (c >> 6 & 0x3f));
  }
  *out++ = (char)(0x80 | (c & 0x3f));
  return out;
}


/* Behind \u: the character, for which another one may be needed.  Returns what is behind
 * it; NULL: wrong. */
static const char *unicode(reader *r, const char *p, char **out) {
  enum { HIGH = 0xd800, LOW = 0xdc00, BEHIND = 0xe000 };
  int32_t c = hex4(p), low;
  if (c < 0) {
    reader_wrong(r, p - 2, "four hexadecimal digits expected behind \\u");
    return NULL;
  }
  p += 4;
  if (c >= HIGH && c < LOW && p[0] == '\\' && p[1] == 'u' &&
      (low = hex4(p + 2)) >= LOW && low < BEHIND) {
    c = 0x10000 + ((c - HIGH) << 10 | (low - LOW));
    p += 6;
  }
  if (c >= HIGH && c < BEHIND) {
    if (!r->replaces) {
      reader_wrong(r, p - 6, "half of a pair of surrogates");
      return NULL;
    }
    c = 0xfffd;
  }
  *out = put_character(*out, (uint32_t)c);
  return p;
}


/* Behind the backslash. */
static const char *escape(reader *r, const char *p, char **out) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (*p == 'u')
    return unicode(r, p + 1, out);
  const char *name = *p != '\0' ? strchr(names, *p) : NULL;
  if (name == NULL) {
    reader_wrong(r, p - 1, "no escape that JSON has");
    return NULL;
  }
  *(*out)++ = values[name - names];
  return p + 1;
}


/* What neither stands for itself nor is the quote: an escape, or wrong. */
static const char *other(reader *r, const char *p, char **out) {
  if (*p == '\\')
    return escape(r, p + 1, out);
  if ((unsigned char)*p < 0x20) {
    reader_wrong(r, p, "a control character, which is escaped in a string");
    return NULL;
  }
  if (!r->replaces) {
    reader_wrong(r, p, "no UTF-8");
    return NULL;
  }
  memcpy(*out, TEXT_REPLACEMENT, strlen(TEXT_REPLACEMENT));
  *out += strlen(TEXT_REPLACEMENT);
  return p + 1;
}


static const char *closing_quote(const char *p, const char *end) {
  while (p < end && *p != '"')
    p += *p == '\\' ? 2 : 1;
  return p < end ? p : NULL;
}


/* Of n bytes in the text; what is before p stands for itself. */
static bool take_rest(reader *r, const char *begin, const char *p, size_t n) {
  luaL_Buffer b;
  size_t good = (size_t)(p - begin);
  char *out = luaL_buffinitsize(r->L, &b, r->replaces ? 3 * n : n);
  char *first = out;
  memcpy(out, begin, good);
  for (out += good; *p != '"'; out += good) {
    p = other(r, p, &out);
    if (p == NULL)
      return false;
    const char *next = text_good_end(p, r->end);
    good = (size_t)(next - p);
    memcpy(out, p, good);
    p = next;
  }
  luaL_pushresultsize(&b, (size_t)(out - first));
  r->p = p + 1;
  return true;
}


bool reader_string(reader *r) {
  const char *begin = r->p + 1;
  const char *p = text_good_end(begin, r->end);
  if (*p == '"') {
    lua_pushlstring(r->L, begin, (size_t)(p - begin));
    r->p = p + 1;
    return true;
  }
  const char *end = closing_quote(p, r->end);
  if (end == NULL)
    return reader_wrong(r, begin - 1, "a string that does not end");
  return take_rest(r, begin, p, (size_t)(end - begin));
}
