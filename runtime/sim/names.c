#include "sim/names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "sim/node.h"

#define MS UINT64_C(1000000)

/* A name that a world has given. */
typedef struct given {
  struct given *next;
  char *name;
  int status;
  address *list;
  size_t count;
} given;

struct names {
  names_manner manner;
  given *first;
};

/* A lookup under way. */
typedef struct query {
  sim_event event; /* first */
  lookup *lookup;
  bool unanswered;
} query;


static struct names *names_of(sim *s) {
  if (s->names != NULL)
    return s->names;
  s->names = memory_new(sizeof *s->names);
  s->names->manner =
      (names_manner){.least = MS / 2, .most = 2 * MS, .timeout = 10000 * MS};
  return s->names;
}


void names_set_manner(sim *s, const names_manner *m) {
  names_of(s)->manner = *m;
}


/*
** What a name has
*/

static given **find(struct names *all, const char *name) {
  given **at = &all->first;
  while (*at != NULL && strcmp((*at)->name, name) != 0)
    at = &(*at)->next;
  return at;
}


static void drop(given **at) {
  given *g = *at;
  *at = g->next;
  free(g->name);
  free(g->list);
  free(g);
}


void names_set(sim *s, const char *name, const address *list, size_t count,
               int status) {
  struct names *all = names_of(s);
  given **at = find(all, name);
  if (*at != NULL)
    drop(at);
  if (list == NULL && status == 0)
    return;
  given *g = memory_new(sizeof *g);
  g->name = memory_text(name, strlen(name));
  g->status = status;
  g->list = memory_new(count * sizeof *list + 1);
  if (count > 0)
    memcpy(g->list, list, count * sizeof *list);
  g->count = count;
  g->next = all->first;
  all->first = g;
}


/* Those of the family that was asked for. */
static int answer(lookup *l, const address *list, size_t count) {
  l->found = memory_new(count * sizeof *list + 1);
  l->count = 0;
  for (size_t i = 0; i < count; i++)
    if (l->family == AF_UNSPEC || list[i].u.any.sa_family == l->family) {
      l->found[l->count] = list[i];
      address_set_port(&l->found[l->count++], 0);
    }
  if (l->count > 0)
    return 0;
  free(l->found);
  l->found = NULL;
  return ERROR_EAI + EAI_NONAME;
}


/* Is it an address itself?  Nobody needs to be asked. */
static bool is_number(const char *name, address *a) {
  address_any(a, AF_INET, 0);
  if (inet_pton(AF_INET, name, &a->u.in4.sin_addr) == 1)
    return true;
  address_any(a, AF_INET6, 0);
  return inet_pton(AF_INET6, name, &a->u.in6.sin6_addr) == 1;
}


static int find_name(lookup *l) {
  sim *s = node_of(l->host)->sim;
  const given *g = *find(names_of(s), l->name);
  address own[2];
  if (is_number(l->name, &own[0]))
    return answer(l, own, 1);
  if (g != NULL)
    return g->status < 0 ? g->status : answer(l, g->list, g->count);
  if (strcmp(l->name, "localhost") == 0) {
    address_loopback(&own[0], AF_INET6, 0);
    address_loopback(&own[1], AF_INET, 0);
    return answer(l, own, 2);
  }
  const node *n = node_find(s, l->name);
  if (n == NULL)
    return ERROR_EAI + EAI_NONAME;
  own[0] = n->ip4;
  own[1] = n->ip6;
  return answer(l, own, 2);
}


/*
** Lookups
*/

static void on_answer(sim_event *e) {
  query *q = (query *)(void *)e;
  lookup *l = q->lookup;
  node *n = node_of(l->host);
  l->status = q->unanswered ? ERROR_EAI + EAI_AGAIN : find_name(l);
  l->request = NULL;
  free(q);
  l->done(l);
  node_delivered(n);
}


int names_resolve(host *h, lookup *l) {
  sim *s = node_of(h)->sim;
  const names_manner *m = &names_of(s)->manner;
  query *q = memory_new(sizeof *q);
  address number;
  uint64_t most = m->most > m->least ? m->most : m->least;
  q->event.fire = on_answer;
  q->lookup = l;
  l->request = q;
  if (is_number(l->name, &number)) {
    sim_schedule(s, &q->event, s->now);
    return 0;
  }
  q->unanswered = chance_happens(&s->network, m->failures);
  sim_schedule(s, &q->event,
               s->now + (q->unanswered
                             ? m->timeout
                             : chance_between(&s->network, m->least, most)));
  return 0;
}


void names_unresolve(lookup *l) {
  query *q = l->request;
  sim_cancel(node_of(l->host)->sim, &q->event);
  free(q);
  lookup_free(l);
}


void names_close(sim *s) {
  if (s->names == NULL)
    return;
  while (s->names->first != NULL)
    drop(&s->names->first);
  free(s->names);
  s->names = NULL;
}
