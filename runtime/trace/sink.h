/*
** Where a tracer's bytes go: a buffer in front of a descriptor, or one that a
** script takes away.
**
** A descriptor's buffer is written when it is full, and a moment after
** something came into it.  A script's has a bound: beyond it events are
** dropped, and counted.
*/

#ifndef TRACE_SINK_H
#define TRACE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SINK_ROOM = 32 * 1024, /* bytes before a descriptor's are written */
  SINK_LIMIT = 1 << 20   /* bytes that may wait for a script, or for a
                              descriptor that does not block */
};

typedef struct sink {
  int fd; /* -1: a script takes them */
  bool owned;
  bool prompt; /* written after each event: somebody looks */
  int error;   /* of writing: a negative errno.  Nothing is written any more */
  char *bytes;
  size_t used, room;
} sink;

/* Open a file to be overwritten: 0 or a negative errno. */
int sink_open(sink *s, const char *path);

/* Is there room for one event more?  Its size does not matter. */
bool sink_takes(const sink *s);

/* At least n bytes of room; what was put there is added by sink_add. */
char *sink_room(sink *s, size_t n);

static inline void sink_add(sink *s, size_t n) {
  s->used += n;
}

void sink_put(sink *s, const void *bytes, size_t n);

/* Forget the first n bytes. */
void sink_skip(sink *s, size_t n);

/* Write what is there. */
void sink_flush(sink *s);

void sink_close(sink *s);

#endif
