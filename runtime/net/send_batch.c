#include "net/send_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/state.h"
#include "net/trace.h"

enum {
  FREE_BATCHES = 16,
  JAMS = 16 /* with so many nothing gathers any more */
};

struct send_batch {
  int first, count;
  size_t used;
  outgoing list[DATAGRAM_BATCH];
  int to_count, via_count;
  address to[DATAGRAM_BATCH]; /* one for those that follow each other */
  address via[DATAGRAM_BATCH];
  char bytes[BATCH_BYTES];
};


/* A destination without room. */
struct jam {
  jam *next;
  send_batch *batch; /* what had gathered for it; NULL: nothing */
  bool to_peer;      /* it is whom the socket is connected to */
  address to;
};


/*
** Destinations
*/

static uint64_t mix(uint64_t h, uint64_t word) {
  h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 29;
}


uint64_t datagram_hash(const void *bytes, size_t n) {
  uint64_t h = 1, word = 0;
  const char *p = bytes;
  for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
    memcpy(&word, p, sizeof word);
    h = mix(h, word);
  }
  word = 0;
  memcpy(&word, p, n);
  return mix(h, word);
}


/* Never 0. */
static uint64_t hash(const address *to) {
  return to != NULL ? datagram_hash(&to->u, to->length) | 1 : 1;
}


static uint64_t *slot(datagram *d, uint64_t h) {
  return &d->known[(h >> 32) % KNOWN];
}


void datagram_know(datagram *d, const address *to) {
  uint64_t h = hash(to);
  *slot(d, h) = h;
}


void datagram_doubt(datagram *d, const address *to) {
  uint64_t h = hash(to);
  if (*slot(d, h) == h)
    *slot(d, h) = 0;
}


/*
** Batches
*/

static send_batch *take_batch(datagram *d) {
  send_batch *b = pool_take(&net_of(d->host)->batches, sizeof *b);
  b->first = b->count = b->to_count = b->via_count = 0;
  b->used = 0;
  return b;
}


static void unlink_batch(datagram *d) {
  datagram **at = &net_of(d->host)->gathered;
  if (!d->linked)
    return;
  while (*at != d)
    at = &(*at)->link;
  *at = d->link;
  d->linked = false;
}


static void give_batch(datagram *d, send_batch *b) {
  pool_give(&net_of(d->host)->batches, b, FREE_BATCHES);
}


static void link_batch(datagram *d) {
  struct net *n = net_of(d->host);
  if (d->linked)
    return;
  d->linked = true;
  d->link = n->gathered;
  n->gathered = d;
}


static bool is_same(const address *a, const address *b) {
  return a->length == b->length && memcmp(&a->u, &b->u, a->length) == 0;
}


/* The batch's last destination, if it has one. */
static const address *last_to(const send_batch *b) {
  return b != NULL && b->to_count > 0 ? &b->to[b->to_count - 1] : NULL;
}


static bool is_known(const datagram *d, const address *to) {
  const address *last = last_to(d->batch);
  if (last != NULL && to != NULL && is_same(last, to))
    return true;
  uint64_t h = hash(to);
  return d->known[(h >> 32) % KNOWN] == h;
}


bool send_batch_takes(const datagram *d, size_t size, const address *to) {
  return d->gathers && size <= BATCH_SMALL && is_known(d, to);
}


static bool is_full(const send_batch *b, size_t size) {
  return b->count == DATAGRAM_BATCH || size > BATCH_BYTES - b->used;
}


/* Of messages to the same destination it is the same copy: the transport knows
 * them by that. */
static const address *copy_of(address *list, int *count, const address *a) {
  if (a == NULL)
    return NULL;
  if (*count > 0 && is_same(&list[*count - 1], a))
    return &list[*count - 1];
  address *copy = &list[(*count)++];
  copy->length = a->length;
  memcpy(&copy->u, &a->u, a->length);
  return copy;
}


static void put(send_batch *b, const outgoing *o) {
  outgoing *copy = &b->list[b->count++];
  *copy = *o;
  copy->bytes = b->bytes + b->used;
  copy->to = copy_of(b->to, &b->to_count, o->to);
  copy->via = copy_of(b->via, &b->via_count, o->via);
  memcpy(b->bytes + b->used, o->bytes, o->size);
  b->used += o->size;
}


bool send_batch_put(datagram *d, const outgoing *o) {
  if (d->batch != NULL && is_full(d->batch, o->size)) {
    datagram_flush(d);
    if (d->blocked && datagram_blocked(d, o->to))
      return false;
  }
  if (d->batch == NULL)
    d->batch = take_batch(d);
  put(d->batch, o);
  link_batch(d);
  return true;
}


static void note(datagram *d, int status, const address *to) {
  trace_datagram_error(d, "send", to, status);
  if (d->send_error == 0)
    d->send_error = status;
}


/* The error may be an earlier message's, told by ICMP: so the same message is
 * tried again, once. */
static void refuse(datagram *d, send_batch *b, int status, int *retried) {
  note(d, status, b->list[b->first].to);
  if (*retried != b->first) {
    *retried = b->first;
    return;
  }
  datagram_doubt(d, b->list[b->first++].to);
}


void datagram_sent(datagram *d, const outgoing *v, int n) {
  for (int i = 0; i < n; i++)
    d->sent += v[i].size;
  d->messages_out += n > 0 ? (unsigned)n : 0;
}


/* True when all of it is out; false: there is no room for the first of the
 * rest. */
static bool empty(datagram *d, send_batch *b) {
  int retried = -1;
  while (b->first < b->count) {
    int n = d->transport->send(d, b->list + b->first, b->count - b->first);
    if (n == -EAGAIN)
      return false;
    datagram_sent(d, b->list + b->first, n);
    trace_outgoing(d, b->list + b->first, n);
    if (n > 0)
      b->first += n;
    else
      refuse(d, b, n, &retried);
  }
  return true;
}


/*
** Destinations without room
*/

static bool is_jammed(const jam *j, const address *to) {
  return to != NULL ? !j->to_peer && is_same(&j->to, to) : j->to_peer;
}


static jam *find_jam(const datagram *d, const address *to) {
  jam *j = d->jams;
  while (j != NULL && !is_jammed(j, to))
    j = j->next;
  return j;
}


bool datagram_blocked(const datagram *d, const address *to) {
  return d->apart ? find_jam(d, to) != NULL : d->blocked;
}


void datagram_block(datagram *d, const address *to) {
  d->transport->want_send(d, to);
  d->blocked = true;
  if (!d->apart || find_jam(d, to) != NULL)
    return;
  jam *j = memory_new(sizeof *j);
  j->to_peer = to == NULL;
  if (to != NULL)
    j->to = *to;
  j->next = d->jams;
  d->jams = j;
  d->gathers = ++d->jam_count < JAMS;
}


/* The messages to whom the first of the rest is for: the others go on. */
static void set_aside(datagram *d) {
  send_batch *b = d->batch;
  int rest = b->first;
  datagram_block(d, b->list[rest].to);
  jam *j = d->jams;
  j->batch = take_batch(d);
  for (int i = rest; i < b->count; i++) {
    const outgoing *o = &b->list[i];
    if (is_jammed(j, o->to))
      put(j->batch, o);
    else
      b->list[rest++] = *o;
  }
  b->count = rest;
}


static void end_jam(datagram *d, jam **at) {
  jam *j = *at;
  *at = j->next;
  if (j->batch != NULL)
    give_batch(d, j->batch);
  free(j);
  d->gathers = --d->jam_count < JAMS;
}


/* Whoever waits where nothing had gathered tries for himself. */
static bool end_jams(datagram *d) {
  bool any = false;
  for (jam **at = &d->jams; *at != NULL;) {
    jam *j = *at;
    if (j->batch == NULL || empty(d, j->batch)) {
      end_jam(d, at);
      any = true;
    } else {
      d->transport->want_send(d, j->to_peer ? NULL : &j->to);
      at = &j->next;
    }
  }
  d->blocked = d->jams != NULL;
  return any;
}


bool datagram_unblock(datagram *d) {
  d->blocked = false;
  if (!d->apart)
    return datagram_flush(d);
  return end_jams(d);
}


bool datagram_leave(datagram *d) {
  for (jam **at = &d->jams; *at != NULL; at = &(*at)->next)
    if ((*at)->to_peer) {
      if ((*at)->batch != NULL)
        return false;
      end_jam(d, at);
      d->blocked = d->jams != NULL;
      datagram_room(d);
      break;
    }
  return true;
}


bool datagram_flush(datagram *d) {
  if (d->batch == NULL || (d->blocked && !d->apart))
    return d->batch == NULL;
  while (!empty(d, d->batch)) {
    if (!d->apart) {
      unlink_batch(d);
      datagram_block(d, NULL);
      return false;
    }
    set_aside(d);
  }
  give_batch(d, d->batch);
  unlink_batch(d);
  d->batch = NULL;
  return true;
}


bool datagram_waits(const datagram *d) {
  const jam *j = d->jams;
  while (j != NULL && j->batch == NULL)
    j = j->next;
  return d->batch != NULL || j != NULL;
}


static size_t bytes_in(const send_batch *b) {
  size_t sum = 0;
  for (int i = b != NULL ? b->first : 0; b != NULL && i < b->count; i++)
    sum += b->list[i].size;
  return sum;
}


size_t send_batch_bytes(const datagram *d) {
  size_t sum = bytes_in(d->batch);
  for (const jam *j = d->jams; j != NULL; j = j->next)
    sum += bytes_in(j->batch);
  return sum;
}


static unsigned drop(datagram *d, send_batch *b) {
  if (b == NULL)
    return 0;
  unsigned n = (unsigned)(b->count - b->first);
  give_batch(d, b);
  return n;
}


unsigned datagram_drop(datagram *d) {
  unsigned n = drop(d, d->batch);
  d->batch = NULL;
  unlink_batch(d);
  while (d->jams != NULL) {
    n += drop(d, d->jams->batch);
    d->jams->batch = NULL;
    end_jam(d, &d->jams);
  }
  return n;
}


/* The list has the last one first. */
static void turn_round(datagram **list) {
  datagram *all = *list;
  *list = NULL;
  for (datagram *d; (d = all) != NULL;) {
    all = d->link;
    d->link = *list;
    *list = d;
  }
}


/* In the order in which they were first sent to. */
void send_batches_flush(host *h) {
  struct net *n = net_of(h);
  turn_round(&n->gathered);
  while (n->gathered != NULL) {
    datagram *d = n->gathered;
    n->gathered = d->link;
    d->linked = false;
    datagram_flush(d);
  }
}


void send_batches_close(host *h) {
  pool_free(&net_of(h)->batches);
}
