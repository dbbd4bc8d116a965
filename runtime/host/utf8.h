/*
** UTF-8 (RFC 3629), checked as it comes: a character may begin in one piece of a text
** and end in another.
*/

#ifndef HOST_UTF8_H
#define HOST_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Where in a character; zeroed: between two. */
typedef struct utf8 {
  unsigned char left;      /* bytes that it still needs */
  unsigned char low, high; /* what the next one may be */
} utf8;

/* Can the text go on by these n bytes?  If not it is over: no text at all. */
bool utf8_go_on(utf8 *u, const char *bytes, size_t n);

/* May it end here? */
static inline bool utf8_whole(const utf8 *u) {
  return u->left == 0;
}

/* Are n bytes UTF-8, all by themselves? */
bool utf8_is(const char *bytes, size_t n);

#endif
