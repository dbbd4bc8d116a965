/*
** By descriptors and names, so that no link that takes a folder's place is followed.
**
** A tree may be deeper than there are descriptors, and deeper than any stack of C's: of
** the folders from the top to where the work is, the last few are open; another one is
** opened again by the ".." of the one below it, if that is still the same.  It is read
** from its beginning then, which costs little, for what was read is gone.
**
** What is gone is gone, whoever removed it.  A folder that changes as it is read may
** have more than was told: then it is looked at again.
*/

#include "fs/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/entries.h"
#include "host/memory.h"

enum { OPEN = 16 };

typedef struct level {
  DIR *entries; /* NULL: it is not open now */
  dev_t device;
  ino_t inode;
  size_t name; /* in the folder above; where it begins in the call's bytes */
  bool any;    /* of what is in it was removed */
} level;

typedef struct tree {
  call *call;
  int top; /* the folder that all is in */
  level *levels;
  size_t count, room;
} tree;


static level *last(const tree *t) {
  return &t->levels[t->count - 1];
}


static void close_level(level *l) {
  if (l->entries != NULL)
    closedir(l->entries);
  l->entries = NULL;
}


static int remove_folder(int folder, const char *name) {
  return unlinkat(folder, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}


static int remove_one(int folder, const char *name) {
  if (unlinkat(folder, name, 0) == 0)
    return 0;
  return errno == EISDIR ? remove_folder(folder, name) : -errno;
}


static level *add_level(tree *t) {
  if (t->count == t->room) {
    t->room = 2 * t->room + OPEN;
    t->levels = memory_grow(t->levels, t->room * sizeof *t->levels);
  }
  if (t->count >= OPEN)
    close_level(&t->levels[t->count - OPEN]);
  return &t->levels[t->count++];
}


/* One that is entered again is where it was. */
static int keep_name(call *c, const char *name) {
  size_t n = strlen(name) + 1;
  if (name != c->bytes + c->size) {
    if (call_reserve(c, n) < 0)
      return -ENOMEM;
    memcpy(c->bytes + c->size, name, n);
  }
  c->size += n;
  return 0;
}


static int enter(tree *t, int folder, const char *name) {
  struct stat st;
  DIR *d = entries_open(
      openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (d == NULL)
    return -errno;
  size_t at = t->call->size;
  int status = fstat(dirfd(d), &st) < 0 ? -errno : keep_name(t->call, name);
  if (status < 0)
    closedir(d);
  else
    *add_level(t) = (level){d, st.st_dev, st.st_ino, at, false};
  return status;
}


/* The folder above the last level; it is open as long as that level is. */
static int folder_above(tree *t) {
  struct stat st;
  if (t->count == 1)
    return t->top;
  level *above = &t->levels[t->count - 2];
  if (above->entries != NULL)
    return dirfd(above->entries);
  above->entries = entries_open(openat(dirfd(last(t)->entries), "..",
                                       O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (above->entries == NULL || fstat(dirfd(above->entries), &st) < 0)
    return -errno;
  bool same = st.st_dev == above->device && st.st_ino == above->inode;
  return same ? dirfd(above->entries) : -EAGAIN;
}


static int leave(tree *t) {
  int folder = folder_above(t);
  if (folder < 0)
    return folder == -ENOENT ? -EAGAIN : folder;
  level l = *last(t);
  const char *name = t->call->bytes + l.name;
  closedir(l.entries);
  t->count--;
  t->call->size = l.name;
  int status = remove_one(folder, name);
  return status == -ENOTEMPTY && l.any ? enter(t, folder, name) : status;
}


static int go_on(tree *t) {
  level *l = last(t);
  int folder = dirfd(l->entries);
  const struct dirent *e = entries_next(l->entries);
  if (e == NULL)
    return errno != 0 ? -errno : leave(t);
  int status = remove_one(folder, e->d_name);
  if (status == 0 || status == -ENOTEMPTY)
    l->any = true;
  return status == -ENOTEMPTY ? enter(t, folder, e->d_name) : status;
}


static int remove_all(tree *t, const char *name) {
  int status = enter(t, t->top, name);
  while (t->count > 0 && (status == 0 || status == -ENOENT))
    status = call_dropped(t->call) ? -ECANCELED : go_on(t);
  while (t->count > 0)
    close_level(&t->levels[--t->count]);
  free(t->levels);
  return status == -ENOENT ? 0 : status;
}


int tree_remove(call *c, int folder, const char *name, bool all) {
  tree t = {.call = c, .top = folder};
  int status = place_says_folder(c->path) ? remove_folder(folder, name)
                                          : remove_one(folder, name);
  return status == -ENOTEMPTY && all ? remove_all(&t, name) : status;
}
