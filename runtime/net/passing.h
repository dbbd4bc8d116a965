/*
** Descriptors that pass over a stream, between its bytes.
**
** The kernel hands them up with the bytes of one read, which end within the
** message that carried them; so much is known of their place, and kept: a
** *parcel* is what came with one read, and remembers how many bytes have
** arrived behind it.  Parcels are kept from when the script first asks for
** descriptors (before that the kernel closes what arrives), until it takes
** them or the stream is closed.  Where PASSED_MAX of them wait, reading stops.
*/

#ifndef NET_PASSING_H
#define NET_PASSING_H

#include <lua.h>

#include "net/stream.h"

/* Keep what arrives from now on.  False where none can: no unix stream. */
bool passing_begin(stream *s);

/* How many of the unread bytes come up to and with the first parcel; SIZE_MAX
 * when there is none. */
size_t passing_distance(const stream *s);

/* So many wait to be taken that nothing more is read. */
bool passing_full(const stream *s);

/* Push the first parcel of the stream whose box is at index 1, which is gone
 * then: a table of Descriptors, and what else is known of them, or nil. */
void passing_push(lua_State *L);

/* Close those that nobody took. */
void passing_drop(stream *s);

/* nil and the error for a stream that passes none. */
int passing_refuse(lua_State *L, stream *s, const char *op);

extern const luaL_Reg passing_methods[]; /* sendfd */

#endif
