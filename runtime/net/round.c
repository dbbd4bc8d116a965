#include "net/round.h"

#include <stdlib.h>

#include "host/memory.h"
#include "net/net.h"
#include "sched/task.h"

enum { LINE = 64 }; /* of the caches */


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
  r->used = 0;
}


void round_run(host *h) {
  if (!h->quiet)
    sched_round(h);
  if (h->net != NULL)
    keep_all(rounds_of(h));
}


/* Each begins in a line of the caches of its own. */
void round_hand(stream *s, size_t n) {
  host *h = s->host;
  rounds *r = rounds_of(h);
  stream_data(s, round_room(h), n);
  r->lent[r->count++] = s;
  r->used += (n + LINE - 1) / LINE * LINE;
  if (r->count == ROUND_GROUP || r->used >= ROUND_BYTES)
    round_run(h);
}


void round_lend(stream *s, char *bytes, size_t n) {
  rounds *r = rounds_of(s->host);
  stream_data(s, bytes, n);
  r->lent[r->count++] = s;
}


/* It delivers, whether it was asked to or not: so that stream_keep can say stop. */
void round_give(stream *s, char *bytes, size_t n) {
  stream_data(s, bytes, n);
  if (s->state != OPEN)
    return;
  s->reading = true;
  stream_keep(s);
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
}
