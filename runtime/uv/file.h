/*
** Streams over what epoll does not take: regular files, block devices, and
** devices such as /dev/null.
*/

#ifndef UV_FILE_H
#define UV_FILE_H

#include "net/backend.h"

/* A stream over fd, which is its own from now on.  It reads and writes at the
 * position that fd's description has.  Patient: writes are a thread's, too. */
stream *file_new(host *h, int fd, bool patient);

/* As net/backend.h says. */
int file_target(stream *to);
ssize_t file_send(int file, int64_t from, int to, size_t n);
void file_failed(stream *to, int status);

#endif
