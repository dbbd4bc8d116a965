#include "host/heap.h"

#include <stdlib.h>

#include "host/memory.h"


static void put(heap *h, unsigned i, struct heap_entry x) {
  h->entries[i] = x;
  *x.of = i;
}


static void rise(heap *h, unsigned i) {
  struct heap_entry x = h->entries[i];
  for (; i > 1 && h->entries[i / 2].at > x.at; i /= 2)
    put(h, i, h->entries[i / 2]);
  put(h, i, x);
}


static void sink(heap *h, unsigned i) {
  struct heap_entry x = h->entries[i];
  for (unsigned child; (child = 2 * i) <= h->count; i = child) {
    if (child < h->count && h->entries[child + 1].at < h->entries[child].at)
      child++;
    if (h->entries[child].at >= x.at)
      break;
    put(h, i, h->entries[child]);
  }
  put(h, i, x);
}


void heap_add(heap *h, uint64_t at, heap_place *of) {
  if (h->count + 1 >= h->room) {
    h->room = h->room == 0 ? 64 : h->room * 2;
    h->entries = memory_grow(h->entries, h->room * sizeof *h->entries);
  }
  h->entries[++h->count] = (struct heap_entry){at, of};
  rise(h, h->count);
}


void heap_move(heap *h, heap_place of, uint64_t at) {
  uint64_t before = h->entries[of].at;
  h->entries[of].at = at;
  if (at < before)
    rise(h, of);
  else
    sink(h, of);
}


void heap_remove(heap *h, heap_place *of) {
  unsigned i = *of;
  struct heap_entry last = h->entries[h->count--];
  *of = 0;
  if (i > h->count)
    return;
  put(h, i, last);
  sink(h, i);
  rise(h, *last.of);
}


void heap_free(heap *h) {
  free(h->entries);
  *h = (heap){0};
}
