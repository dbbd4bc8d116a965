/*
** What entry.c knows of files, for the others.
*/

#ifndef FS_ENTRY_H
#define FS_ENTRY_H

#include "fs/call.h"

/* "file", "directory", "link", ...: of a mode of stat(2). */
const char *entry_type(mode_t mode);

/* As call_open; -EAGAIN: a FIFO that is to be written has no reader. */
int entry_open(call *c, int flags);

#endif
