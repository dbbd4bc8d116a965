#include <math.h>

#include "json/json.h"
#include "json/reader.h"

/* What is read of a number. */
typedef struct number {
  const char *begin;
  uint64_t digits; /* those of 19 at most, without the point */
  int known;       /* how many of them count: zeros in front do not */
  int exponent;    /* of ten */
  bool negative;
  bool is_float;
} number;

enum {
  DIGITS = 19,  /* that 64 bits hold, whichever they are */
  MOST = 100000 /* exponent: beyond all floats */
};


static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}


static const char *take_digits(number *n, const char *p) {
  for (; is_digit(*p); p++) {
    if (n->known < DIGITS)
      n->digits = n->digits * 10 + (uint64_t)(*p - '0');
    n->known += n->digits > 0;
  }
  return p;
}


/* Behind the e. */
static const char *take_exponent(number *n, const char *p) {
  bool negative = *p == '-';
  int exponent = 0;
  if (*p == '-' || *p == '+')
    p++;
  for (const char *begin = p; is_digit(*p) || p == begin; p++) {
    if (!is_digit(*p))
      return NULL;
    exponent = exponent < MOST ? exponent * 10 + (*p - '0') : MOST;
  }
  n->exponent += negative ? -exponent : exponent;
  return p;
}


/* Up to its end, which is returned; NULL: r->p is where a digit is lacking. */
static const char *scan(reader *r, number *n) {
  const char *p = n->begin + n->negative;
  r->p = p;
  if (!is_digit(*p))
    return NULL;
  p = take_digits(n, p);
  if (*p == '.') {
    const char *point = r->p = p + 1;
    n->is_float = true;
    p = take_digits(n, point);
    if (p == point)
      return NULL;
    if (p - point > MOST) /* strtod reads it */
      n->known = DIGITS + 1;
    n->exponent = (int)(p - point > MOST ? -MOST : point - p);
  }
  if (*p == 'e' || *p == 'E') {
    n->is_float = true;
    r->p = p + 1;
    return take_exponent(n, p + 1);
  }
  return p;
}


static bool push_integer(lua_State *L, const number *n) {
  uint64_t most = (uint64_t)LUA_MAXINTEGER + n->negative;
  if (n->known > DIGITS || n->digits > most)
    return false;
  if (n->negative && n->digits == 0)
    return false; /* which only a float knows */
  lua_pushinteger(L, (lua_Integer)(n->negative ? 0 - n->digits : n->digits));
  return true;
}


static bool push_float(reader *r, const number *n) {
  double value;
  if (n->known > DIGITS || !json_make_float(n->digits, n->exponent, &value))
    value = json_read_float(n->begin + n->negative);
  if (isinf(value))
    return reader_wrong(r, n->begin, "a number beyond all floats");
  lua_pushnumber(r->L, n->negative ? -value : value);
  return true;
}


bool reader_number(reader *r) {
  number n = {.begin = r->p, .negative = *r->p == '-'};
  const char *first = n.begin + n.negative;
  const char *end = scan(r, &n);
  if (end == NULL)
    return reader_wrong(r, r->p, "a digit expected");
  if (first[0] == '0' && is_digit(first[1]))
    return reader_wrong(r, n.begin, "a number that begins with 0");
  r->p = end;
  return (!n.is_float && push_integer(r->L, &n)) || push_float(r, &n);
}
