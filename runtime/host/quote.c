#include "host/quote.h"

#include <string.h>


void quote(char out[QUOTE], const char *text, size_t n) {
  const size_t shown = 60;
  size_t length = n < shown ? n : shown;
  for (size_t i = 0; i < length; i++)
    out[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
  strcpy(out + length, n > shown ? "..." : "");
}
