#include "sim/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/interfaces.h"

/* net.ipv4.ip_local_port_range */
enum { PORT_FIRST = 32768, PORT_LAST = 60999, PORT_TRIES = 64 };


node_ports *ports_of(node *n) {
  if (n->ports == NULL) {
    n->ports = memory_new(sizeof *n->ports);
    n->ports->waits_end = &n->ports->waits;
  }
  return n->ports;
}


void ports_add_end(end *e) {
  node_ports *p = ports_of(e->node);
  e->next = p->ends;
  e->at = &p->ends;
  if (e->next != NULL)
    e->next->at = &e->next;
  p->ends = e;
}


void ports_remove_end(end *e) {
  node_ports *p = ports_of(e->node);
  if (p->waits_end == &e->next)
    p->waits_end = e->at;
  *e->at = e->next;
  if (e->next != NULL)
    e->next->at = e->at;
}


/* All wait for as long. */
static void forget_old(node *n) {
  const node_ports *p = ports_of(n);
  while (p->waits != NULL && p->waits->expires <= n->sim->now)
    end_free(p->waits);
}


void ports_let_wait(end *e) {
  node_ports *p = ports_of(e->node);
  forget_old(e->node);
  ports_remove_end(e);
  e->next = NULL;
  e->at = p->waits_end;
  *p->waits_end = e;
  p->waits_end = &e->next;
}


bool ports_are_down(const node *n) {
  if (node_lives(n))
    return false;
  return n->state == NODE_OFF ||
         (n->ports != NULL && n->ports->lost == n->lives);
}


/*
** Addresses
*/

static bool is_same_ip(const address *a, const address *b) {
  if (a->u.any.sa_family != b->u.any.sa_family)
    return false;
  if (a->u.any.sa_family == AF_INET)
    return a->u.in4.sin_addr.s_addr == b->u.in4.sin_addr.s_addr;
  return IN6_ARE_ADDR_EQUAL(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr);
}


static bool is_same(const address *a, const address *b) {
  return is_same_ip(a, b) && address_port(a) == address_port(b);
}


int ports_check_local(node *n, const address *a) {
  return address_is_any(a) || netif_owns(n, a) > 0 ? 0 : -EADDRNOTAVAIL;
}


/* Of a dual one that is bound to every address, of both families. */
static bool covers(const address *any, bool v6only, const address *a) {
  return address_is_any(any) && (any->u.any.sa_family == a->u.any.sa_family ||
                                 (any->u.any.sa_family == AF_INET6 && !v6only));
}


static bool overlap(const address *a, bool a6only, const address *b,
                    bool b6only) {
  return is_same_ip(a, b) || covers(a, a6only, b) || covers(b, b6only, a);
}


/*
** Ports
*/

/* By one of these ends. */
static bool is_held(const end *list, const address *a, const options *o) {
  for (const end *e = list; e != NULL; e = e->next)
    if (e->local.length > 0 && e->local.u.any.sa_family != AF_UNIX &&
        &e->options != o && address_port(&e->local) == address_port(a) &&
        overlap(&e->local, true, a, o->v6only) &&
        !(e->options.reuseaddr && o->reuseaddr) &&
        !(e->options.reuseport && o->reuseport))
      return true;
  return false;
}


/* As inet_csk_bind_conflict: who listens shares its port with nobody, but where all
 * have said reuseport. */
static bool is_taken(node *n, const address *a, const options *o) {
  const node_ports *p = ports_of(n);
  int64_t port = address_port(a);
  forget_old(n);
  for (const listening *l = p->listening; l != NULL; l = l->next)
    if (l->family != AF_UNIX && &l->options != o &&
        address_port(&l->addr) == port &&
        overlap(&l->addr, l->options.v6only, a, o->v6only) &&
        !(l->options.reuseport && o->reuseport))
      return true;
  return is_held(p->ends, a, o) || is_held(p->waits, a, o);
}


static int64_t draw(node *n) {
  return (int64_t)chance_between(&n->chance, PORT_FIRST, PORT_LAST);
}


/* One by one from there, where drawing does not find any. */
static int choose(node *n, address *a, const options *o,
                  const address *remote) {
  int64_t port = draw(n);
  for (int i = 0; i <= PORT_LAST - PORT_FIRST; i++) {
    address_set_port(a, port);
    bool taken =
        remote != NULL ? ports_is_connected(n, a, remote) : is_taken(n, a, o);
    if (!taken && (remote == NULL || !is_same(a, remote)))
      return 0;
    port = i < PORT_TRIES ? draw(n) : port < PORT_LAST ? port + 1 : PORT_FIRST;
  }
  address_set_port(a, 0);
  return remote != NULL ? -EADDRNOTAVAIL : -EADDRINUSE;
}


int ports_bind(node *n, address *a, const options *o) {
  if (address_port(a) == 0)
    return choose(n, a, o, NULL);
  return is_taken(n, a, o) ? -EADDRINUSE : 0;
}


static bool is_among(const end *list, const address *local,
                     const address *remote) {
  for (const end *e = list; e != NULL; e = e->next)
    if (e->local.length == local->length &&
        e->local.u.any.sa_family != AF_UNIX && is_same(&e->local, local) &&
        is_same(&e->remote, remote))
      return true;
  return false;
}


bool ports_is_connected(node *n, const address *local, const address *remote) {
  const node_ports *p = ports_of(n);
  forget_old(n);
  if (is_among(p->ends, local, remote) || is_among(p->waits, local, remote))
    return true;
  for (const listening *l = p->listening; l != NULL; l = l->next)
    if (l->family != AF_UNIX && address_port(&l->addr) == address_port(local))
      return true;
  return false;
}


int ports_choose(node *n, address *local, const address *remote) {
  return choose(n, local, NULL, remote);
}


/* A more special one is preferred. */
static int score(const listening *l, const address *a) {
  if (l->family == AF_UNIX || address_port(&l->addr) != address_port(a))
    return 0;
  if (is_same_ip(&l->addr, a))
    return 3;
  if (!covers(&l->addr, l->options.v6only, a))
    return 0;
  return l->addr.u.any.sa_family == a->u.any.sa_family ? 2 : 1;
}


listening *ports_find(node *n, const address *a) {
  listening *found = NULL;
  int best = 0;
  unsigned count = 0;
  for (listening *l = ports_of(n)->listening; l != NULL; l = l->next) {
    int x = score(l, a);
    if (x == 0 || x < best)
      continue;
    count = x > best ? 1 : count + 1;
    if (count == 1 || chance_below(&n->sim->network, count) == 0)
      found = l;
    best = x;
  }
  return found;
}


/*
** Names
*/

static bool is_same_name(const address *a, const address *b) {
  return a->length == b->length && memcmp(&a->u, &b->u, a->length) == 0;
}


static bool is_file(const address *a) {
  return a->u.un.sun_path[0] != '\0';
}


static unix_name **find(node *n, const address *a) {
  unix_name **at = &ports_of(n)->names;
  while (*at != NULL && !is_same_name(&(*at)->addr, a))
    at = &(*at)->next;
  return at;
}


unix_name *ports_name_find(node *n, const address *a) {
  return *find(n, a);
}


/* Five digits, as the kernel's. */
static void name_itself(node *n, address *a) {
  static const char digits[] = "0123456789abcdef";
  do {
    uint64_t number = chance_next(&n->chance);
    a->u.un.sun_path[0] = '\0';
    for (int i = 1; i <= 5; i++, number >>= 4)
      a->u.un.sun_path[i] = digits[number & 15];
    a->length = offsetof(struct sockaddr_un, sun_path) + 6;
  } while (ports_name_find(n, a) != NULL);
}


int ports_name_add(node *n, address *a, int type, void *owner, bool replace) {
  if (a->length <= offsetof(struct sockaddr_un, sun_path))
    name_itself(n, a);
  unix_name *x = ports_name_find(n, a);
  if (x != NULL && (x->owner != NULL || !replace))
    return -EADDRINUSE;
  if (x == NULL) {
    x = memory_new(sizeof *x);
    x->next = ports_of(n)->names;
    ports_of(n)->names = x;
  }
  x->addr = *a;
  x->type = type;
  x->owner = owner;
  return 0;
}


static void drop(unix_name **at) {
  unix_name *x = *at;
  *at = x->next;
  free(x);
}


void ports_name_drop(node *n, const void *owner) {
  unix_name **at = &ports_of(n)->names;
  while (*at != NULL)
    if ((*at)->owner == owner)
      drop(at);
    else
      at = &(*at)->next;
}


/* The files stay. */
static void orphan_names(node *n) {
  unix_name **at = &ports_of(n)->names;
  while (*at != NULL) {
    (*at)->owner = NULL;
    if (is_file(&(*at)->addr))
      at = &(*at)->next;
    else
      drop(at);
  }
}


/*
** The end
*/

static void drop_all(node *n, bool silent) {
  node_ports *p = ports_of(n);
  orphan_names(n);
  while (p->waits != NULL)
    end_free(p->waits);
  while (p->ends != NULL)
    if (silent)
      end_vanish(p->ends);
    else
      end_abort(p->ends);
  while (p->listening != NULL)
    listening_free(p->listening);
}


void ports_vanish(node *n, bool silent) {
  drop_all(n, silent);
  n->ports->lost = silent ? n->lives : 0;
}


void ports_close(node *n) {
  if (n->ports == NULL)
    return;
  drop_all(n, true);
  while (n->ports->names != NULL)
    drop(&n->ports->names);
  free(n->ports);
  n->ports = NULL;
}
