#include "net/bag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/net.h"
#include "net/trace.h"

enum {
  FREE_BAGS = 16,
  JAMS = 16 /* with so many nothing gathers any more */
};

struct bag {
  bag *next; /* in the pool of free ones */
  int first, count;
  size_t used;
  outgoing list[DATAGRAM_BATCH];
  int to_count, via_count;
  address to[DATAGRAM_BATCH]; /* one for those that follow each other */
  address via[DATAGRAM_BATCH];
  char bytes[BAG_BYTES];
};


/* A destination without room. */
struct jam {
  jam *next;
  bag *bag;     /* what had gathered for it; NULL: nothing */
  bool to_peer; /* it is whom the socket is connected to */
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
** Bags
*/

static bag *take_bag(datagram *d) {
  struct net *n = net_of(d->host);
  bag *b = n->bags;
  if (b == NULL) {
    b = memory_grow(NULL, sizeof *b);
  } else {
    n->bags = b->next;
    n->bag_count--;
  }
  b->first = b->count = b->to_count = b->via_count = 0;
  b->used = 0;
  return b;
}


static void unlink_bag(datagram *d) {
  datagram **at = &net_of(d->host)->gathered;
  if (!d->linked)
    return;
  while (*at != d)
    at = &(*at)->link;
  *at = d->link;
  d->linked = false;
}


static void give_bag(datagram *d, bag *b) {
  struct net *n = net_of(d->host);
  if (n->bag_count == FREE_BAGS) {
    free(b);
    return;
  }
  b->next = n->bags;
  n->bags = b;
  n->bag_count++;
}


static void link_bag(datagram *d) {
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


/* The bag's last destination, if it has one. */
static const address *last_to(const bag *b) {
  return b != NULL && b->to_count > 0 ? &b->to[b->to_count - 1] : NULL;
}


static bool is_known(const datagram *d, const address *to) {
  const address *last = last_to(d->bag);
  if (last != NULL && to != NULL && is_same(last, to))
    return true;
  uint64_t h = hash(to);
  return d->known[(h >> 32) % KNOWN] == h;
}


bool bag_takes(const datagram *d, size_t size, const address *to) {
  return d->gathers && size <= BAG_SMALL && is_known(d, to);
}


static bool is_full(const bag *b, size_t size) {
  return b->count == DATAGRAM_BATCH || size > BAG_BYTES - b->used;
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


static void put(bag *b, const outgoing *o) {
  outgoing *copy = &b->list[b->count++];
  *copy = *o;
  copy->bytes = b->bytes + b->used;
  copy->to = copy_of(b->to, &b->to_count, o->to);
  copy->via = copy_of(b->via, &b->via_count, o->via);
  memcpy(b->bytes + b->used, o->bytes, o->size);
  b->used += o->size;
}


bool bag_put(datagram *d, const outgoing *o) {
  if (d->bag != NULL && is_full(d->bag, o->size)) {
    datagram_flush(d);
    if (d->blocked && datagram_blocked(d, o->to))
      return false;
  }
  if (d->bag == NULL)
    d->bag = take_bag(d);
  put(d->bag, o);
  link_bag(d);
  return true;
}


static void note(datagram *d, int status, const address *to) {
  trace_datagram_error(d, "send", to, status);
  if (d->send_error == 0)
    d->send_error = status;
}


/* The error may be an earlier message's, told by ICMP: so the same message is
 * tried again, once. */
static void refuse(datagram *d, bag *b, int status, int *retried) {
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
static bool empty(datagram *d, bag *b) {
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
  bag *b = d->bag;
  int rest = b->first;
  datagram_block(d, b->list[rest].to);
  jam *j = d->jams;
  j->bag = take_bag(d);
  for (int i = rest; i < b->count; i++) {
    const outgoing *o = &b->list[i];
    if (is_jammed(j, o->to))
      put(j->bag, o);
    else
      b->list[rest++] = *o;
  }
  b->count = rest;
}


static void end_jam(datagram *d, jam **at) {
  jam *j = *at;
  *at = j->next;
  if (j->bag != NULL)
    give_bag(d, j->bag);
  free(j);
  d->gathers = --d->jam_count < JAMS;
}


/* Whoever waits where nothing had gathered tries for himself. */
static bool end_jams(datagram *d) {
  bool any = false;
  for (jam **at = &d->jams; *at != NULL;) {
    jam *j = *at;
    if (j->bag == NULL || empty(d, j->bag)) {
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
      if ((*at)->bag != NULL)
        return false;
      end_jam(d, at);
      d->blocked = d->jams != NULL;
      datagram_room(d);
      break;
    }
  return true;
}


bool datagram_flush(datagram *d) {
  if (d->bag == NULL || (d->blocked && !d->apart))
    return d->bag == NULL;
  while (!empty(d, d->bag)) {
    if (!d->apart) {
      unlink_bag(d);
      datagram_block(d, NULL);
      return false;
    }
    set_aside(d);
  }
  give_bag(d, d->bag);
  unlink_bag(d);
  d->bag = NULL;
  return true;
}


bool datagram_waits(const datagram *d) {
  const jam *j = d->jams;
  while (j != NULL && j->bag == NULL)
    j = j->next;
  return d->bag != NULL || j != NULL;
}


static size_t bytes_in(const bag *b) {
  size_t sum = 0;
  for (int i = b != NULL ? b->first : 0; b != NULL && i < b->count; i++)
    sum += b->list[i].size;
  return sum;
}


size_t bag_bytes(const datagram *d) {
  size_t sum = bytes_in(d->bag);
  for (const jam *j = d->jams; j != NULL; j = j->next)
    sum += bytes_in(j->bag);
  return sum;
}


static unsigned drop(datagram *d, bag *b) {
  if (b == NULL)
    return 0;
  unsigned n = (unsigned)(b->count - b->first);
  give_bag(d, b);
  return n;
}


unsigned datagram_drop(datagram *d) {
  unsigned n = drop(d, d->bag);
  d->bag = NULL;
  unlink_bag(d);
  while (d->jams != NULL) {
    n += drop(d, d->jams->bag);
    d->jams->bag = NULL;
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
void bags_flush(host *h) {
  struct net *n = net_of(h);
  turn_round(&n->gathered);
  while (n->gathered != NULL) {
    datagram *d = n->gathered;
    n->gathered = d->link;
    d->linked = false;
    datagram_flush(d);
  }
}


void bags_close(host *h) {
  struct net *n = net_of(h);
  while (n->bags != NULL) {
    bag *b = n->bags;
    n->bags = b->next;
    free(b);
  }
}
