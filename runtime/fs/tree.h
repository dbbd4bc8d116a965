/*
** Folders with all that is in them, removed.
*/

#ifndef FS_TREE_H
#define FS_TREE_H

#include "fs/call.h"

/* Remove what has that name in a folder, which is followed no further.  With `all` also
 * a folder that is not empty, however deep.  0 or a negative errno; -EAGAIN: somebody
 * has moved what was being removed. */
int tree_remove(call *c, int folder, const char *name, bool all);

#endif
