/*
** Generic segmentation offload (GSO): messages given to the kernel, as few system calls and as few of the
** kernel's own packets as it takes.
**
** Messages of one size that follow each other to the same destination leave as
** one (UDP_SEGMENT, Linux 4.18), which the network's driver or the receiver
** cuts apart again: nobody sees a difference but by the time it takes.  Not
** every path can do that; what is refused is sent one by one instead.
*/

#ifndef UV_GSO_H
#define UV_GSO_H

#include "net/backend.h"

/* What a socket has learnt: the largest size of messages that may leave as
 * one.  0: none. */
typedef struct gso {
  uint32_t largest;
  bool asked; /* does the kernel know UDP_SEGMENT? */
} gso;

/* The first of a socket: of UDP any size, until it is refused. */
gso gso_of(int family, int type, int protocol);

/* Give up to DATAGRAM_BATCH messages to the kernel: how many it took, or a
 * negative errno why not the first.  The family is the socket's.  A message
 * with descriptors goes alone. */
int gso_send(int fd, int family, gso *p, const outgoing *v, int n);

/* The bytes and the size of a destination as a socket of that family wants it:
 * IPv6's take IPv4 destinations in IPv6's clothes, made in *mapped. */
const void *gso_name(int family, const address *to, struct sockaddr_in6 *mapped,
                     socklen_t *size);

#endif
