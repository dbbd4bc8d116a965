/*
** Ports: the transport's part of a message socket.
*/

#ifndef UV_DATAGRAM_H
#define UV_DATAGRAM_H

#include "net/backend.h"
#include "uv/loop.h"

int port_bind(host *h, const sockspec *spec, datagram **out);
int port_connect(host *h, const sockspec *spec, datagram **out);
int port_adopt(host *h, int fd, datagram **out);
int port_pair(host *h, int type, datagram **a, datagram **b);

/* A connected seqpacket socket that was accepted; fd is its own from now on. */
datagram *port_accepted(host *h, int fd);

#endif
