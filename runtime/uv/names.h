/*
** Names: hosts, services, interfaces.  For the backend's table.
*/

#ifndef UV_NAMES_H
#define UV_NAMES_H

#include <stddef.h>

#include "net/backend.h"

int names_resolve(host *h, lookup *l);
void names_unresolve(lookup *l);
int names_service_port(host *h, const char *name, const char *proto);
int names_service_name(host *h, int port, const char *proto, char *out,
                       size_t size);
int names_protocol(host *h, const char *name);
int names_ifindex(host *h, const char *name);
int names_ifname(host *h, unsigned index, char out[16]);
int names_interfaces(host *h, netifs *all); /* interfaces.c */

/* Call before each use of libuv's thread pool, pool_end after it: the first
 * use decides how many threads there are, by a variable of the environment
 * that children must not see.  `mine` is what pool_begin gave. */
int pool_begin(void);
void pool_end(int mine);

#endif
