/*
** What the ways to open a socket share: endpoint, options table and address
** at these indices.
*/

#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <lua.h>

#include "net/backend.h"
#include "net/endpoint.h"

enum { DIAL_ENDPOINT = 1, DIAL_OPTIONS, DIAL_ADDRESS };

/* Push a field of the options, nil where there are none; returns its type.
 * The others take one that is understood there, and raise for a wrong type. */
int dial_option(lua_State *L, const char *name);
lua_Integer dial_integer(lua_State *L, const char *name, lua_Integer otherwise,
                         lua_Integer max);
bool dial_flag(lua_State *L, const char *name);
void dial_local(lua_State *L, sockspec *spec);

/* The endpoint's address, or the one that a lookup found; false for none. */
bool dial_address(lua_State *L, endpoint *e);

/* Begin a spec with what the endpoint says. */
void dial_spec(sockspec *spec, const endpoint *e);

/* Let an IPv6 socket take IPv4 too. */
void dial_dual(sockspec *spec);

/* Let the workers that run the same script share a port, unless the options
 * say otherwise. */
void dial_share(lua_State *L, const endpoint *e, sockspec *spec);

/* net.connect of a message socket (bind.c); checked arguments at 1 to 3. */
int dial_datagram(lua_State *L, endpoint *e);

#endif
