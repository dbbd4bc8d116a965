/*
** Tables of functions that somebody else fills in: a world, a backend.
**
** Who calls such a function need not ask whether it is there, unless its header says
** that it may be NULL.  What is not there otherwise is a mistake of who filled in the
** table, and ends the process when a host is opened.
*/

#ifndef HOST_WHOLE_H
#define HOST_WHOLE_H

#include <stddef.h>

/* The members of the table are pointers, and must be there, but for n of which the
 * offsets are given. */
void whole_check(const void *table, size_t size, const char *name,
                 const size_t *optional, size_t n);

/* Say what is wrong with a table, and end. */
_Noreturn void whole_wrong(const char *name, const char *what);

#endif
