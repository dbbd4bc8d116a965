#include "sim/names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "sim/node.h"

enum { MS = 1000000 }; /* ns */

/* What a lookup takes. */
enum { LEAST = MS / 2, MOST = 2 * MS };

/* A lookup under way. */
typedef struct query {
  sim_event event; /* first */
  lookup *lookup;
} query;


/*
** What a name has
*/

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
  address own[2];
  if (is_number(l->name, &own[0]))
    return answer(l, own, 1);
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
  l->status = find_name(l);
  l->request = NULL;
  free(q);
  l->done(l);
  node_delivered(n);
}


int names_resolve(host *h, lookup *l) {
  sim *s = node_of(h)->sim;
  query *q = memory_new(sizeof *q);
  address number;
  uint64_t takes = is_number(l->name, &number)
                       ? 0
                       : chance_between(&s->network, LEAST, MOST);
  q->event.fire = on_answer;
  q->lookup = l;
  l->request = q;
  sim_schedule(s, &q->event, s->now + takes);
  return 0;
}


void names_unresolve(lookup *l) {
  query *q = l->request;
  sim_cancel(node_of(l->host)->sim, &q->event);
  free(q);
  lookup_free(l);
}
