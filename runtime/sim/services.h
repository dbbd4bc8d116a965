/*
** Names of services and protocols: the usual ones, the same on every machine.  For the
** backend's table.
*/

#ifndef SIM_SERVICES_H
#define SIM_SERVICES_H

#include "net/backend.h"

int services_port(host *h, const char *name, const char *proto);
int services_name(host *h, int port, const char *proto, char *out, size_t size);
int services_protocol(host *h, const char *name);

#endif
