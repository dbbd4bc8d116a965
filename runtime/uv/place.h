/*
** Where a socket is bound; and of a unix socket its file, which is removed
** with the socket if it is still the one that was made here: a newer server
** may have put its own in its place.
*/

#ifndef UV_PLACE_H
#define UV_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "net/backend.h"

typedef struct place {
  dev_t device; /* of the file, if owns_file */
  ino_t inode;
  bool owns_file;
} place;

/* Bind fd to spec->addr, with spec's mode and unlink_stale.  0 or -errno; then
 * too place_leave is due. */
int place_take(int fd, const sockspec *spec, place *p);

/* Before fd is closed: while the socket lives no other file has its inode. */
void place_leave(const place *p, const address *a);

#endif
