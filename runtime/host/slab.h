/*
** Lua's memory: small blocks come from free lists, one a size.
**
** Lua tells the size of what it frees, so a block needs no header, and taking
** and giving one back costs some ten instructions instead of malloc's hundred.
** Memory that small blocks have had is theirs until the slab is closed.
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

#endif
