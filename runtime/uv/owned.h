/*
** What is ours: the descriptors that belong to a socket, a file or a Descriptor of
** any host of this process.  `fd:N` is not to make a second owner of one.
*/

#ifndef UV_OWNED_H
#define UV_OWNED_H

#include <stdbool.h>

/* When it is had, and before it is closed or let go.  Of several threads that add
 * one at once one is told that it is the first. */
bool owned_add(int fd);
void owned_remove(int fd);
bool owned_has(int fd);

#endif
