/*
** The module neap.trace.core, and the end of tracing.
*/

#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include "host/host.h"

/* Register the module; call it through host_call, after net_open. */
int trace_open(lua_State *L);

/* After the lua_State and the last socket: end what still traces. */
void trace_close(host *h);

#endif
