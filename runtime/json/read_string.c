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


/* What a letter behind the backslash means; 0: nothing. */
static char meaning(char c) {
  switch (c) {
  case '"':
  case '\\':
  case '/':
    return c;
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return '\0';
  }
}


/* Behind the backslash. */
static const char *escape(reader *r, const char *p, char **out) {
  if (*p == 'u')
    return unicode(r, p + 1, out);
  char c = meaning(*p);
  if (c == '\0') {
    reader_wrong(r, p - 1, "no escape that JSON has");
    return NULL;
  }
  *(*out)++ = c;
  return p + 1;
}


/* What neither stands for itself nor is the quote, added: an escape; or wrong. */
static const char *other(reader *r, const char *p, luaL_Buffer *b) {
  enum { LONGEST = 8 };
  char *first = luaL_prepbuffsize(b, LONGEST), *out = first;
  if (*p == '\\') {
    p = escape(r, p + 1, &out);
  } else if ((unsigned char)*p < 0x20) {
    reader_wrong(r, p, "a control character, which is escaped in a string");
    return NULL;
  } else if (!r->replaces) {
    reader_wrong(r, p, "no UTF-8");
    return NULL;
  } else {
    memcpy(out, TEXT_REPLACEMENT, strlen(TEXT_REPLACEMENT));
    out += strlen(TEXT_REPLACEMENT);
    p++;
  }
  luaL_addsize(b, out - first);
  return p;
}


/* From `from` to p all stands for itself. */
static bool take_rest(reader *r, const char *from, const char *p) {
  const char *quote = from - 1;
  luaL_Buffer b;
  luaL_buffinit(r->L, &b);
  for (;;) {
    luaL_addlstring(&b, from, (size_t)(p - from));
    if (*p == '"')
      break;
    if (p == r->end)
      return reader_wrong(r, quote, "a string that does not end");
    from = other(r, p, &b);
    if (from == NULL)
      return false;
    p = text_good_end(from, r->end);
  }
  luaL_pushresult(&b);
  r->p = p + 1;
  return true;
}


bool reader_string(reader *r) {
  const char *begin = r->p + 1;
  const char *p = text_good_end(begin, r->end);
  if (*p != '"')
    return take_rest(r, begin, p);
  lua_pushlstring(r->L, begin, (size_t)(p - begin));
  r->p = p + 1;
  return true;
}
