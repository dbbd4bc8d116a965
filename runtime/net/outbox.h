/*
** Bytes on their way out.
**
** Small writes gather until the task and perhaps a few others have suspended (or
** GATHER bytes have); then one writev sends them.  What the kernel refuses is
** kept in chunks, in order, and goes out as it becomes writable.  A large string
** is not copied: its chunk holds a reference, which Lua's side releases
** afterwards.  Where there is no memory for a copy, writing has failed (ENOMEM).
*/

#ifndef NET_OUTBOX_H
#define NET_OUTBOX_H

#include "net/stream.h"

enum {
  GATHER = 16 * 1024,    /* bytes gathered before they are sent anyway */
  HIGH_WATER = 64 * 1024 /* bytes kept, in or out, before the peer or the
                            writer is slowed */
};

typedef struct chunk chunk;

typedef struct outbox {
  chunk *first, *last; /* what the kernel refused, oldest first */
  uint64_t pending;    /* bytes in the chunks */
  uint32_t gathered;
  char gather[GATHER];
} outbox;

static inline uint64_t outbox_pending(const stream *s) {
  return s->out != NULL ? s->out->pending : 0;
}

/* Where the next small write of this run goes, and how many bytes fit there. */
char *outbox_room(stream *s, size_t *n);

/* So many, perhaps none, were put there. */
void outbox_gathered(stream *s, size_t n);

/* Send what was gathered. */
void outbox_flush(stream *s);

/* Send what was gathered and then the n pieces v[1] to v[n], which are used
 * up; v[0] is room for what was gathered.  ref(about, i) is asked for a
 * registry reference that keeps piece i alive, where the kernel leaves it and
 * it is too large to copy; it must not raise, and may say LUA_NOREF: copy it.
 * NULL: copy all. */
void outbox_send(stream *s, struct iovec *v, int n, int (*ref)(void *, int),
                 void *about);

/* Send the piece v[1] with copies of n descriptors, behind all that was accepted
 * before: 0, and what is left of the piece is kept, as above.  -EAGAIN: nothing
 * happened, stream_writable tells when to try again; or why it is refused,
 * which ends nothing. */
int outbox_pass(stream *s, struct iovec v[2], const int *fds, int n,
                int (*ref)(void *, int), void *about);

/* The kernel takes bytes again: go on with the chunks. */
void outbox_pump(stream *s);

/* It takes no more bytes, for this reason. */
void outbox_fail(stream *s, int status);

/* Forget everything. */
void outbox_drop(stream *s);

/* A linked stream (stream.linked) has gathered bytes.  Let it be none. */
void outbox_unlink(stream *s);

/* Send what all streams of the host have gathered; and at its end. */
void outboxes_flush(host *h);
void outboxes_close(host *h);

#endif
