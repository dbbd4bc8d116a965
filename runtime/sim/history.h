/*
** What has happened in a simulation, in a number: two runs of one seed are the same when
** theirs are.
**
** An *entry* is something that nothing may change: an event, a turn, a number that was
** drawn, bytes that came, how much memory a script has.  All of them are folded into a
** hash; and where two runs are to be compared they are kept, too, so that the first one
** that differs can be shown.
*/

#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_kind {
  HISTORY_EVENT,  /* its serial number */
  HISTORY_TURN,   /* a node's begins: its memory in bytes */
  HISTORY_PICK,   /* the task that runs next, of so many */
  HISTORY_DRAW,   /* chance for a script: so many bytes, their hash */
  HISTORY_BYTES,  /* come to a node: so many, their hash */
  HISTORY_CHANGE, /* of a node: enum node_change */
  HISTORY_KINDS
};

enum { HISTORY_NOBODY = 0xffffff };

typedef struct history_entry {
  uint64_t at; /* sim.now */
  unsigned kind : 8, node : 24;
  uint64_t a, b;
} history_entry;

/* Zeroed: empty, and none is kept. */
typedef struct history {
  uint64_t hash;
  uint64_t count; /* of entries */
  bool keeps;     /* the first ones, as many as there is memory for */
  size_t kept, room;
  history_entry *entries;
} history;

void history_keep(history *h); /* before the first */
void history_free(history *h);

void history_add_kept(history *h, const history_entry *e);
uint64_t history_hash(const void *bytes, size_t n);

static inline void history_note(history *h, const history_entry *e) {
  uint64_t x = h->hash ^ e->at;
  x = (x ^ (uint64_t)e->kind << 24 ^ e->node) * UINT64_C(0x9fb21c651e98df25);
  x ^= x >> 29;
  x = (x ^ e->a) * UINT64_C(0xd6e8feb86659fd93);
  x ^= x >> 32;
  h->hash = (x ^ e->b) * UINT64_C(0x9fb21c651e98df25);
  h->count++;
  if (h->keeps)
    history_add_kept(h, e);
}

/* The number of the first entry that differs, from 0; false: none does, of those that
 * both have kept. */
bool history_differs(const history *a, const history *b, size_t *at);

/* An entry in words, without its time; at most so many bytes, with a zero. */
void history_say(const history *h, size_t at, char *text, size_t room);

#endif
