/*
** The arena: where the messages of one recvmmsg lie until the tasks that they
** wake have run.  One for all sockets of a loop, made when first needed; of
** its memory only what is written to is ever touched.
**
** A slot takes the largest datagram of IP; unix sockets, whose messages may be
** larger, get fewer and larger slots.
*/

#ifndef UV_ARENA_H
#define UV_ARENA_H

#include <sys/types.h>

#include "net/datagram.h"
#include "uv/loop.h"

/* Receive up to `most` messages: how many of *list, or a negative errno.  What
 * a list shows is there until the next call. */
int arena_receive(loop *l, const datagram *d, int fd, unsigned most,
                  arrival **list);

void arena_free(struct arena *a);

#endif
