/*
** Groups: who of a node is in them, and whom of the others he hears.
*/

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "host/memory.h"
#include "sim/message.h"

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif


static int family_of(const address *a) {
  return a->u.any.sa_family;
}


bool group_is(const address *a) {
  return family_of(a) == AF_INET
             ? ntohl(a->u.in4.sin_addr.s_addr) >> 28 == 14
             : family_of(a) == AF_INET6 &&
                   IN6_IS_ADDR_MULTICAST(&a->u.in6.sin6_addr);
}


/* Without port and scope. */
static address bare(const address *a) {
  address b = *a;
  address_set_port(&b, 0);
  if (family_of(&b) == AF_INET6)
    b.u.in6.sin6_scope_id = 0;
  return b;
}


static bool is_same(const address *a, const address *b) {
  return a->length > 0 ? b->length > 0 && address_equal(a, b) : b->length == 0;
}


static membership **find(message_socket *m, const membership *like) {
  membership **at = &m->memberships;
  while (*at != NULL && ((*at)->interface != like->interface ||
                         !is_same(&(*at)->group, &like->group) ||
                         !is_same(&(*at)->source, &like->source)))
    at = &(*at)->next;
  return at;
}


static int enter(message_socket *m, const membership *like) {
  if (*find(m, like) != NULL)
    return like->source.length > 0 ? -EADDRNOTAVAIL : -EADDRINUSE;
  membership *x = memory_new(sizeof *x);
  *x = *like;
  x->next = m->memberships;
  m->memberships = x;
  return 0;
}


static int quit(message_socket *m, const membership *like) {
  membership **at = find(m, like);
  membership *x = *at;
  if (x == NULL)
    return -EADDRNOTAVAIL;
  *at = x->next;
  free(x);
  return 0;
}


int group_change(datagram *d, bool leave, const address *group,
                 const address *source, unsigned interface) {
  message_socket *m = message_of(d);
  node *n = message_node(m);
  membership like = {.interface = interface};
  if (!address_is_ip(group) || d->family == AF_UNIX)
    return -ENOPROTOOPT;
  if (!group_is(group))
    return -EINVAL;
  if (d->family == AF_INET && family_of(group) == AF_INET6)
    return -ENOPROTOOPT;
  if (interface == 0 && family_of(group) == AF_INET6)
    like.interface = group->u.in6.sin6_scope_id;
  if (like.interface == 0)
    like.interface = FIRST_INTERFACE;
  if (!netif_has(n, like.interface))
    return -ENODEV;
  like.group = bare(group);
  if (source != NULL)
    like.source = bare(source);
  return leave ? quit(m, &like) : enter(m, &like);
}


static bool is_member(const message_socket *m, const address *group) {
  for (const membership *x = m->memberships; x != NULL; x = x->next)
    if (is_same(&x->group, group))
      return true;
  return false;
}


bool node_in_group(node *n, const address *group) {
  address g = bare(group);
  if (n->mails == NULL)
    return false;
  for (int i = 0; i < PLACES; i++)
    for (const message_socket *m = n->mails->places[i]; m != NULL; m = m->next)
      if (is_member(m, &g))
        return true;
  return false;
}


/* Who has not joined hears it where somebody else of his node has, unless he does not
 * want that. */
bool group_has(message_socket *m, const address *group, const address *source) {
  address g = bare(group), from = bare(source);
  if (!is_member(m, &g))
    return message_ip_option(m, family_of(group), IP_MULTICAST_ALL,
                             IPV6_MULTICAST_ALL, 1) != 0;
  for (const membership *x = m->memberships; x != NULL; x = x->next)
    if (is_same(&x->group, &g) &&
        (x->source.length == 0 || is_same(&x->source, &from)))
      return true;
  return false;
}
