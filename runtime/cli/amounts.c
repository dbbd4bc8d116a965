#include "cli/amounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>


int amount_number(const char *text, int least, int most) {
  char *end;
  long n = strtol(text, &end, 10);
  return *end != '\0' || end == text || n < least || n > most ? -1 : (int)n;
}


size_t amount_bytes(const char *text) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  unsigned long n = strtoul(text, &end, 10);
  const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
  int shift = unit != NULL ? 10 * (int)(unit - units + 1) : 0;
  bool ok = text[0] >= '0' && text[0] <= '9' && errno == 0 &&
            end[unit != NULL] == '\0' && n <= SIZE_MAX >> shift;
  return ok ? (size_t)n << shift : 0;
}


double amount_seconds(const char *text, const char **end) {
  const double most = 1e6;
  char *behind;
  double n = strtod(text, &behind);
  *end = behind;
  return behind != text && n >= 0 && n <= most ? n : -1;
}
