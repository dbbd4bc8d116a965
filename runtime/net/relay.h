/*
** Relays: the bytes of two streams, each to the other.
*/

#ifndef NET_RELAY_H
#define NET_RELAY_H

#include "net/stream.h"

/* One of its streams is being closed: the relay ends. */
void relay_interrupt(struct relaying *r);
const waitq *relay_waiter(const struct relaying *r);

#endif
