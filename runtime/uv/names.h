/*
** Names of services, protocols and interfaces.  For the backend's table.
*/

#ifndef UV_NAMES_H
#define UV_NAMES_H

#include <stddef.h>

#include "net/backend.h"

int names_service_port(host *h, const char *name, const char *proto);
int names_service_name(host *h, int port, const char *proto, char *out,
                       size_t size);
int names_protocol(host *h, const char *name);
int names_ifindex(host *h, const char *name);
int names_ifname(host *h, unsigned index, char out[16]);
int names_interfaces(host *h, netifs *all); /* interfaces.c */

#endif
