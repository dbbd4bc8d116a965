#include "repl/column.h"

#include <stdbool.h>

enum { TEXT, ESCAPE, SEQUENCE, STRING, STRING_ESCAPE };


static bool within(const ranges *r, uint32_t point) {
  size_t low = 0, high = r->n;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (point > r->points[2 * middle + 1])
      low = middle + 1;
    else
      high = middle;
  }
  return low < r->n && point >= r->points[2 * low];
}


static void advance(column *c, unsigned n) {
  c->at = c->at + n > c->columns ? n : c->at + n;
}


static void character(column *c, uint32_t point) {
  if (point >= 0x80 && point < 0xa0)
    return; /* a control */
  if (point < 0x300)
    advance(c, 1);
  else if (!within(&c->none, point))
    advance(c, within(&c->wide, point) ? 2 : 1);
}


static void control(column *c, unsigned char byte) {
  unsigned last = c->columns - 1;
  if (byte == '\n' || byte == '\r')
    c->at = 0;
  else if (byte == '\b' && c->at > 0)
    c->at--;
  else if (byte == '\t' && c->at < last)
    c->at = ((c->at + 8) & ~7U) < last ? (c->at + 8) & ~7U : last;
  else if (byte == '\033')
    c->state = ESCAPE;
}


/* A byte that begins no character is shown as one, and so is what was cut. */
static void text(column *c, unsigned char byte) {
  if (c->missing > 0 && (byte & 0xc0) == 0x80) {
    c->point = c->point << 6 | (byte & 0x3fU);
    if (--c->missing == 0)
      character(c, c->point);
    return;
  }
  if (c->missing > 0)
    advance(c, 1);
  c->missing = 0;
  if (byte < ' ')
    control(c, byte);
  else if (byte >= 0xc2 && byte < 0xf5) {
    c->missing = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    c->point = byte & (0x3fU >> c->missing);
  } else if (byte != 0x7f)
    advance(c, 1);
}


static int after_escape(unsigned char byte) {
  switch (byte) {
  case '[':
    return SEQUENCE;
  case ']':
  case 'P':
  case '^':
  case '_':
  case 'X':
    return STRING;
  default:
    return byte >= ' ' && byte < '0' ? ESCAPE : TEXT;
  }
}


static void feed(column *c, unsigned char byte) {
  switch (c->state) {
  case TEXT:
    text(c, byte);
    break;
  case ESCAPE:
    c->state = after_escape(byte);
    break;
  case SEQUENCE:
    if (byte >= '@' && byte < 0x7f)
      c->state = TEXT;
    break;
  case STRING:
    c->state = byte == '\033' ? STRING_ESCAPE : byte == '\a' ? TEXT : STRING;
    break;
  default:
    c->state = TEXT;
    if (byte != '\\')
      feed(c, byte);
    break;
  }
}


size_t column_feed(column *c, const char *bytes, size_t n) {
  size_t whole = 0;
  for (size_t i = 0; i < n; i++) {
    feed(c, (unsigned char)bytes[i]);
    if (c->state == TEXT && c->missing == 0)
      whole = i + 1;
  }
  return whole;
}


void column_resize(column *c, unsigned columns) {
  c->columns = columns > 1 ? columns : 2;
  if (c->at > c->columns)
    c->at = (c->at - 1) % c->columns + 1;
}
