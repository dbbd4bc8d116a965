#include "host/pool.h"

#include <stdlib.h>

#include "host/memory.h"

struct pooled {
  struct pooled *next;
};


void *pool_take(pool *p, size_t size) {
  struct pooled *block = p->first;
  if (block == NULL)
    return memory_grow(NULL, size);
  p->first = block->next;
  p->count--;
  return block;
}


void pool_give(pool *p, void *block, unsigned most) {
  struct pooled *own = block;
  if (p->count == most) {
    free(own);
    return;
  }
  own->next = p->first;
  p->first = own;
  p->count++;
}


void pool_free(pool *p) {
  while (p->first != NULL)
    free(pool_take(p, 0));
}
