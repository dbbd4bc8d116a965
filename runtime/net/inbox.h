/*
** Received bytes that no one has read yet.
**
** They are *borrowed* where they arrived, in the loop's shared buffer, while
** the reader runs; inbox_keep copies the rest.  So an idle stream owns no
** buffer, and what is read at once is never copied on the way to Lua.
*/

#ifndef NET_INBOX_H
#define NET_INBOX_H

#include "net/stream.h"

static inline uint32_t inbox_size(const inbox *in) {
  return in->end - in->start;
}

/* Of one that is not empty. */
static inline const char *inbox_bytes(const inbox *in) {
  return in->bytes + in->start;
}

/* Append n bytes that stay where they are until inbox_keep.  False: there is no
 * memory for them behind what is there. */
bool inbox_add(inbox *in, char *bytes, size_t n);

/* Own what is left of them.  False: there is no memory, and they are gone. */
bool inbox_keep(inbox *in);

/* Forget the first n bytes. */
void inbox_skip(inbox *in, size_t n);

void inbox_clear(inbox *in);

#endif
