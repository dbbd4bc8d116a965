/*
** A text that is read: where, and what is wrong there.
*/

#ifndef JSON_READER_H
#define JSON_READER_H

#include <lua.h>
#include <stdbool.h>

typedef struct reader {
  lua_State *L;
  const char *text;
  const char *p; /* what is next; behind the end is a zero */
  const char *end;
  const char *why; /* what is wrong at p; NULL: nothing */
  bool replaces;   /* what is no character */
} reader;

/* Returns false, for `return wrong(...)`. */
static inline bool reader_wrong(reader *r, const char *at, const char *why) {
  r->p = at;
  r->why = why;
  return false;
}

/* Push the string whose opening quote is next, or the number that begins there. */
bool reader_string(reader *r);
bool reader_number(reader *r);

#endif
