/*
** What is ours: the descriptors that belong to a socket, a file or a Descriptor of
** any host of this process.  `fd:N` is not to make a second owner of one.
*/

#ifndef UV_OWNED_H
#define UV_OWNED_H

#include <stdbool.h>

/* When it is had, and when it is let go.  Of several threads that add one at once
 * one is told that it is the first. */
bool owned_add(int fd);
void owned_remove(int fd);
bool owned_has(int fd);

/* Let go of it, and close it.  A standard descriptor stays occupied: what is
 * opened next would be what print writes to, and what children inherit.  Where no
 * other can be had for that, it becomes the loop's epoll, which can be neither read
 * nor written. */
void owned_close(int fd, int epoll);

/* Let a standard descriptor be a device that is opened the wrong way round, or the
 * like: using it still fails.  False: there is no descriptor to be had. */
bool owned_occupy(int fd);

#endif
