/*
** Bytes of strings: which stand for themselves, and which are UTF-8.
**
** Text ends with a zero, as Lua's strings do, which is no part of any character here: so
** one may look on without asking where the end is.
*/

#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What a byte that is no UTF-8 becomes, where that is asked for. */
#define TEXT_REPLACEMENT "\xef\xbf\xbd"

/* Is it ASCII that stands for itself between quotes? */
static inline bool text_is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Of the eight bytes at p, by the upper bits of their differences, which are not: that
 * is right as far as the first of them. */
static inline uint64_t text_odd(const char *p) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return (v | (v - ones * 0x20) | ((v ^ ones * '"') - ones) |
          ((v ^ ones * '\\') - ones)) &
         ones * 0x80;
}

/* The first byte that is not; or the end. */
static inline const char *text_plain_end(const char *p, const char *end) {
  for (; end - p >= 8; p += 8) {
    uint64_t odd = text_odd(p);
    if (odd == 0)
      continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return p + __builtin_ctzll(odd) / 8;
#else
    break;
#endif
  }
  while (p < end && text_is_plain((unsigned char)*p))
    p++;
  return p;
}

static inline bool text_continues(unsigned char c) {
  return (c & 0xc0) == 0x80;
}

/* How many bytes the character at p has, which is not ASCII; 0: that is no UTF-8. */
static inline size_t text_character(const char *text) {
  const unsigned char *p = (const unsigned char *)text;
  if (p[0] < 0xc2 || p[0] > 0xf4 || !text_continues(p[1]))
    return 0;
  if (p[0] < 0xe0)
    return 2;
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
      (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ||
      !text_continues(p[2]))
    return 0;
  if (p[0] < 0xf0)
    return 3;
  return text_continues(p[3]) ? 4 : 0;
}

/* The first byte that neither stands for itself nor is of a character; or the end. */
static inline const char *text_good_end(const char *p, const char *end) {
  for (;;) {
    size_t n;
    if ((unsigned char)*p < 0x80) {
      const char *next = text_plain_end(p, end);
      if ((unsigned char)*next < 0x80)
        return next;
      p = next;
    }
    n = text_character(p);
    if (n == 0)
      return p;
    p += n;
  }
}

#endif
