#include "sim/link.h"

#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/node.h"

#define SECOND UINT64_C(1000000000)

enum {
  FIRST_LINKS = 64, /* places of the table; a power of two */
  RETRIES = 15      /* of what is lost of a stream */
};

#define RETRY_FIRST (SECOND / 5) /* and twice as long each time, */
#define RETRY_LONGEST (120 * SECOND)

static const link_manner usual = {.least = SECOND / 1000};


typedef struct direction {
  uint64_t key;     /* of both nodes */
  link_manner *own; /* NULL: the usual one */
  uint64_t free_at; /* then all that was sent has left, of a bandwidth */
  uint64_t last;    /* no message that keeps its place arrives before this */
  uint64_t clogged; /* what is sent leaves behind this */
  uint32_t factor;  /* of latency; 0: not drawn yet */
  uint32_t faults;  /* so many cut it, too */
  bool cut, held;
  link_waiter *waiters; /* the first comes first */
} direction;

struct links {
  link_manner usual;
  direction **table;
  size_t count, room;
  struct flights *flights;
};


/*
** Latency
*/

static uint64_t beyond_least(chance *c, const link_manner *m) {
  uint64_t span = m->most > m->least ? m->most - m->least : 0;
  if (m->shape == LATENCY_UNIFORM)
    return chance_below(c, span + 1);
  if (m->shape != LATENCY_EXPONENTIAL)
    return 0;
  uint64_t more = chance_exponential(c, m->mean);
  return span > 0 && more > span ? span : more;
}


static uint64_t latency(sim *s, const direction *l, const link_manner *m) {
  uint64_t sum = m->least + beyond_least(&s->network, m);
  if (m->jitter > 0)
    sum += chance_below(&s->network, m->jitter + 1);
  return sum * l->factor;
}


/*
** The table: open addressing, by both indices
*/

static struct links *links_of(sim *s) {
  if (s->links != NULL)
    return s->links;
  s->links = memory_new(sizeof *s->links);
  s->links->usual = usual;
  return s->links;
}


static uint64_t key_of(const struct node *from, const struct node *to) {
  return ((uint64_t)from->index << 32 | to->index) + 1;
}


static size_t place_of(const struct links *all, uint64_t key) {
  size_t i = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32);
  while (all->table[i & (all->room - 1)] != NULL &&
         all->table[i & (all->room - 1)]->key != key)
    i++;
  return i & (all->room - 1);
}


static void grow(struct links *all) {
  direction **before = all->table;
  size_t room = all->room;
  all->room = room > 0 ? 2 * room : FIRST_LINKS;
  all->table = memory_new(all->room * sizeof(direction *));
  for (size_t i = 0; i < room; i++)
    if (before[i] != NULL)
      all->table[place_of(all, before[i]->key)] = before[i];
  free(before);
}


static direction *find(const sim *s, const struct node *from,
                       const struct node *to) {
  const struct links *all = s->links;
  return all != NULL && all->room > 0
             ? all->table[place_of(all, key_of(from, to))]
             : NULL;
}


static direction *get(sim *s, const struct node *from, const struct node *to) {
  struct links *all = links_of(s);
  direction *l = find(s, from, to);
  if (l != NULL)
    return l;
  if (2 * all->count >= all->room)
    grow(all);
  l = memory_new(sizeof *l);
  l->key = key_of(from, to);
  all->table[place_of(all, l->key)] = l;
  all->count++;
  return l;
}


/* Both directions of a pair are slow, or neither. */
static void draw_factor(sim *s, direction *l, const link_manner *m,
                        const struct node *from, const struct node *to) {
  const direction *other = find(s, to, from);
  if (other != NULL && other->factor > 0)
    l->factor = other->factor;
  else
    l->factor = chance_happens(&s->network, m->slow) && m->slowness > 0
                    ? m->slowness
                    : 1;
}


/*
** Manners
*/

static const link_manner *manner(const sim *s, const direction *l) {
  if (l != NULL && l->own != NULL)
    return l->own;
  return s->links != NULL ? &s->links->usual : &usual;
}


void link_set_usual(sim *s, const link_manner *m) {
  links_of(s)->usual = *m;
}


const link_manner *link_usual(const sim *s) {
  return manner(s, NULL);
}


void link_set(sim *s, struct node *from, struct node *to,
              const link_manner *m) {
  direction *l = get(s, from, to);
  free(l->own);
  l->own = NULL;
  if (m == NULL)
    return;
  l->own = memory_new(sizeof *l->own);
  *l->own = *m;
}


const link_manner *link_of(sim *s, struct node *from, struct node *to) {
  return manner(s, find(s, from, to));
}


/*
** Cut, held and clogged
*/

static bool is_cut(const direction *l) {
  return l->cut || l->faults > 0;
}


static void on_open(sim_event *e) {
  link_waiter *w =
      (link_waiter *)(void *)((char *)e - offsetof(link_waiter, event));
  w->open(w);
}


void link_forget(link_waiter *w) {
  if (w->sim != NULL)
    sim_cancel(w->sim, &w->event);
  if (w->at == NULL)
    return;
  *w->at = w->next;
  if (w->next != NULL)
    w->next->at = w->at;
  w->at = NULL;
}


void link_await(sim *s, struct node *from, struct node *to, link_waiter *w) {
  direction *l = get(s, from, to);
  link_waiter **at = &l->waiters;
  link_forget(w);
  while (*at != NULL)
    at = &(*at)->next;
  w->sim = s;
  w->event.fire = on_open;
  w->next = NULL;
  w->at = at;
  *at = w;
}


static void tell_open(sim *s, direction *l) {
  while (!is_cut(l) && !l->held && l->waiters != NULL) {
    link_waiter *w = l->waiters;
    link_forget(w);
    sim_schedule(s, &w->event, s->now);
  }
}


void link_cut(sim *s, struct node *from, struct node *to, bool cut) {
  direction *l = get(s, from, to);
  l->cut = cut;
  tell_open(s, l);
}


/* What was healed meanwhile has none. */
void link_fault(sim *s, struct node *from, struct node *to, bool begins) {
  direction *l = get(s, from, to);
  if (begins)
    l->faults++;
  else if (l->faults > 0)
    l->faults--;
  tell_open(s, l);
}


void link_hold(sim *s, struct node *from, struct node *to, bool held) {
  direction *l = get(s, from, to);
  l->held = held;
  tell_open(s, l);
}


void link_clog(sim *s, struct node *from, struct node *to, uint64_t until) {
  get(s, from, to)->clogged = until;
}


/* In the order in which the nodes were made, and not in that of the table. */
void link_heal_all(sim *s) {
  for (unsigned i = 0; i < s->node_count; i++)
    for (unsigned k = 0; k < s->node_count; k++) {
      struct node *from = s->nodes[i], *to = s->nodes[k];
      direction *l = find(s, from, to);
      if (l == NULL)
        continue;
      l->cut = false;
      l->faults = 0;
      l->clogged = 0;
      link_hold(s, from, to, false);
    }
}


bool link_is_cut(sim *s, struct node *from, struct node *to) {
  const direction *l = find(s, from, to);
  return l != NULL && is_cut(l);
}


bool link_is_held(sim *s, struct node *from, struct node *to) {
  const direction *l = find(s, from, to);
  return l != NULL && l->held;
}


uint64_t link_clogged(sim *s, struct node *from, struct node *to) {
  const direction *l = find(s, from, to);
  return l != NULL ? l->clogged : 0;
}


/*
** On the way
*/

/* ns that so many bytes take. */
static uint64_t transmission(const link_manner *m, size_t bytes) {
  if (m->bandwidth == 0)
    return 0;
  return bytes / m->bandwidth * SECOND +
         bytes % m->bandwidth * SECOND / m->bandwidth;
}


/* When the last of the bytes has left; NEVER: there is no room for them. */
static uint64_t leave(sim *s, direction *l, const link_manner *m, size_t bytes,
                      link_traffic traffic) {
  uint64_t begin = s->now > l->clogged ? s->now : l->clogged;
  if (m->bandwidth == 0)
    return begin;
  if (l->free_at > begin) {
    if (traffic == LINK_MESSAGE && m->queue > 0 &&
        l->free_at - begin > transmission(m, m->queue))
      return NEVER;
    begin = l->free_at;
  }
  l->free_at = begin + transmission(m, bytes);
  return l->free_at;
}


/* What is lost is sent again when it has not been acknowledged. */
static uint64_t arrive_in_stream(sim *s, const direction *l,
                                 const link_manner *m, uint64_t at) {
  uint64_t pause = RETRY_FIRST;
  for (int i = 0; i < RETRIES && chance_happens(&s->network, m->loss); i++) {
    at += pause;
    pause = pause < RETRY_LONGEST / 2 ? 2 * pause : RETRY_LONGEST;
  }
  return at + latency(s, l, m);
}


static uint64_t arrive_as_message(sim *s, direction *l, const link_manner *m,
                                  uint64_t at) {
  if (chance_happens(&s->network, m->loss))
    return NEVER;
  at += latency(s, l, m);
  if (chance_happens(&s->network, m->reordered))
    return at + latency(s, l, m);
  if (at < l->last)
    at = l->last;
  l->last = at;
  return at;
}


uint64_t link_arrival(sim *s, struct node *from, struct node *to, size_t bytes,
                      link_traffic traffic) {
  direction *l = get(s, from, to);
  const link_manner *m = manner(s, l);
  if (l->factor == 0)
    draw_factor(s, l, m, from, to);
  if (is_cut(l) || l->held)
    return NEVER;
  uint64_t at = leave(s, l, m, bytes, traffic);
  if (at == NEVER)
    return NEVER;
  return traffic == LINK_STREAM ? arrive_in_stream(s, l, m, at)
                                : arrive_as_message(s, l, m, at);
}


uint64_t link_room(sim *s, struct node *from, struct node *to, size_t bytes) {
  const direction *l = find(s, from, to);
  const link_manner *m = manner(s, l);
  uint64_t rest = transmission(m, bytes);
  if (l == NULL || m->bandwidth == 0 || l->free_at <= s->now + rest)
    return s->now;
  return l->free_at - rest;
}


struct flights **links_flights(sim *s) {
  return &links_of(s)->flights;
}


void links_close(sim *s) {
  struct links *all = s->links;
  if (all == NULL)
    return;
  for (size_t i = 0; i < all->room; i++)
    if (all->table[i] != NULL) {
      free(all->table[i]->own);
      free(all->table[i]);
    }
  free(all->table);
  free(all);
  s->links = NULL;
}
