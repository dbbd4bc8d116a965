#include "net/inbox.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 256 };


/* What is unread goes to the start of `own`. */
static void move(inbox *in, char *own, size_t room) {
  uint32_t size = inbox_size(in);
  if (size > 0)
    memmove(own, inbox_bytes(in), size);
  in->bytes = own;
  in->room = (uint32_t)room;
  in->start = 0;
  in->end = size;
}


/* Make room for n bytes in a buffer of our own, what is there at its start.
 * False: there can be none, and what is there stays as it is. */
static bool reserve(inbox *in, size_t n) {
  size_t room = in->room > 0 ? in->room : SMALLEST;
  while (room < n)
    room *= 2;
  if (room > UINT32_MAX)
    room = UINT32_MAX;
  if (in->room > 0)
    move(in, in->bytes, in->room);
  if (room == in->room)
    return true;
  char *own = realloc(in->room > 0 ? in->bytes : NULL, room);
  if (own == NULL)
    return false;
  if (in->room > 0)
    in->bytes = own;
  move(in, own, room);
  return true;
}


bool inbox_add(inbox *in, char *bytes, size_t n) {
  if (inbox_size(in) == 0) {
    inbox_clear(in);
    in->bytes = bytes;
    in->end = (uint32_t)n;
    return true;
  }
  if (in->room - (in->room > 0 ? in->end : 0) < n &&
      !reserve(in, inbox_size(in) + n))
    return false;
  memcpy(in->bytes + in->end, bytes, n);
  in->end += (uint32_t)n;
  return true;
}


bool inbox_keep(inbox *in) {
  if (inbox_size(in) == 0)
    inbox_clear(in);
  else if (in->room == 0 && !reserve(in, inbox_size(in))) {
    inbox_clear(in);
    return false;
  }
  return true;
}


void inbox_skip(inbox *in, size_t n) {
  in->start += (uint32_t)n;
  if (in->start == in->end)
    inbox_clear(in);
}


void inbox_clear(inbox *in) {
  if (in->room > 0)
    free(in->bytes);
  *in = (inbox){.bytes = NULL};
}
