/*
** Places: folders in which paths begin.
**
** Beneath a place that says so, no path leads out of it: neither by "..", nor by a
** symbolic link, nor because something is renamed meanwhile (openat2(2) with
** RESOLVE_BENEATH).  What changes a folder gets that folder by place_parent, and one
** name in it, which is followed no further.
**
** In any thread.  All return a descriptor, 0, or a negative errno.
*/

#ifndef FS_PLACE_H
#define FS_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct place {
  int fd; /* a folder's, or AT_FDCWD */
  bool beneath;
} place;

/* Open a path; flags as of open(2), and close-on-exec. */
int place_open(const place *p, const char *path, int flags, mode_t mode);

/* Is there a file, a folder or a link, or nothing that can be opened: no device, and
 * nothing that the kernel makes up (/proc, /sys)? */
bool place_has_file(const place *p, const char *path);

/* The folder that the path's last name is in, for functions such as mkdirat, and
 * that name, without the slashes behind it.  -EINVAL: it has none ("..", "/"). */
int place_parent(const place *p, const char *path, char name[NAME_MAX + 1]);

/* Does the path say that it is a folder's, by a slash at its end? */
bool place_says_folder(const char *path);

/* Can this kernel keep paths beneath the folder?  -ENOSYS: it can't. */
int place_check(int fd);

#endif
