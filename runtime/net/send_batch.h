/*
** Messages on their way out.
**
** Those of one run of a task, or of a few tasks that run together, gather in a
** batch, which is emptied by one system call when these have run or the batch is
** full.  What the kernel has no room for stays in it, and senders wait: so a
** socket holds one batch at most.  A message that the kernel refuses is left out,
** and its error is kept for the next call that sends.
**
** But where each receiver has a queue of his own (datagram.apart), a full one is
** a *jam*: what had gathered for him is set aside, in a batch of its own, and who
** sends to him waits; the messages to others go on.  With many such jams
** nothing gathers any more, so that what a socket holds is bounded.
*/

#ifndef NET_SEND_BATCH_H
#define NET_SEND_BATCH_H

#include "net/datagram.h"

enum {
  BATCH_BYTES = 64 * 1024,
  BATCH_SMALL = 8 * 1024, /* larger messages never gather */
};

/* May a message of so many bytes gather, for that destination (NULL: whom the
 * socket is connected to)? */
bool send_batch_takes(const datagram *d, size_t size, const address *to);

/* Put a copy in; flush first when it does not fit.  False when the kernel has no
 * room, and nothing happened. */
bool send_batch_put(datagram *d, const outgoing *o);

/* A destination takes messages, or refuses them. */
void datagram_know(datagram *d, const address *to);
void datagram_doubt(datagram *d, const address *to);

/* Of the bytes of an address; its upper half is well mixed. */
uint64_t datagram_hash(const void *bytes, size_t n);

/* The kernel took n of these messages (none, of a negative n). */
void datagram_sent(datagram *d, const outgoing *v, int n);

/* Send what was gathered; true when nothing is left but what was set aside. */
bool datagram_flush(datagram *d);

/* Of a blocked socket: has this destination no room? */
bool datagram_blocked(const datagram *d, const address *to);

/* It has none: tell of it when it makes sense to try again. */
void datagram_block(datagram *d, const address *to);

/* It does.  True when somebody who waits may get on. */
bool datagram_unblock(datagram *d);

/* The socket is to be connected to another: forget that its peer had no room.
 * False when messages to him still wait. */
bool datagram_leave(datagram *d);

/* Is there a message that the kernel has not taken? */
bool datagram_waits(const datagram *d);

/* Forget what was not sent, and who had no room; how many messages that was. */
unsigned datagram_drop(datagram *d);

/* Bytes that wait in it. */
size_t send_batch_bytes(const datagram *d);

/* Those of all sockets of this host; and at its end. */
void send_batches_flush(host *h);
void send_batches_close(host *h);

#endif
