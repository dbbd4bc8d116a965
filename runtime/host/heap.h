/*
** What comes next: a binary heap of times.
**
** Its owner embeds a `heap_place` in each thing that has a time, and finds the
** thing by it.  A time may be put in, brought forward, put off and taken out.
*/

#ifndef HOST_HEAP_H
#define HOST_HEAP_H

#include <stdint.h>

/* Where a thing is in the heap, from 1; 0: not in it. */
typedef unsigned heap_place;

typedef struct heap {
  struct heap_entry {
    uint64_t at;
    heap_place *of;
  } * entries; /* from 1 */
  unsigned count, room;
} heap;

/* Put one in that is not. */
void heap_add(heap *h, uint64_t at, heap_place *of);

/* Give one that is in it another time. */
void heap_move(heap *h, heap_place of, uint64_t at);

/* Take one out that is in it. */
void heap_remove(heap *h, heap_place *of);

void heap_free(heap *h);

/* Of the first, where there is any; and of one that is in it. */
static inline struct heap_entry *heap_first(const heap *h) {
  return &h->entries[1];
}

static inline uint64_t heap_time(const heap *h, heap_place of) {
  return h->entries[of].at;
}

#endif
