/*
** What the files of uv/ give the sockets of a host, for the table in
** backend.c.  The contracts are those of net/backend.h.
*/

#ifndef UV_BACKEND_H
#define UV_BACKEND_H

#include "net/backend.h"

extern const backend uv_backend;

/* listener.c */
int acceptor_listen(host *h, const sockspec *spec, listener **out);
int acceptor_accept(listener *l, stream **out, datagram **message_socket);
bool acceptor_acceptable(listener *l);
int acceptor_watch(listener *l);
void acceptor_rest(listener *l);
void acceptor_close(listener *l);
int acceptor_set(listener *l, const sockopt *o);
int acceptor_get(listener *l, sockopt *o);
int acceptor_fd(listener *l);

/* A listening socket that somebody else made; fd is ours from success on. */
int acceptor_adopt(host *h, int fd, listener **out);

/* connect.c */
int connect_begin(host *h, const sockspec *spec, stream **out);
int connect_pair(host *h, int type, stream **a, stream **b);

/* adopt.c */
int adopt_permits(host *h, int fd);
int adopt_take(host *h, int fd, stream **s, listener **l);
int adopt_borrow(host *h, int fd, bool reading, stream **s);
void adopt_disown(host *h, int fd);
void adopt_discard(host *h, int fd);

/* relay.c */
struct relay *pump_begin(host *h, stream *a, stream *b, void (*done)(void *),
                         void *owner);
void pump_stop(struct relay *r);
int pump_result(struct relay *r, uint64_t counts[2]);
bool pump_may_relay(stream *from, stream *to);

#endif
