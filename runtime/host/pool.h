/*
** Blocks of one size that are free, kept for who needs one next.
**
** In the first word of a free one the pool notes the next.
*/

#ifndef HOST_POOL_H
#define HOST_POOL_H

#include <stddef.h>

/* Zeroed: empty. */
typedef struct pool {
  struct pooled *first;
  unsigned count;
} pool;

/* A block, of any content.  Out of memory aborts. */
void *pool_take(pool *p, size_t size);

/* Keep it, unless so many are kept already. */
void pool_give(pool *p, void *block, unsigned most);

void pool_free(pool *p);

#endif
