/*
** Formats of string.pack: how long what one describes is.
*/

#ifndef NET_FORMAT_H
#define NET_FORMAT_H

#include <stddef.h>

/* How many bytes string.unpack needs, by this format, of a value that begins at
 * `bytes`, of which n are there: more than n when some are missing, at least so
 * many then; SIZE_MAX for more than anybody has.  A wrong format needs what is
 * before its mistake.  *seen are bytes that were searched before for the end of
 * a z, and are searched now. */
size_t format_size(const char *format, const char *bytes, size_t n,
                   size_t *seen);

#endif
