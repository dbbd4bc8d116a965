/*
** Rules 3, 4 and 7 are missing (deprecated and home addresses, tunnels), for what they
** look at the system does not tell with a source address.
*/

#include "uv/prefer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/memory.h"

typedef struct candidate {
  address to;
  bool reachable;
  bool same_scope, same_label; /* as the source address */
  int precedence, scope;
  int common; /* bits that both begin with, of IPv6 */
} candidate;

typedef struct policy {
  unsigned char prefix[16];
  int bits, precedence, label;
} policy;

enum { LINK_LOCAL = 2, SITE_LOCAL = 5, GLOBAL = 14 };

/* Section 2.1; the longest prefixes first. */
static const policy policies[] = {
    {{[15] = 1}, 128, 50, 0},  {{[10] = 0xff, 0xff}, 96, 35, 4},
    {{0}, 96, 1, 3},           {{0x20, 0x01, 0, 0}, 32, 5, 5},
    {{0x20, 0x02}, 16, 30, 2}, {{0x3f, 0xfe}, 16, 1, 12},
    {{0xfe, 0xc0}, 10, 1, 11}, {{0xfc}, 7, 3, 13},
    {{0}, 0, 40, 1},
};


/* IPv4's as ::ffff:a.b.c.d. */
static struct in6_addr as_six(const address *a) {
  struct in6_addr six = {.s6_addr = {[10] = 0xff, 0xff}};
  if (a->u.any.sa_family == AF_INET6)
    return a->u.in6.sin6_addr;
  memcpy(&six.s6_addr[12], &a->u.in4.sin_addr, 4);
  return six;
}


static int common_bits(const unsigned char *a, const unsigned char *b) {
  int bits = 0;
  while (bits < 128 && ((a[bits / 8] ^ b[bits / 8]) & 0x80 >> bits % 8) == 0)
    bits++;
  return bits;
}


static const policy *policy_of(const struct in6_addr *a) {
  const policy *p = policies;
  while (common_bits(p->prefix, a->s6_addr) < p->bits)
    p++;
  return p;
}


/* Section 3.2: IPv4's loopback and autoconfigured addresses are link-local. */
static int scope_of(const struct in6_addr *a) {
  const unsigned char *b = a->s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(a))
    return b[12] == 127 || (b[12] == 169 && b[13] == 254) ? LINK_LOCAL : GLOBAL;
  if (IN6_IS_ADDR_MULTICAST(a))
    return b[1] & 15;
  if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a))
    return LINK_LOCAL;
  return IN6_IS_ADDR_SITELOCAL(a) ? SITE_LOCAL : GLOBAL;
}


/* Connecting sends nothing: the system only chooses an address. */
static bool find_source(const address *to, address *from) {
  address there = *to;
  int fd = socket(to->u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  address_set_port(&there, 53);
  memset(from, 0, sizeof *from);
  from->length = sizeof from->u;
  bool found = connect(fd, &there.u.any, there.length) == 0 &&
               getsockname(fd, &from->u.any, &from->length) == 0;
  close(fd);
  return found;
}


static void judge(candidate *c) {
  address from;
  struct in6_addr to = as_six(&c->to);
  const policy *p = policy_of(&to);
  c->precedence = p->precedence;
  c->scope = scope_of(&to);
  c->reachable = find_source(&c->to, &from);
  if (!c->reachable)
    return;
  struct in6_addr source = as_six(&from);
  c->same_scope = scope_of(&source) == c->scope;
  c->same_label = policy_of(&source)->label == p->label;
  if (c->to.u.any.sa_family == AF_INET6)
    c->common = common_bits(to.s6_addr, source.s6_addr);
}


/* Section 6, in its order. */
static bool is_better(const candidate *a, const candidate *b) {
  if (a->reachable != b->reachable)
    return a->reachable;
  if (a->same_scope != b->same_scope)
    return a->same_scope;
  if (a->same_label != b->same_label)
    return a->same_label;
  if (a->precedence != b->precedence)
    return a->precedence > b->precedence;
  if (a->scope != b->scope)
    return a->scope < b->scope;
  return a->to.u.any.sa_family == AF_INET6 &&
         b->to.u.any.sa_family == AF_INET6 && a->common > b->common;
}


void prefer_sort(address *all, size_t n) {
  if (n < 2)
    return;
  candidate *list = memory_new(n * sizeof *list);
  for (size_t i = 0; i < n; i++) {
    candidate c = {.to = all[i]};
    size_t at = i;
    judge(&c);
    for (; at > 0 && is_better(&c, &list[at - 1]); at--)
      list[at] = list[at - 1];
    list[at] = c;
  }
  for (size_t i = 0; i < n; i++)
    all[i] = list[i].to;
  free(list);
}
