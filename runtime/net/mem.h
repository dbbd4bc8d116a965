/*
** mem: streams between the tasks of a host, and listeners for them.
*/

#ifndef NET_MEM_H
#define NET_MEM_H

#include "net/backend.h"

int mem_listen(host *h, const char *name, int backlog, listener **out);
int mem_connect(host *h, const char *name, stream **out);
int mem_pair(host *h, stream **a, stream **b);

#endif
