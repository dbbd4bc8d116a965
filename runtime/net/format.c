#include "net/format.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { INT_LARGEST = 16, ALIGN_NATIVE = 8 };

/* What an item of a format is.  PADDING is aligned as the item behind it. */
enum item { VALUE, BYTES, PREFIXED, TERMINATED, PADDING, NOTHING, WRONG };

typedef struct walk {
  const char *at; /* of the format */
  size_t align;   /* the largest alignment */
  bool big;       /* of integers the high byte comes first */
} walk;


static bool is_big(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first == 0;
}


/* The number there, up to a limit that stands for all above; or otherwise. */
static size_t number(walk *w, size_t otherwise) {
  size_t n = 0;
  if (*w->at < '0' || *w->at > '9')
    return otherwise;
  for (; *w->at >= '0' && *w->at <= '9'; w->at++)
    if (n <= INT32_MAX)
      n = n * 10 + (size_t)(*w->at - '0');
  return n;
}


/* The size of an integer: 0 if it may not be. */
static size_t integer(walk *w, size_t otherwise) {
  size_t n = number(w, otherwise);
  return n <= INT_LARGEST ? n : 0;
}


/* The size of a value whose letter says it all; 0 for others. */
static size_t fixed(char letter) {
  switch (letter) {
  case 'b':
  case 'B':
  case 'x':
    return 1;
  case 'h':
  case 'H':
    return sizeof(short);
  case 'l':
  case 'L':
    return sizeof(long);
  case 'j':
  case 'J':
    return sizeof(lua_Integer);
  case 'T':
    return sizeof(size_t);
  case 'f':
    return sizeof(float);
  case 'd':
    return sizeof(double);
  case 'n':
    return sizeof(lua_Number);
  default:
    return 0;
  }
}


static enum item set(walk *w, char letter) {
  if (letter == '!')
    w->align = integer(w, ALIGN_NATIVE);
  else if (letter != ' ')
    w->big = letter == '>' || (letter == '=' && is_big());
  return w->align > 0 ? NOTHING : WRONG;
}


static enum item next(walk *w, size_t *size) {
  char letter = *w->at++;
  *size = fixed(letter);
  switch (letter) {
  case 'i':
  case 'I':
    *size = integer(w, sizeof(int));
    break;
  case 's':
    *size = integer(w, sizeof(size_t));
    return *size > 0 ? PREFIXED : WRONG;
  case 'c':
    *size = number(w, SIZE_MAX);
    return *size < SIZE_MAX ? BYTES : WRONG;
  case 'z':
    return TERMINATED;
  case 'X':
    if (*w->at == '\0' || next(w, size) == BYTES)
      return WRONG;
    return *size > 0 ? PADDING : WRONG;
  case '<':
  case '>':
  case '=':
  case '!':
  case ' ':
    return set(w, letter);
  }
  return *size > 0 ? VALUE : WRONG;
}


/* Bytes before an item at `at`; SIZE_MAX where it cannot be aligned. */
static size_t padding(const walk *w, enum item is, size_t size, size_t at) {
  size_t align = size < w->align ? size : w->align;
  if (is == BYTES || size <= 1)
    return 0;
  if ((align & (align - 1)) != 0)
    return SIZE_MAX;
  return (align - (at & (align - 1))) & (align - 1);
}


/* The length before a string; SIZE_MAX for one that nobody has. */
static size_t length(const walk *w, const char *bytes, size_t size) {
  size_t n = 0;
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)bytes[w->big ? i : size - 1 - i];
    if (n > SIZE_MAX >> 8)
      return SIZE_MAX;
    n = n << 8 | c;
  }
  return n <= INT32_MAX ? n : SIZE_MAX;
}


/* Behind the zero of a string at `at`; n + 1 when it is not there.  Only of one z
 * it is known which was searched. */
static size_t behind_zero(const char *format, const char *bytes, size_t at,
                          size_t n, size_t *seen) {
  bool one = strchr(format, 'z') == strrchr(format, 'z');
  size_t from = one && *seen > at ? *seen : at;
  const char *zero = memchr(bytes + from, '\0', n - from);
  if (zero != NULL)
    return (size_t)(zero - bytes) + 1;
  *seen = n;
  return n + 1;
}


size_t format_size(const char *format, const char *bytes, size_t n,
                   size_t *seen) {
  walk w = {format, 1, is_big()};
  size_t at = 0, size;
  while (*w.at != '\0' && at <= n) {
    enum item is = next(&w, &size);
    size_t before = is < NOTHING ? padding(&w, is, size, at) : 0;
    if (is == WRONG || before == SIZE_MAX)
      break;
    at += before;
    if (is != PADDING)
      at += size;
    if (at > n)
      break;
    if (is == TERMINATED)
      at = behind_zero(format, bytes, at, n, seen);
    size_t more = is == PREFIXED ? length(&w, bytes + at - size, size) : 0;
    if (more == SIZE_MAX)
      return size <= sizeof more ? SIZE_MAX : at;
    at += more;
  }
  return at;
}
