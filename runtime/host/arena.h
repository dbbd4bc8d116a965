/*
** The memory of a lua_State that is to run the same again.
**
** A block's address shows in Lua: in the order of a table whose keys are objects, in
** what tostring says.  So an arena lies at a fixed place of the process, its blocks come
** in an order that only the sizes decide, and so does when the collector runs.  The
** order of strings as keys comes from its seed, so that one seed shows what another
** hides.  All this with a Lua that was compiled for it (cmake/lua_replay.h); Debian's
** library draws the order of strings from the clock, and knows functions of C by where
** the system has put the program.
*/

#ifndef HOST_ARENA_H
#define HOST_ARENA_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many places there are, and so much may be in one. */
enum { ARENA_PLACES = 1 << 14 };
#define ARENA_SIZE ((size_t)1 << 30)

typedef struct arena arena;

/* At a place below ARENA_PLACES.  NULL, with errno: it is taken (EEXIST), or there is
 * no memory.  Where the environment has NEAP_SIM_ALLOC=libc, blocks are malloc's, which
 * sanitizers watch, and addresses are the system's. */
arena *arena_new(unsigned place, uint64_t seed);

/* Forget all blocks at once. */
void arena_free(arena *a);

/* The lua_Alloc of an arena.  What shrinks never fails. */
void *arena_alloc(void *a, void *p, size_t old, size_t size);

/* Can this program run a state the same again? */
bool arena_replays(void);

#endif
