/*
** Which names servers are asked for.
*/

#ifndef UV_SEARCH_H
#define UV_SEARCH_H

#include <stdbool.h>

#include "uv/resolv_conf.h"

/* Is it a name that a server can be asked for?  Labels of 1 to 63 bytes, 253 in all;
 * nothing hidden. */
bool search_is_name(const char *name);

/* What a name may stand for, in the order in which to ask: malloc'ed, each ended by \0,
 * the last by one more.  The name as it is comes first or last (ndots), between it the
 * domains of the search list; with a dot at its end it is whole. */
char *search_names(const char *name, const resolv_conf *conf);

#endif
