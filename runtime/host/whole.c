#include "host/whole.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


void whole_wrong(const char *name, const char *what) {
  fprintf(stderr, "neap: %s: %s\n", name, what);
  abort();
}


static bool is_there(const void *table, size_t at) {
  void (*member)(void);
  memcpy(&member, (const char *)table + at, sizeof member);
  return member != NULL;
}


static bool is_optional(size_t at, const size_t *optional, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (optional[i] == at)
      return true;
  return false;
}


void whole_check(const void *table, size_t size, const char *name,
                 const size_t *optional, size_t n) {
  for (size_t at = 0; at < size; at += sizeof(void (*)(void))) {
    if (is_there(table, at) || is_optional(at, optional, n))
      continue;
    char what[64];
    snprintf(what, sizeof what, "member %zu must not be NULL",
             at / sizeof(void (*)(void)) + 1);
    whole_wrong(name, what);
  }
}
