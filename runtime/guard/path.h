/*
** Where what is open really is.
*/

#ifndef GUARD_PATH_H
#define GUARD_PATH_H

#include <limits.h>
#include <stddef.h>

enum { PATH_ROOM = PATH_MAX + NAME_MAX + 2 };

/* The real path of a unix socket's file, whether or not it is there: its folder's, and
 * its name; or 0, also where that name is a link. */
size_t path_of_socket(const char *path, size_t n, char out[PATH_ROOM]);

/* Pin what is at a path of n bytes, also if that is a link: *held, or -1 and errno.
 * Returns the length of where it is; 0: that cannot be told. */
size_t path_pin(const char *path, size_t n, char out[PATH_ROOM], int *held);

/* "/proc/self/fd/N" */
enum { PATH_NUMBER = 32 };
void path_of_descriptor(int fd, char out[PATH_NUMBER]);

#endif
