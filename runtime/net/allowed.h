/*
** May it be?  What --restrict, and an option of the socket, say about the address that the
** backend is about to be given.
**
** Each returns 0 or a status to fail with.  Whatever makes a socket, names its peer or
** takes a descriptor asks here, right before, and nothing changes the address between.
*/

#ifndef NET_ALLOWED_H
#define NET_ALLOWED_H

#include "guard/guard.h"
#include "net/datagram.h"

int allowed_connect(const sockspec *spec);
int allowed_listen(const sockspec *spec);
int allowed_bind(const sockspec *spec);
int allowed_peer(const datagram *d, const address *to);
int allowed_group(const address *group);
int allowed_descriptor(host *h, int fd);

/* A message to there; asked for each. */
static inline int allowed_message(const datagram *d, const address *to) {
  return guard_stands() && to != NULL ? allowed_peer(d, to) : 0;
}

#endif
