#include "host/slab.h"

#include <stdlib.h>
#include <string.h>

#include "host/memory.h"

/* Sizes are rounded up to a STEP, which is as much as Lua aligns anything;
 * larger ones than LARGEST are malloc's. */
enum { STEP = 8, LARGEST = 2048, CHUNK = 256 * 1024 - 64 };

/* Sanitizers watch the blocks of malloc.  Clang says it in another way than GCC. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
enum { SMALL = 0 };
#else
enum { SMALL = LARGEST };
#endif

typedef struct cell {
  struct cell *next;
} cell;

struct slab {
  cell *free[LARGEST / STEP + 1]; /* by size in STEPs */
  char *fresh, *end;              /* of the newest chunk: never used */
  cell *chunks;
};


slab *slab_new(void) {
  return calloc(1, sizeof(slab));
}


void slab_free(slab *m) {
  for (cell *c; (c = m->chunks) != NULL;) {
    m->chunks = c->next;
    free(c);
  }
  free(m);
}


/* One size's cells out of the fresh ones.  What is left of a chunk when the
 * next is begun goes unused. */
static void *carve(slab *m, size_t size) {
  if ((size_t)(m->end - m->fresh) < size) {
    cell *c = malloc(CHUNK);
    if (c == NULL)
      return NULL;
    c->next = m->chunks;
    m->chunks = c;
    m->fresh = (char *)(c + 1);
    m->end = (char *)c + CHUNK;
  }
  void *p = m->fresh;
  m->fresh += size;
  return p;
}


static inline size_t steps(size_t size) {
  return (size + STEP - 1) / STEP;
}


static inline void *take(slab *m, size_t size) {
  size_t n = steps(size);
  cell *c = m->free[n];
  if (c == NULL)
    return carve(m, n * STEP);
  m->free[n] = c->next;
  __builtin_prefetch(c->next); /* cells that were swept lie far apart */
  return c;
}


static inline void give(slab *m, void *p, size_t size) {
  cell *c = p;
  cell **list = &m->free[steps(size)];
  c->next = *list;
  *list = c;
}


/* Between two sizes of which one at least is small.  Without the memory to
 * move, what shrinks stays: a larger cell is as good as a smaller one. */
static void *move(slab *m, void *p, size_t old, size_t size) {
  if (old <= SMALL && size <= SMALL && steps(old) == steps(size))
    return p;
  void *q = size <= SMALL ? take(m, size) : malloc(size);
  if (q == NULL)
    return size < old ? p : NULL;
  memcpy(q, p, old < size ? old : size);
  if (old <= SMALL)
    give(m, p, old);
  else
    free(p);
  return q;
}


void *slab_alloc(void *m, void *p, size_t old, size_t size) {
  if (p == NULL)
    return size == 0 ? NULL : size <= SMALL ? take(m, size) : malloc(size);
  if (size == 0) {
    if (old <= SMALL)
      give(m, p, old);
    else
      free(p);
    return NULL;
  }
  return old > SMALL && size > SMALL ? realloc(p, size) : move(m, p, old, size);
}


void *slab_take(slab *m, size_t size) {
  return memset(memory_sure(slab_alloc(m, NULL, 0, size)), 0, size);
}


void slab_give(slab *m, void *p, size_t size) {
  slab_alloc(m, p, size, 0);
}
