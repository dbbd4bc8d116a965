/*
** Messages between hosts: Lua values as bytes that belong to no lua_State.
**
** What can be sent is copied: nil, booleans, numbers, strings, tables of those
** (without a metatable), error objects, JSON's arrays and null, and channels, which are
** shared.
** Anything else raises, as do a table nested deeper than MESSAGE_DEPTH (or in
** itself), and more than MESSAGE_LIMIT bytes.
*/

#ifndef WORKER_MESSAGE_H
#define WORKER_MESSAGE_H

#include <lua.h>
#include <stddef.h>

struct channel;
struct scratch;

enum { MESSAGE_DEPTH = 180, MESSAGE_LIMIT = 256 * 1024 * 1024 };

typedef struct message {
  struct message *next;      /* in a channel */
  struct channel **channels; /* that it names; each counts as a reference */
  unsigned channel_count;
  size_t size;
  char bytes[];
} message;

/* Encode the values from index `first` to the top, in the scratch of the host
 * (workshop.h).  Raises; no channel is held by
 * what did not become a message. */
message *message_encode(lua_State *L, int first);

/* Push the values of a message, and return how many they are.  Raises on lack
 * of memory; the message stays the caller's. */
int message_decode(lua_State *L, const message *m);

/* Push the values of the first message of a list, free it, and return how many they
 * are.  A finalizer may take the next ones meanwhile.  Raises on lack of memory; then it
 * is the first one again. */
int message_take(lua_State *L, message **list);

void message_free(message *m);

void scratch_free(struct scratch *s);

#endif
