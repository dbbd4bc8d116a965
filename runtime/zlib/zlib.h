/*
** neap.zlib: texts made smaller by zlib (RFC 1950, 1951, 1952), and made whole again.
**
** A coder works piece by piece, in a userdata.  What zlib allocates is Lua's memory
** (memory.h).  Whatever allocates may run a finalizer, which may close the coder in hand:
** so it is fetched anew behind each such call (coder.h).
*/

#ifndef ZLIB_ZLIB_H
#define ZLIB_ZLIB_H

#include <lua.h>

/* The subsystem: registers neap.zlib. */
int zlib_open(lua_State *L);

/* The one of zlib itself, as it tells. */
const char *zlib_linked_version(void);

/* Open their classes, and put their functions into the table on top. */
void compressor_open(lua_State *L);
void decompressor_open(lua_State *L);

#endif
