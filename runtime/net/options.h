/*
** Socket options by name.
**
** Each option is a row of the table in option_table.c: its name, level and number
** (which may differ by family), the type and the unit of its value, and
** whether it can still be set on an open socket.  Flags are booleans in Lua,
** times are seconds, sizes are bytes.  All that can be wrong with a script's
** table raises here, before anything is acquired; what the kernel thinks of
** an option is its own, returned error.
*/

#ifndef NET_OPTIONS_H
#define NET_OPTIONS_H

#include <lua.h>
#include <stdbool.h>

#include "net/backend.h"

typedef struct option option; /* a row of the table */

/* Append to spec->options the options in the table at argument `arg` (none or
 * nil: no options), in the order of the table in option_table.c whatever the order
 * in Lua's, so that the same script makes the same calls.  `also` (ended by
 * NULL, or NULL) are names that the caller understands itself.  The family
 * chooses among an option's numbers; for AF_UNSPEC it is IPv4's until
 * options_family() is called.  Metamethods are not used.  Returns how many
 * were appended.
 *
 * Raises an argument error for an unknown name (and says which was meant), a
 * wrong type or range (and says what was expected), too many for the spec. */
int options_parse(lua_State *L, int arg, int family, sockspec *spec,
                  const char *const also[]);

/* The same for an open socket, stream:set{...}: raises for those too which
 * only have an effect before bind or connect.  spec->type and protocol are
 * those of the socket. */
int options_parse_open(lua_State *L, int arg, int family, sockspec *spec);

/* Turn the spec's options into those of a family, once it is known: ttl given
 * for tcp://example.com is IP_TTL or IPV6_UNICAST_HOPS.  An AF_INET6 socket
 * gets both, since it may be dual-stack.  By spec->protocol nodelay is TCP's or
 * SCTP's.  May be called again for another family.  Raises nothing. */
void options_family(sockspec *spec, int family);

/* socket:get(name): fill level, name and length of *o to ask for the option
 * named by the string argument arg, of a socket of this family and protocol (0:
 * whatever).  Raises for unknown names and those that cannot be asked for. */
const option *options_ask(lua_State *L, int arg, int family, int protocol,
                          sockopt *o);

/* Push the Lua value of the answer: o's value is filled, and its length. */
void options_push(lua_State *L, const option *row, const sockopt *o);

#endif
