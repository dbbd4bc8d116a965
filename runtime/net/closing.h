/*
** Streams that go on behind their close(): what was accepted goes out, and what the
** peer still sends is read and forgotten until its end, for a bounded time.
**
** They are in one list of the host, the oldest first, each with its deadline.
*/

#ifndef NET_CLOSING_H
#define NET_CLOSING_H

#include "net/stream.h"

/* It goes on until it is given up at its deadline (stream.timeout). */
void closing_add(stream *s);
void closing_remove(stream *s);

/* A stream has read n bytes behind its close(): is that enough for now?  Then
 * stream_hear is called when it may go on. */
bool closing_forget(host *h, size_t n);

/* Descriptors are lacking: let go of a stream that only waits for its peer's end.
 * False: there is none. */
bool closing_spare(host *h);

/* The program has ended: close what it left open. */
void closing_leave(host *h);

/* Close at once what still sends: after the lua_State. */
void closing_give_up(host *h);

#endif
