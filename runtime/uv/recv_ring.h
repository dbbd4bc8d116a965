/*
** The receive ring: where the messages of one recvmmsg lie until the tasks that they
** wake have run.  One for all sockets of a loop, made when first needed; of
** its memory only what is written to is ever touched.
**
** A slot takes the largest datagram of IP; unix sockets, whose messages may be
** larger, get fewer and larger slots.
*/

#ifndef UV_RECV_RING_H
#define UV_RECV_RING_H

#include <sys/types.h>

#include "net/datagram.h"
#include "uv/loop.h"

/* So many messages of a socket at once, at most. */
unsigned recv_ring_room(const datagram *d);

/* Receive up to `most` times: how often that was done, or a negative errno.
 * What was received is there until the next call. */
int recv_ring_receive(loop *l, const datagram *d, int fd, unsigned most);

/* The next of its messages, DATAGRAM_BATCH at most; 0: no more.  One of the
 * kernel's may be many that it has put together (UDP_GRO): here they are those
 * that were sent. */
unsigned recv_ring_next(loop *l, arrival **list);

void recv_ring_free(struct recv_ring *a);

#endif
