#include "sim/interfaces.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/mails.h"

#define LOWER_UP 0x10000 /* IFF_LOWER_UP of linux/if.h */


/*
** Networks
*/

static const unsigned char *ip_bytes(const address *a, unsigned *bits) {
  *bits = a->u.any.sa_family == AF_INET ? 32 : 128;
  return *bits == 32 ? (const unsigned char *)&a->u.in4.sin_addr
                     : (const unsigned char *)&a->u.in6.sin6_addr;
}


/* Do both begin with the same so many bits? */
static bool share_prefix(const address *a, const address *b, unsigned prefix) {
  unsigned bits, whole = prefix / 8, rest = prefix % 8;
  const unsigned char *x = ip_bytes(a, &bits), *y = ip_bytes(b, &bits);
  if (a->u.any.sa_family != b->u.any.sa_family || memcmp(x, y, whole) != 0)
    return false;
  return rest == 0 || (x[whole] ^ y[whole]) >> (8 - rest) == 0;
}


static bool same_ip(const address *a, const address *b) {
  unsigned bits;
  ip_bytes(a, &bits);
  return share_prefix(a, b, bits);
}


static bool is_loopback(const address *a) {
  return a->u.any.sa_family == AF_INET
             ? ntohl(a->u.in4.sin_addr.s_addr) >> 24 == 127
             : IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
}


static bool is_group(const address *a) {
  return a->u.any.sa_family == AF_INET
             ? ntohl(a->u.in4.sin_addr.s_addr) >> 28 == 14
             : IN6_IS_ADDR_MULTICAST(&a->u.in6.sin6_addr);
}


/*
** What a node has
*/

static netif *find(struct node *n, const char *name) {
  for (size_t i = 0; i < netifs_of(n)->count; i++)
    if (strcmp(netifs_of(n)->list[i].name, name) == 0)
      return &netifs_of(n)->list[i];
  return NULL;
}


static const netif *by_index(struct node *n, unsigned index) {
  return index > 0 && index <= netifs_of(n)->count
             ? &netifs_of(n)->list[index - 1]
             : NULL;
}


bool netif_has(struct node *n, unsigned index) {
  return by_index(n, index) != NULL;
}


/* That one, or with 0 any but lo, or that. */
static bool may_be(unsigned index, unsigned wanted) {
  return wanted == 0 || index == wanted;
}


unsigned netif_owns(struct node *n, const address *a) {
  if (is_loopback(a))
    return LOOPBACK_INTERFACE;
  for (size_t i = 0; i < netifs_of(n)->count; i++) {
    const netif *x = &netifs_of(n)->list[i];
    for (size_t k = 0; k < x->address_count; k++)
      if (same_ip(&x->addresses[k].addr, a))
        return x->index;
  }
  return 0;
}


static netif *make(struct node *n, const char *name, bool loopback) {
  netifs *all = &node_mails_of(n)->interfaces;
  all->list = memory_grow(all->list, (all->count + 1) * sizeof *all->list);
  netif *x = &all->list[all->count++];
  memset(x, 0, sizeof *x);
  snprintf(x->name, sizeof x->name, "%s", name);
  x->index = (unsigned)all->count;
  x->flags = IFF_UP | IFF_RUNNING | LOWER_UP;
  x->flags |= loopback ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST;
  x->mtu = loopback ? LOOPBACK_MTU : ETHERNET_MTU;
  x->hw_type = loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
  x->hw_size = 6;
  if (!loopback) {
    const uint8_t hw[6] = {2,
                           0,
                           (uint8_t)x->index,
                           0,
                           (uint8_t)(n->index >> 8),
                           (uint8_t)n->index};
    memcpy(x->hw, hw, sizeof hw);
  }
  return x;
}


static const char *scope_of(const address *a) {
  if (is_loopback(a))
    return "host";
  return a->u.any.sa_family == AF_INET6 &&
                 IN6_IS_ADDR_LINKLOCAL(&a->u.in6.sin6_addr)
             ? "link"
             : "global";
}


static void add_to(netif *x, const address *a, uint8_t prefix) {
  x->addresses =
      memory_grow(x->addresses, (x->address_count + 1) * sizeof *x->addresses);
  netif_address *out = &x->addresses[x->address_count++];
  memset(out, 0, sizeof *out);
  out->addr = *a;
  address_set_port(&out->addr, 0);
  out->prefix = prefix;
  out->scope = scope_of(a);
  if (a->u.any.sa_family != AF_INET || is_loopback(a) || prefix >= 31)
    return;
  out->broadcast = out->addr;
  out->broadcast.u.in4.sin_addr.s_addr |=
      htonl(prefix > 0 ? (UINT32_C(1) << (32 - prefix)) - 1 : UINT32_MAX);
}


netifs *netifs_of(struct node *n) {
  netifs *all = &node_mails_of(n)->interfaces;
  if (all->count > 0)
    return all;
  address a;
  netif *lo = make(n, "lo", true);
  address_loopback(&a, AF_INET, 0);
  add_to(lo, &a, 8);
  address_loopback(&a, AF_INET6, 0);
  add_to(lo, &a, 128);
  netif *eth0 = make(n, "eth0", false);
  add_to(eth0, &n->ip4, 8);
  add_to(eth0, &n->ip6, 64);
  return all;
}


/*
** The way to others
*/

static void leave_by(const netif *x, route *out) {
  out->interface = x->index;
  out->mtu = x->mtu;
}


static const address *first_of(const netif *x, int family) {
  for (size_t i = 0; i < x->address_count; i++)
    if (x->addresses[i].addr.u.any.sa_family == family)
      return &x->addresses[i].addr;
  return NULL;
}


/* Of those that the interface has, one of the family: the first but lo's, where none
 * was named. */
static void leave_by_any(struct node *n, int family, unsigned interface,
                         route *out) {
  for (size_t i = 0; i < netifs_of(n)->count; i++) {
    const netif *x = &netifs_of(n)->list[i];
    const address *own = first_of(x, family);
    if (own == NULL || !may_be(x->index, interface) ||
        (interface == 0 && x->index == LOOPBACK_INTERFACE))
      continue;
    leave_by(x, out);
    out->source = *own;
    return;
  }
}


static bool is_on(const netif_address *own, const address *to, route *out) {
  if (!share_prefix(&own->addr, to, own->prefix))
    return false;
  out->source = own->addr;
  out->kind = own->broadcast.length > 0 && same_ip(&own->broadcast, to)
                  ? ROUTE_BROADCAST
                  : ROUTE_NOBODY;
  return true;
}


/* The network of ours that it is in. */
static bool find_network(struct node *n, const address *to, unsigned interface,
                         route *out) {
  for (size_t i = 1; i < netifs_of(n)->count; i++) {
    const netif *x = &netifs_of(n)->list[i];
    for (size_t k = 0; k < x->address_count && may_be(x->index, interface); k++)
      if (is_on(&x->addresses[k], to, out)) {
        leave_by(x, out);
        return true;
      }
  }
  return false;
}


static void route_to_self(struct node *n, const address *to, route *out) {
  leave_by(&netifs_of(n)->list[LOOPBACK_INTERFACE - 1], out);
  out->kind = ROUTE_LOCAL;
  out->node = n;
  out->source = *to;
  if (is_loopback(to))
    address_loopback(&out->source, to->u.any.sa_family, 0);
  address_set_port(&out->source, 0);
}


static bool is_everybody(const address *a) {
  return a->u.any.sa_family == AF_INET &&
         a->u.in4.sin_addr.s_addr == INADDR_BROADCAST;
}


/* 127.255.255.255 is all of lo. */
static bool is_all_of_loopback(const address *a) {
  return a->u.any.sa_family == AF_INET &&
         ntohl(a->u.in4.sin_addr.s_addr) == UINT32_C(0x7fffffff);
}


/* As most are: from eth0 to that of another node. */
static bool is_plain(struct node *n, const address *to, unsigned interface) {
  return interface == 0 &&
         (n->mails == NULL || n->mails->interfaces.count <= FIRST_INTERFACE) &&
         !same_ip(to, &n->ip4) && !same_ip(to, &n->ip6) &&
         node_at(n->sim, to) != NULL;
}


void route_find(struct node *n, const address *to, unsigned interface,
                route *out) {
  int family = to->u.any.sa_family;
  address self;
  *out = (route){.kind = ROUTE_NONE};
  if (is_plain(n, to, interface)) {
    out->kind = ROUTE_NODE;
    out->node = node_at(n->sim, to);
    out->source = family == AF_INET ? n->ip4 : n->ip6;
    out->interface = FIRST_INTERFACE;
    out->mtu = ETHERNET_MTU;
    return;
  }
  if (address_is_any(to)) {
    address_loopback(&self, family, 0);
    to = &self;
  }
  if (is_group(to) || is_everybody(to)) {
    leave_by_any(n, family, interface, out);
    if (out->interface > 0)
      out->kind = is_group(to) ? ROUTE_GROUP : ROUTE_BROADCAST;
    return;
  }
  if (is_all_of_loopback(to)) {
    leave_by_any(n, family, LOOPBACK_INTERFACE, out);
    out->kind = ROUTE_BROADCAST;
    return;
  }
  if (netif_owns(n, to) > 0) {
    route_to_self(n, to, out);
    return;
  }
  bool ours = find_network(n, to, interface, out);
  if (ours && out->kind == ROUTE_BROADCAST)
    return;
  out->node = node_at(n->sim, to);
  if (out->node == NULL)
    return;
  out->kind = ROUTE_NODE;
  if (!ours)
    leave_by_any(n, family, interface, out);
}


/*
** For scripts
*/

int netif_index(host *h, const char *name) {
  const netif *x = find(node_of(h), name);
  return x != NULL ? (int)x->index : -ENODEV;
}


int netif_name(host *h, unsigned index, char out[16]) {
  const netif *x = by_index(node_of(h), index);
  if (x == NULL)
    return -ENXIO;
  memcpy(out, x->name, sizeof x->name);
  return 0;
}


int netif_list(host *h, netifs *all) {
  const netifs *own = netifs_of(node_of(h));
  all->list = memory_new(own->count * sizeof *all->list);
  all->count = own->count;
  for (size_t i = 0; i < own->count; i++) {
    const netif *x = &own->list[i];
    size_t size = x->address_count * sizeof *x->addresses;
    all->list[i] = *x;
    all->list[i].addresses = NULL;
    if (size == 0)
      continue;
    all->list[i].addresses = memory_new(size);
    memcpy(all->list[i].addresses, x->addresses, size);
  }
  return 0;
}
