/*
** Options of message sockets: kept as they were set, and asked for when they matter.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/message.h"

enum { LEAST_RECEIVED = 2304, LEAST_SENT = 4608 }; /* of the kernel's buffers */

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif


static setting *find_setting(message_socket *m, int level, int name) {
  setting *x = m->settings;
  while (x != NULL && (x->option.level != level || x->option.name != name))
    x = x->next;
  return x;
}


const sockopt *message_setting(message_socket *m, int level, int name) {
  const setting *x = find_setting(m, level, name);
  return x != NULL ? &x->option : NULL;
}


int message_option(message_socket *m, int level, int name, int otherwise) {
  const setting *x = find_setting(m, level, name);
  if (x != NULL)
    memcpy(&otherwise, x->option.value, sizeof otherwise);
  return otherwise;
}


int message_ip_option(message_socket *m, int family, int four, int six,
                      int otherwise) {
  return family == AF_INET ? message_option(m, IPPROTO_IP, four, otherwise)
                           : message_option(m, IPPROTO_IPV6, six, otherwise);
}


/* The kernel takes twice of what was asked for, of what it has. */
static void double_buffer(sockopt *o) {
  int size, least = o->name == SO_RCVBUF ? LEAST_RECEIVED : LEAST_SENT;
  memcpy(&size, o->value, sizeof size);
  size = size < BUFFER ? 2 * size : 2 * BUFFER;
  size = size > least ? size : least;
  memcpy(o->value, &size, sizeof size);
}


void message_keep_option(message_socket *m, const sockopt *o) {
  setting *x = find_setting(m, o->level, o->name);
  if (x == NULL) {
    x = memory_new(sizeof *x);
    x->next = m->settings;
    m->settings = x;
  }
  x->option = *o;
  if (o->level == SOL_SOCKET && (o->name == SO_RCVBUF || o->name == SO_SNDBUF))
    double_buffer(&x->option);
}


static int check_option(message_socket *m, const sockopt *o) {
  const datagram *d = message_datagram(m);
  if (d->type == SOCK_RAW && o->level == IPPROTO_IP && o->name == IP_HDRINCL)
    return -ENOSYS; /* the header is the node's */
  if (o->level == SOL_SOCKET) {
    bool device = o->name == SO_BINDTODEVICE && o->value[0] != '\0';
    return device ? netif_index(d->host, (const char *)o->value) : 0;
  }
  bool ip = d->family != AF_UNIX &&
            (o->level == IPPROTO_IP ||
             (o->level == IPPROTO_IPV6 && d->family == AF_INET6));
  if (ip || (o->level == IPPROTO_UDP && d->protocol == IPPROTO_UDP) ||
      (d->type == SOCK_RAW && o->level != IPPROTO_TCP))
    return 0;
  return d->family == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
}


int message_set_option(datagram *d, const sockopt *o) {
  message_socket *m = message_of(d);
  int status = check_option(m, o);
  if (status < 0)
    return status;
  message_keep_option(m, o);
  return 0;
}


static const struct preset {
  int level, name, value;
} presets[] = {
    {SOL_SOCKET, SO_RCVBUF, BUFFER},
    {SOL_SOCKET, SO_SNDBUF, BUFFER},
    {IPPROTO_IP, IP_TTL, 64},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64},
    {IPPROTO_IP, IP_MULTICAST_TTL, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1},
    {IPPROTO_IP, IP_MULTICAST_LOOP, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1},
    {IPPROTO_IP, IP_MULTICAST_ALL, 1},
    {IPPROTO_IPV6, 29 /* IPV6_MULTICAST_ALL */, 1},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT},
    {0, -1, 0},
};


static void put_int(sockopt *o, int value) {
  memcpy(o->value, &value, sizeof value);
  o->length = sizeof value;
}


static void put_drops(const message_socket *m, sockopt *o) {
  uint32_t words[9] = {[0] = (uint32_t)m->held, [8] = m->drops};
  memcpy(o->value, words, sizeof words);
  o->length = sizeof words;
}


int message_take_error(message_socket *m) {
  int status = m->soft_error;
  m->soft_error = 0;
  if (status == 0 && m->troubles != NULL)
    status = m->troubles->what.status;
  return status;
}


int message_get_option(datagram *d, sockopt *o) {
  message_socket *m = message_of(d);
  const setting *x = find_setting(m, o->level, o->name);
  const struct preset *p = presets;
  if (o->level == SOL_SOCKET && o->name == SO_MEMINFO) {
    put_drops(m, o);
    return 0;
  }
  if (o->level == SOL_SOCKET && o->name == SO_ERROR) {
    put_int(o, -message_take_error(m));
    return 0;
  }
  if (x != NULL) {
    *o = x->option;
    return 0;
  }
  int status = check_option(m, o);
  if (status < 0)
    return status;
  while (p->name >= 0 && (p->level != o->level || p->name != o->name))
    p++;
  memset(o->value, 0, sizeof o->value);
  put_int(o, p->value);
  return 0;
}
