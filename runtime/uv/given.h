/*
** What a service's manager has given: descriptors from 3 on, as many as LISTEN_FDS says
** (sd_listen_fds(3)).
**
** They are known by what they were at the start, for when one is closed another may get
** its number.
*/

#ifndef UV_GIVEN_H
#define UV_GIVEN_H

#include <stdbool.h>

/* Note what is there now; at the start. */
void given_note(void);

/* Is this still what was given by that number? */
bool given_is(int fd);

/* Was one given by that number, and this is another? */
bool given_was(int fd);

/* The next number above this one by which one was given, or -1. */
int given_next(int fd);

#endif
