#include "net/round.h"

#include <stdlib.h>

#include "host/memory.h"
#include "net/inbox.h"
#include "net/outbox.h"
#include "sched/task.h"

enum {
  LINE = 64, /* of the caches */

  /* Of `made`: what lent bytes may take; and all, with what layers over each other
   * have in hand at once, and those of answers to it. */
  LENT = ROUND_ROOM,
  MADE = LENT + 2 * LAYERS * LAYER_ROOM
};


static rounds *rounds_of(const host *h) {
  return &h->net->rounds;
}


char *round_room(host *h) {
  rounds *r = rounds_of(h);
  return r->buffer + r->used;
}


static void keep_all(rounds *r) {
  for (unsigned i = 0; i < r->count; i++)
    stream_keep(r->lent[i]);
  r->count = 0;
  r->used = r->made_used = 0;
}


void round_run(host *h) {
  if (!h->quiet)
    sched_round(h);
  if (h->net != NULL)
    keep_all(rounds_of(h));
}


/* Each begins in a line of the caches of its own. */
static size_t lines(size_t n) {
  return (n + LINE - 1) / LINE * LINE;
}


void round_hand(stream *s, size_t n) {
  host *h = s->host;
  rounds *r = rounds_of(h);
  stream_data(s, round_room(h), n);
  r->lent[r->count++] = s;
  r->used += lines(n);
  if (r->count >= TOGETHER || r->used >= ROUND_BYTES)
    round_run(h);
}


void round_lend(stream *s, char *bytes, size_t n) {
  rounds *r = rounds_of(s->host);
  stream_data(s, bytes, n);
  r->lent[r->count++] = s;
}


/* It delivers, whether it was asked to or not: so that stream_keep can say stop. */
void round_give(stream *s, char *bytes, size_t n) {
  rounds *r = rounds_of(s->host);
  bool before = r->gives;
  r->gives = true;
  stream_data(s, bytes, n);
  r->gives = before;
  if (s->state != OPEN)
    return;
  s->reading = true;
  stream_keep(s);
}


char *round_layer_room(host *h) {
  rounds *r = rounds_of(h);
  if (r->made == NULL)
    r->made = memory_grow(NULL, MADE);
  return r->made_used + LAYER_ROOM <= MADE ? r->made + r->made_used : NULL;
}


/* Who hands up many pieces is lent to once. */
static bool lend_more(rounds *r, stream *s) {
  if (s->state != OPEN || r->made_used > LENT ||
      inbox_size(&s->in) >= HIGH_WATER)
    return false;
  if (r->count > 0 && r->lent[r->count - 1] == s)
    return true;
  if (r->count == TOGETHER + ROUND_MORE - 1) /* one is who was read */
    return false;
  r->lent[r->count++] = s;
  return true;
}


/* The room is free again, unless these bytes are lent, or what was made of them. */
void round_pass(stream *s, size_t n) {
  rounds *r = rounds_of(s->host);
  char *bytes = r->made + r->made_used;
  size_t before = r->made_used, after = before + lines(n);
  r->made_used = after;
  if (!r->lends) {
    round_give(s, bytes, n);
  } else {
    stream_data(s, bytes, n);
    s->reading |= s->state == OPEN;
    if (lend_more(r, s))
      return;
    stream_keep(s);
  }
  if (r->made_used == after)
    r->made_used = before;
}


void round_later(host *h, later *x, void (*call)(later *x)) {
  rounds *r = rounds_of(h);
  *x = (later){.call = call};
  if (r->first == NULL)
    r->first = x;
  else
    r->last->next = x;
  r->last = x;
}


bool round_end(host *h) {
  if (h->net == NULL)
    return false;
  rounds *r = rounds_of(h);
  bool any = r->first != NULL;
  for (later *x; (x = r->first) != NULL;) {
    r->first = x->next;
    x->call(x);
  }
  return any;
}


void round_open(rounds *r) {
  r->buffer = memory_grow(NULL, ROUND_BYTES + ROUND_ROOM);
}


void round_close(rounds *r) {
  free(r->buffer);
  free(r->made);
}
