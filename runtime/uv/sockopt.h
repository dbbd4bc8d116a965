/*
** Sockets as bare descriptors: their options, addresses and opening.
*/

#ifndef UV_SOCKOPT_H
#define UV_SOCKOPT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "net/backend.h"

static inline bool is_ip_family(int family) {
  return family == AF_INET || family == AF_INET6;
}

/* 0 or -errno.  option_set notes in *lingers that closing may block (see
 * wire.lingers). */
int option_set(int fd, const sockopt *o, bool *lingers);
int option_get(int fd, sockopt *o);
int option_int(int fd, int level, int name); /* its value, or -errno */
int address_local(int fd, address *a);
int address_remote(int fd, address *a);

/* socket(2) and the options of spec; what neap sets by default comes first.
 * The descriptor, or a negative errno. */
int socket_open(const sockspec *spec, bool listening, bool *lingers);

#endif
