/*
** Which of a name's addresses to try first: RFC 6724.
*/

#ifndef UV_PREFER_H
#define UV_PREFER_H

#include <stddef.h>

#include "net/address.h"

/* Sort IP addresses, the best first; those that are equally good keep their order.  For
 * each the system is asked from where it would be reached. */
void prefer_sort(address *all, size_t n);

#endif
