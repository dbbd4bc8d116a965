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

/* The processor may fetch n bytes at p into its caches, as they are needed soon.
 * GCC takes a function that does nothing else for one that does nothing at all,
 * and drops its calls: the empty statement keeps them. */
static inline void memory_expect(const void *p, size_t n) {
  enum { LINE = 64 };
  for (size_t i = 0; i < n + LINE - 1; i += LINE)
    __builtin_prefetch((const char *)p + (i < n ? i : n - 1));
  __asm__ volatile("" : : "r"(p));
}

#endif
