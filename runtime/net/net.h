/*
** The network of a host: opened and closed with it.
*/

#ifndef NET_NET_H
#define NET_NET_H

#include <lua.h>

#include "host/host.h"

/* Create its part (state.h) and register the modules; call it through host_call. */
int net_open(lua_State *L);
void net_close(host *h);

#endif
