/*
** What servers of names have said, for as long as they said that it holds.
*/

#ifndef UV_ANSWERS_H
#define UV_ANSWERS_H

#include "net/address.h"

/* Not so many that one would look long for one; those used last are kept. */
enum { ANSWERS = 256 };

typedef struct answer {
  struct answer *next;
  char *name;
  int family;
  uint64_t until; /* by world.now */
  int status;     /* 0, or that there are none */
  address *found;
  size_t count;
} answer;

typedef struct answers {
  answer *first; /* in the order of their last use */
  unsigned count;
} answers;

/* The answer that holds now, or NULL. */
const answer *answers_find(answers *all, const char *name, int family,
                           uint64_t now);

/* Keep one, which is copied; it takes the place of an earlier one. */
void answers_keep(answers *all, const answer *a);

void answers_forget(answers *all);

#endif
