/*
** A table of things by a 64-bit key: chains of entries that lie in the things.
*/

#ifndef TRACE_TABLE_H
#define TRACE_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct entry {
  struct entry *next;
  uint64_t key;
} entry;

/* All zero is empty. */
typedef struct table {
  entry **chains;
  size_t size; /* of chains, a power of two */
  size_t count;
} table;

/* The first entry of this key, or NULL; the next one of the same key. */
entry *table_find(const table *t, uint64_t key);
entry *table_next(const entry *l);

void table_add(table *t, entry *l, uint64_t key);
void table_remove(table *t, entry *l);

/* Any entry, or NULL when it is empty: to take all out, one by one. */
entry *table_any(const table *t);

/* Free the chains, not what was in them. */
void table_clear(table *t);

/* A key of n bytes. */
uint64_t table_hash(const void *bytes, size_t n);

#endif
