/*
** What a z_stream allocates is of Lua's allocator.  The collector does not see it, so it is
** told: a coder counts as an allocation of so much while it is open.
*/

#ifndef ZLIB_ACCOUNT_H
#define ZLIB_ACCOUNT_H

#include <lua.h>
#include <stddef.h>
#include <zlib.h>

typedef struct account {
  lua_State *L; /* the host's main thread */
  size_t taken; /* bytes, now */
  int counted;  /* KiB that the collector was told of */
} account;

/* Have z allocate by a, which stays where it is. */
void account_open(account *a, z_stream *z, lua_State *L);

/* Tell the collector of what was taken.  It may run. */
void account_tell(account *a, lua_State *L);

/* That all was given back. */
void account_close(account *a, lua_State *L);

#endif
