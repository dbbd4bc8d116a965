/*
** Wires within: what the files that make them share.  Reading and writing are in
** socket_io.c, ends in socket_close.c, and what SCTP has of its own in sctp.c.
*/

#ifndef UV_WIRE_H
#define UV_WIRE_H

#include <errno.h>

#include "uv/socket.h"

/* Will the same call do later? */
static inline bool is_transient(int error) {
  return error == EAGAIN || error == ENOMEM || error == ENOBUFS;
}

/* Of a transport of sockets (backend.h): try_write. */
ssize_t wire_send(stream *s, const struct iovec *v, int n);

/* What came of a write: a count or -errno.  What has no buffers is as if it had no room, but
 * for a while, and so nobody asks again and again: w->pause. */
ssize_t wire_written(wire *w, ssize_t n);

/* Free the note of its peer's address. */
void wire_forget_peer(wire *w);

/* Of transports, too: shutdown, of which each has its own, discard, and so on. */
int wire_shutdown(stream *s);
int wire_shutdown_pipe(stream *s);
int wire_shutdown_tty(stream *s);
bool wire_discard(stream *s);
bool wire_takes_back(stream *s);
int wire_unacknowledged(stream *s);
void wire_close(stream *s, bool reset);
int wire_detach(stream *s);

/* Of terminals; -ENOTTY of others. */
int wire_resize(stream *s, unsigned rows, unsigned columns);

/* Of SCTP's. */
ssize_t sctp_send(stream *s, const struct iovec *v, int n);
int sctp_shutdown(stream *s);

/* As recv, of one that sctp_shutdown has shut. */
ssize_t sctp_recv(int fd, char *bytes, size_t n);

/* A read or write of any wire failed.  If it is SCTP's, and ends the connection,
 * it is to have an end to be read, for the kernel tells it only once.  Returns
 * the status. */
int sctp_told(wire *w, int status);

#endif
