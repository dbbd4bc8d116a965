#include "sim/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 64 MiB. */
enum { MOST = 1 << 21 };


void history_keep(history *h) {
  h->keeps = true;
}


void history_free(history *h) {
  free(h->entries);
  *h = (history){0};
}


/* Without the memory, the hash has to do. */
void history_add_kept(history *h, const history_entry *e) {
  if (h->kept == h->room) {
    size_t room = h->room == 0 ? 1024 : 2 * h->room;
    history_entry *more =
        room <= MOST ? realloc(h->entries, room * sizeof *more) : NULL;
    if (more == NULL) {
      h->keeps = false;
      return;
    }
    h->entries = more;
    h->room = room;
  }
  h->entries[h->kept++] = *e;
}


uint64_t history_hash(const void *bytes, size_t n) {
  const char *p = bytes;
  uint64_t hash = n, word;
  for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
    memcpy(&word, p, sizeof word);
    hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    hash ^= hash >> 31;
  }
  word = 0;
  if (n > 0)
    memcpy(&word, p, n);
  hash = (hash ^ word) * UINT64_C(0xd6e8feb86659fd93);
  return hash ^ hash >> 32;
}


/*
** Comparing
*/

static bool are_same(const history_entry *x, const history_entry *y) {
  return x->at == y->at && x->kind == y->kind && x->node == y->node &&
         x->a == y->a && x->b == y->b;
}


bool history_differs(const history *a, const history *b, size_t *at) {
  size_t n = a->kept < b->kept ? a->kept : b->kept;
  for (*at = 0; *at < n; (*at)++)
    if (!are_same(&a->entries[*at], &b->entries[*at]))
      return true;
  return a->count != b->count && *at < a->kept + b->kept - n;
}


void history_say(const history *h, size_t at, char *text, size_t room) {
  if (at >= h->kept) {
    snprintf(text, room, "nothing more");
    return;
  }
  const history_entry *e = &h->entries[at];
  switch (e->kind) {
  case HISTORY_EVENT:
    snprintf(text, room, "event %" PRIu64, e->a);
    break;
  case HISTORY_TURN:
    snprintf(text, room, "a turn begins, with %" PRIu64 " bytes of memory",
             e->a);
    break;
  case HISTORY_PICK:
    snprintf(text, room, "of %" PRIu64 " tasks number %" PRIu64 " runs", e->a,
             e->b);
    break;
  case HISTORY_DRAW:
    snprintf(text, room, "%" PRIu64 " bytes of chance (%016" PRIx64 ")", e->a,
             e->b);
    break;
  case HISTORY_BYTES:
    snprintf(text, room, "%" PRIu64 " bytes come (%016" PRIx64 ")", e->a, e->b);
    break;
  default:
    snprintf(text, room, "a change of its state (%" PRIu64 ")", e->a);
  }
}
