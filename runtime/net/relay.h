/*
** Relays: the bytes of two streams, each to the other.
*/

#ifndef NET_RELAY_H
#define NET_RELAY_H

#include "net/stream.h"

int relay_lua(lua_State *L);
int pump_lua(lua_State *L);
int moved_lua(lua_State *L);
int rouse_lua(lua_State *L);

/* One of its streams is being closed: the relay ends. */
void relay_interrupt(struct relaying *r);
const waitq *relay_waiter(const struct relaying *r);
void relay_open(lua_State *L);

#endif
