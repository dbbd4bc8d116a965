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

/* public_only: not to private addresses. */
void dial_public(lua_State *L, sockspec *spec);

/* Raise where `resolver` or `cache`, which are of names, are none. */
void dial_check_names(lua_State *L);

/* The endpoint's address, or the one that a lookup found; false for none. */
bool dial_address(lua_State *L, endpoint *e);

/* Begin a spec with what the endpoint says. */
void dial_spec(sockspec *spec, const endpoint *e);

/* The host * is one socket for IPv4 and IPv6: let that take both, and return how many
 * options there were before.  Is `status` that of a machine without IPv6?  Then make
 * the spec one of IPv4 alone. */
unsigned dial_dual(sockspec *spec);
bool dial_v4_alone(endpoint *e, sockspec *spec, unsigned count, int status);

/* Of a unix socket's file: mode and unlink_stale. */
void dial_file(lua_State *L, sockspec *spec);

/* Let the workers that run the same script share a port, unless the options
 * say otherwise. */
void dial_share(lua_State *L, const endpoint *e, sockspec *spec);

/* Nil and an error about the endpoint, which the trace is told, too; with the words of
 * the hint, unless it is NULL. */
int dial_fail(lua_State *L, int status, const char *op, const endpoint *e,
              const char *hint);

/* net.connect of a message socket (bind.c); checked arguments at 1 to 3. */
int dial_datagram(lua_State *L, endpoint *e);

#endif
