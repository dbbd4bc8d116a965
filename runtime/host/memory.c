#include "host/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


void *memory_sure(void *p) {
  if (p == NULL) {
    fputs("neap: out of memory\n", stderr);
    abort();
  }
  return p;
}


void *memory_new(size_t size) {
  return memory_sure(calloc(1, size));
}


void *memory_grow(void *p, size_t size) {
  return memory_sure(realloc(p, size));
}


char *memory_text(const char *s, size_t n) {
  char *copy = memory_sure(malloc(n + 1));
  memcpy(copy, s, n);
  copy[n] = '\0';
  return copy;
}
