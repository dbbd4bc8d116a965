/*
** A text that is written: in C's stack while it is short, then in a userdata of Lua's,
** which the collector frees whatever is raised.
*/

#ifndef JSON_WRITER_H
#define JSON_WRITER_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { WRITER_OWN = 1024 };

typedef struct writer {
  lua_State *L;
  char *text; /* own, or that of the userdata */
  size_t n;
  size_t room;
  size_t max;    /* of n: raised when it would be more */
  int slot;      /* on the stack, of the userdata */
  bool replaces; /* what is no UTF-8 */
  char own[WRITER_OWN];
} writer;

/* The slot is a new one on the stack. */
void writer_open(writer *w, lua_State *L);

/* Have room for n bytes more. */
void writer_grow(writer *w, size_t n);

static inline char *writer_room(writer *w, size_t n) {
  if (w->room - w->n < n)
    writer_grow(w, n);
  return w->text + w->n;
}

static inline void writer_put(writer *w, const char *bytes, size_t n) {
  memcpy(writer_room(w, n), bytes, n);
  w->n += n;
}

static inline void writer_char(writer *w, char c) {
  *writer_room(w, 1) = c;
  w->n++;
}

/* A string with its quotes.  False, in the middle, where it is no UTF-8. */
bool writer_string(writer *w, const char *p, size_t n);

void writer_integer(writer *w, lua_Integer value);

/* A finite one. */
void writer_float(writer *w, double value);

/* Push the text, or raise when it is longer than max. */
void writer_push(writer *w);

#endif
