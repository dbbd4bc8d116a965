/*
** What is in a folder, one by one.
*/

#ifndef FS_ENTRIES_H
#define FS_ENTRIES_H

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Of a descriptor, which is its own from now on; one below 0 is none.  NULL: errno says
 * why. */
static inline DIR *entries_open(int fd) {
  DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
  if (d == NULL && fd >= 0)
    close(fd);
  return d;
}

/* The next one that is neither the folder nor its parent; NULL: no more, or errno. */
static inline struct dirent *entries_next(DIR *d) {
  struct dirent *e;
  do {
    errno = 0;
    e = readdir(d);
  } while (e != NULL &&
           (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
  return e;
}

#endif
