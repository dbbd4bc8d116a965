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

/* The first byte that is not; or the end.  Eight at a time: of each byte the upper bit of
 * a difference says whether it is below. */
static inline const char *text_plain_end(const char *p, const char *end) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  for (; end - p >= 8; p += 8) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    uint64_t odd = v | (v - ones * 0x20) | ((v ^ ones * '"') - ones) |
                   ((v ^ ones * '\\') - ones);
    if ((odd & ones * 0x80) != 0)
      break;
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

#endif
