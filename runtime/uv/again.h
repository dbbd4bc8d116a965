/*
** Pipes and terminals that somebody else opened, opened once more: with flags of their own.
*/

#ifndef UV_AGAIN_H
#define UV_AGAIN_H

#include <stdbool.h>

/* Can it be?  What is neither is left as it is: a socket cannot be opened so, a file would begin
 * anew, and the master of a terminal would be another one. */
bool again_can(int fd);

/* Without waiting for another end; -1. */
int again_open(int fd, int flags);

#endif
