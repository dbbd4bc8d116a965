/*
** A bound of a lua_State's memory.
**
** It stands before the state's allocator, where one was asked for, and counts what that
** gives.  What would be too much it refuses, whereupon Lua collects all garbage, asks
** once more, and raises its own error.
**
** A part of it may be kept in reserve: for a prompt, which is to go on where what was
** typed there has filled all else.
*/

#ifndef HOST_QUOTA_H
#define HOST_QUOTA_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct quota {
  size_t used, limit;
  size_t reserve;               /* of the limit; 0: none */
  bool (*spends)(const void *); /* may what runs now have that? */
  const void *who;              /* what spends is given */
  lua_Alloc alloc;
  void *about; /* what that is given */
} quota;

/* From now on the state has so many bytes at most, with those that it has already.  The
 * quota outlives it. */
void quota_begin(quota *q, lua_State *L, size_t limit);

/* So many bytes it may have; 0: any number, or just now another allocator stands before
 * the quota. */
size_t quota_limit(lua_State *L);

/* From now on an eighth of it, of 1 MiB at most, is for whom `spends` finds to be asking;
 * NULL: for anybody.  Without a quota this does nothing. */
void quota_reserve(lua_State *L, bool (*spends)(const void *who),
                   const void *who);

#endif
