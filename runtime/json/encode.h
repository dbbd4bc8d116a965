/*
** What the parts of encoding share.
*/

#ifndef JSON_ENCODE_H
#define JSON_ENCODE_H

#include "json/writer.h"

/* How a table is walked. */
enum way {
  BEGINS,  /* its first key will tell */
  ITEMS,   /* an array by lua_next, as long as that finds 1, 2, 3 */
  INDEXED, /* an array by its indices */
  FIELDS,  /* an object by lua_next */
  SORTED   /* an object by the list of its keys */
};

/* A table that has begun. */
typedef struct frame {
  enum way way;
  int slot; /* on the stack; behind it the last key, or the list (struct field) */
  lua_Integer i; /* items or fields that were begun */
  lua_Integer n; /* how many there are: INDEXED and SORTED */
} frame;

typedef struct encoder {
  writer w; /* the first member */
  frame *frames;
  int depth;
  int most;           /* of depth */
  const char *indent; /* of a level; NULL: all in one line */
  size_t indent_size;
  bool sort;
} encoder;

/* A key of an object that is sorted. */
typedef struct field {
  const char *name;
  size_t n;
} field;

/* Put the list of the object's keys, in their order, in the place of the last key. */
void encode_sort(encoder *e, frame *f);

/* Raise that what cannot be encoded, and where it is: the value that the innermost frame
 * is at. */
int encode_refuse(encoder *e, const char *what);

/* The same of a key that is not of the table's sort. */
int encode_refuse_key(encoder *e, frame *f, int key);

#endif
