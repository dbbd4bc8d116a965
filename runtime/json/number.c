/*
** Floats as text, both ways, exactly, and whatever the script's locale is.
**
** Most that are met have few digits.  A decimal m * 10^k with m below 2^53 and k up to 22
** is one exact float times or by another one, so a single rounding gives the float that
** is nearest to it.  The rest is left to the C library.
*/

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"


/* glibc's own, which is there without being made. */
static locale_t plain_locale(void) {
  return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}


double json_read_float(const char *text) {
  return strtod_l(text, NULL, plain_locale());
}


/* All are exact. */
static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

enum { POWERS = sizeof powers / sizeof powers[0] };

/* Below it each integer is a float.  Where floats are computed with more bits than they
 * have, nothing is. */
#define EXACT (FLT_EVAL_METHOD == 0 ? 9007199254740992.0 : 0.0)


bool json_make_float(uint64_t digits, int exponent, double *out) {
  double m = (double)digits;
  if (m >= EXACT || exponent <= -POWERS || exponent >= POWERS)
    return false;
  *out = exponent < 0 ? m / powers[-exponent] : m * powers[exponent];
  return true;
}


/*
** Printing
*/

size_t json_print_digits(char *out, uint64_t n) {
  char text[20];
  size_t i = sizeof text;
  do
    text[--i] = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  memcpy(out, text + i, sizeof text - i);
  return sizeof text - i;
}


/* m / 10^k, with all of its digits. */
static size_t print_decimal(char *out, uint64_t m, int k) {
  char text[JSON_FLOAT];
  size_t n = json_print_digits(text, m), places = (size_t)k, at = 0;
  if (n <= places) {
    at = places + 1 - n;
    memset(out, '0', at);
  }
  memcpy(out + at, text, n);
  n += at;
  if (places == 0)
    out[n++] = '0';
  places += places == 0;
  memmove(out + n - places + 1, out + n - places, places);
  out[n - places] = '.';
  return n + 1;
}


/* A positive one, if it is a decimal of few digits; or 0. */
static size_t print_short(char *out, double value) {
  enum { PLACES = 17 };
  for (int k = 0; k <= PLACES; k++) {
    double scaled = value * powers[k];
    if (scaled >= EXACT)
      break;
    uint64_t m = (uint64_t)(scaled + 0.5); /* the product was rounded, too */
    if (fabs(scaled - (double)m) <= scaled * DBL_EPSILON &&
        (double)m / powers[k] == value)
      return print_decimal(out, m, k);
  }
  return 0;
}


/* By as few of the digits that tell all floats apart as tell this one. */
static size_t print_long(char *out, double value) {
  locale_t theirs = uselocale(plain_locale());
  int n = 0;
  for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
    n = snprintf(out, JSON_FLOAT, "%.*g", digits, value);
    if (strtod(out, NULL) == value)
      break;
  }
  uselocale(theirs);
  if (strpbrk(out, ".e") == NULL)
    n += snprintf(out + n, JSON_FLOAT - (size_t)n, ".0");
  return (size_t)n;
}


size_t json_print_float(char out[JSON_FLOAT], double value) {
  double size = fabs(value);
  size_t sign = signbit(value) ? 1 : 0;
  out[0] = '-';
  size_t n = print_short(out + sign, size);
  return n > 0 ? sign + n : print_long(out, value);
}
