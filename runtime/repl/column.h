/*
** Where the cursor stands in a row, from what was printed there: characters of
** two columns, marks of none, sequences that show nothing, in pieces of any size.
**
** What moves the cursor by a sequence is not followed.
*/

#ifndef REPL_COLUMN_H
#define REPL_COLUMN_H

#include <stddef.h>
#include <stdint.h>

/* Pairs of first and last code point, ascending. */
typedef struct ranges {
  uint32_t *points;
  size_t n; /* pairs */
} ranges;

typedef struct column {
  ranges none, wide; /* of no column, of two */
  unsigned at;       /* columns used; all of them: the next character wraps */
  unsigned columns;  /* of the terminal */
  int state;         /* in a sequence? */
  uint32_t point;    /* of a character that is not whole */
  int missing;       /* its bytes that have not come */
} column;

/* These bytes were printed.  Returns how many of them are not the beginning of a
 * character or a sequence that is not whole. */
size_t column_feed(column *c, const char *bytes, size_t n);

/* The terminal has this many columns now. */
void column_resize(column *c, unsigned columns);

#endif
