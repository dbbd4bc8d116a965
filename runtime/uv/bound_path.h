/*
** Where a socket is bound; and of a unix socket its file, which is removed
** with the socket if it is still the one that was made here: a newer server
** may have put its own in its place.
*/

#ifndef UV_BOUND_PATH_H
#define UV_BOUND_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#include "net/backend.h"

typedef struct bound_path {
  dev_t device; /* of the file, if owns_file */
  ino_t inode;
  bool owns_file;
} bound_path;

/* Bind fd to spec->addr, with spec's mode and unlink_stale.  0 or -errno; then
 * too bound_path_leave is due. */
int bound_path_take(int fd, const sockspec *spec, bound_path *p);

/* Before fd is closed: while the socket lives no other file has its inode. */
void bound_path_leave(const bound_path *p, const address *a);

#endif
