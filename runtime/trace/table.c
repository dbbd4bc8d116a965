#include "trace/table.h"

#include <stdlib.h>

#include "host/memory.h"

enum { FIRST_SIZE = 64 };


static uint64_t mix(uint64_t key) {
  key *= UINT64_C(0x9e3779b97f4a7c15);
  return key ^ key >> 32;
}


static entry **chain(const table *t, uint64_t key) {
  return &t->chains[mix(key) & (t->size - 1)];
}


static entry *same(entry *l, uint64_t key) {
  while (l != NULL && l->key != key)
    l = l->next;
  return l;
}


entry *table_find(const table *t, uint64_t key) {
  return t->size > 0 ? same(*chain(t, key), key) : NULL;
}


entry *table_next(const entry *l) {
  return same(l->next, l->key);
}


static void put(table *t, entry *l) {
  entry **at = chain(t, l->key);
  l->next = *at;
  *at = l;
}


static void grow(table *t) {
  table old = *t;
  t->size = old.size == 0 ? FIRST_SIZE : old.size * 2;
  t->chains = memory_new(t->size * sizeof *t->chains);
  for (size_t i = 0; i < old.size; i++)
    for (entry *l = old.chains[i], *next; l != NULL; l = next) {
      next = l->next;
      put(t, l);
    }
  free(old.chains);
}


void table_add(table *t, entry *l, uint64_t key) {
  if (t->count == t->size)
    grow(t);
  l->key = key;
  put(t, l);
  t->count++;
}


void table_remove(table *t, entry *l) {
  entry **at = chain(t, l->key);
  while (*at != l)
    at = &(*at)->next;
  *at = l->next;
  t->count--;
}


entry *table_any(const table *t) {
  for (size_t i = 0; i < t->size && t->count > 0; i++)
    if (t->chains[i] != NULL)
      return t->chains[i];
  return NULL;
}


void table_clear(table *t) {
  free(t->chains);
  *t = (table){NULL, 0, 0};
}


uint64_t table_hash(const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  uint64_t h = n;
  for (size_t i = 0; i < n; i++)
    h = (h ^ p[i]) * UINT64_C(0x100000001b3);
  return mix(h);
}
