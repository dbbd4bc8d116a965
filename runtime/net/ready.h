/*
** Waits that take nothing: for what would not wait then.
*/

#ifndef NET_READY_H
#define NET_READY_H

#include <lauxlib.h>
#include <lua.h>

#include "net/backend.h"

/* The argument "r" (the default), "w" or "rw", as READABLE and WRITABLE. */
unsigned ready_check(lua_State *L, int arg);

/* Put the absolute deadline in the place of the seconds at arg; of the timeout, ns,
 * where there are none (0: no limit).  What is behind it is taken off. */
void ready_limit(lua_State *L, int arg, uint64_t timeout);
uint64_t ready_deadline(lua_State *L, int arg);

/* Push what of it is ready; returns 1. */
int ready_push(lua_State *L, unsigned ready);

extern const luaL_Reg stream_ready_methods[], datagram_ready_methods[];

#endif
