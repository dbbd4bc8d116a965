/*
** Floats from text, exactly, and whatever the script's locale is.
**
** Most that are met have few digits.  A decimal m * 10^k with m below 2^53 and k up to 22
** is one exact float times or by another one, so a single rounding gives the float that
** is nearest to it.  The rest is left to the C library.
*/

#include "json/number.h"

#include <locale.h>
#include <stdlib.h>

#include "json/json.h"

const double number_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};


/* In glibc's own locale C, which is there without being made. */
double json_read_float(const char *text) {
  return strtod_l(text, NULL, newlocale(LC_ALL_MASK, "C", (locale_t)0));
}


bool json_make_float(uint64_t digits, int exponent, double *out) {
  double m = (double)digits;
  if (m >= NUMBER_EXACT || exponent <= -NUMBER_POWERS ||
      exponent >= NUMBER_POWERS)
    return false;
  *out =
      exponent < 0 ? m / number_powers[-exponent] : m * number_powers[exponent];
  return true;
}
