#include "net/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "host/memory.h"

enum { SMALLEST = 256 };


/* Make room for n bytes in a buffer of our own, what is there at its start. */
static void reserve(inbox *in, size_t n) {
  size_t room = in->room > 0 ? in->room : SMALLEST;
  while (room < n)
    room *= 2;
  if (room > UINT32_MAX)
    room = UINT32_MAX;
  uint32_t size = inbox_size(in);
  if (in->room == 0) {
    char *own = memory_grow(NULL, room);
    if (size > 0)
      memcpy(own, inbox_bytes(in), size);
    in->bytes = own;
  } else {
    memmove(in->bytes, inbox_bytes(in), size);
    if (room > in->room)
      in->bytes = memory_grow(in->bytes, room);
  }
  in->room = (uint32_t)room;
  in->start = 0;
  in->end = size;
}


void inbox_add(inbox *in, char *bytes, size_t n) {
  if (inbox_size(in) == 0) {
    inbox_clear(in);
    in->bytes = bytes;
    in->end = (uint32_t)n;
    return;
  }
  if (in->room - (in->room > 0 ? in->end : 0) < n)
    reserve(in, inbox_size(in) + n);
  memcpy(in->bytes + in->end, bytes, n);
  in->end += (uint32_t)n;
}


void inbox_keep(inbox *in) {
  if (inbox_size(in) == 0)
    inbox_clear(in);
  else if (in->room == 0)
    reserve(in, inbox_size(in));
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
