#include "host/utf8.h"

#include <stdint.h>
#include <string.h>


/* The first of a character that is not ASCII: how it must go on.  No overlong forms, no
 * surrogates, nothing above U+10FFFF. */
static bool begin(utf8 *u, unsigned char c) {
  if (c < 0xc2 || c > 0xf4)
    return false;
  u->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
  u->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  u->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  return true;
}


static bool go_on(utf8 *u, unsigned char c) {
  if (c < u->low || c > u->high)
    return false;
  u->left--;
  u->low = 0x80;
  u->high = 0xbf;
  return true;
}


/* The first byte at or behind p that is not ASCII; or the end. */
static const unsigned char *ascii_end(const unsigned char *p,
                                      const unsigned char *end) {
  const uint64_t upper = UINT64_C(0x8080808080808080);
  for (uint64_t v; end - p >= 8; p += 8) {
    memcpy(&v, p, sizeof v);
    if ((v & upper) != 0)
      break;
  }
  while (p < end && *p < 0x80)
    p++;
  return p;
}


bool utf8_go_on(utf8 *u, const char *bytes, size_t n) {
  const unsigned char *p = (const unsigned char *)bytes, *end = p + n;
  while (p < end) {
    if (u->left == 0) {
      p = ascii_end(p, end);
      if (p < end && !begin(u, *p++))
        return false;
    } else if (!go_on(u, *p++)) {
      return false;
    }
  }
  return true;
}


bool utf8_is(const char *bytes, size_t n) {
  utf8 u = {0};
  return utf8_go_on(&u, bytes, n) && utf8_whole(&u);
}
