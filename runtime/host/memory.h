/*
** C memory.  Running out of it aborts with a message: so this is for what is small
** and of a fixed size.  Where a script or a peer decides the size, it is malloc
** that is called, and the lack is an error (ENOMEM), as it is in Lua.
*/

#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <stddef.h>

void *memory_new(size_t size);              /* zeroed */
void *memory_grow(void *p, size_t size);    /* realloc */
char *memory_text(const char *s, size_t n); /* a copy, with a final zero */
void *memory_sure(void *p);                 /* p, which is not NULL */

#endif
