/*
** Lua's memory, and the streams': small blocks come from free lists, one a size.
**
** Who frees a block tells its size, as Lua does, so it needs no header, and
** taking and giving one back costs some ten instructions instead of malloc's
** hundred.  Memory that small blocks have had is theirs until the slab is closed.
*/

#ifndef HOST_SLAB_H
#define HOST_SLAB_H

#include <stddef.h>

typedef struct slab slab;

/* NULL when there is no memory for it. */
slab *slab_new(void);

/* Forget all blocks at once. */
void slab_free(slab *m);

/* The lua_Alloc of a slab.  What shrinks never fails. */
void *slab_alloc(void *m, void *p, size_t old, size_t size);

/* A zeroed block; out of memory aborts, as with memory_new.  And its end. */
void *slab_take(slab *m, size_t size);
void slab_give(slab *m, void *p, size_t size);

#endif
