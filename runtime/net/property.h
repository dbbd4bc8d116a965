/*
** Properties: what streams, listeners and message sockets have in common as
** Lua sees them.  `socket.name` is a method of the class or, by a row of its
** table, a field; the values of fields that several classes have are pushed
** here, and the arguments that several take are read here.
*/

#ifndef NET_PROPERTY_H
#define NET_PROPERTY_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

#include "net/backend.h"

/* A field: pushes one value. */
typedef struct property {
  const char *name;
  void (*push)(lua_State *L, void *body);
} property;

/* stream_properties.c, datagram_properties.c */
extern const property stream_fields[], datagram_fields[];

/* A class of sockets, static.  An object of it begins with the pointer to its body;
 * while that is NULL (closed) all fields are nil. */
typedef struct socket_class {
  const char *name;
  lua_CFunction close; /* also of what is collected */
  lua_CFunction text;
  const property *fields;         /* ended by a row without a name */
  int room;                       /* of its table of methods, at least */
  const luaL_Reg *const *methods; /* lists of them, the last NULL */
} socket_class;

/* Make it.  Its metatable has the table of methods as `methods`. */
void property_class(lua_State *L, const socket_class *c);

/* Push the field of that name; nil where there is none, or no body. */
void property_push(lua_State *L, const property *list, const char *name,
                   void *body);

/* Nil for what is not there: a negative status or fd, no name, no peer. */
void property_address(lua_State *L, int status, const address *a);
void property_family(lua_State *L, int family);
void property_fd(lua_State *L, int fd);
void property_peer(lua_State *L, int status, const sockopt *peercred);

/* The question whose answer property_peer takes. */
sockopt property_ask_peer(void);

/* A class whose objects have socket options, and begin with the pointer to their body,
 * NULL while it is closed: what a body is (of NULL: something to check arguments by),
 * how it is set and asked, how a failure is told, and, where it has settimeout, what
 * that sets. */
typedef struct optioned {
  sockspec (*about)(void *body); /* family, type and protocol */
  int (*set)(void *body, const sockopt *o);
  int (*get)(void *body, sockopt *o);
  int (*fail)(lua_State *L, void *body, int status, const char *op);
  size_t timeout; /* where the body has its own, in ns, 0 for none: an offset */
} optioned;

/* self:set{name = value, ...} : self | nil, error */
int property_set(lua_State *L, void *const *box, const optioned *how);

/* self:get(name) : value | nil, error */
int property_get(lua_State *L, void *const *box, const optioned *how);

/* self:settimeout(seconds?) : self | nil, error */
int property_settimeout(lua_State *L, void *const *box, const optioned *how);

#endif
