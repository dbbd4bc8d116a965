/*
** What compressors and decompressors have in common.
*/

#ifndef ZLIB_CODER_H
#define ZLIB_CODER_H

#include <lua.h>
#include <stdbool.h>
#include <zlib.h>

#include "zlib/account.h"

/* Named as in browsers.  AUTO: either of the first two, for reading. */
enum format { GZIP, DEFLATE, DEFLATE_RAW, AUTO };

/* The first part of both. */
typedef struct coder {
  z_stream z;
  account account;
  const char *noun; /* what scripts call it */
  enum format format;
  bool open;
  bool torn; /* in the middle of a call, or one was left by an error */
} coder;

/* The options of the table at arg: the format, AUTO only if that is `otherwise`; and what
 * zlib calls windowBits. */
enum format coder_format(lua_State *L, int arg, enum format otherwise);
int coder_window(lua_State *L, int arg, enum format format);

/* Push a new coder, which is not open. */
void *coder_push(lua_State *L, const char *class, size_t size, int values);

/* zlib has begun with it, with this result: it is open; or it lacked memory, which is
 * raised. */
void coder_begin(lua_State *L, coder *c, int result);

/* The coder at index, which must be open; and to begin with a call on it, until whose
 * end it is torn. */
void *coder_at(lua_State *L, int index, const char *class);
void *coder_take(lua_State *L, int index, const char *class);

/* Raise a lack of memory, as Lua does. */
int coder_lack(lua_State *L);

/* Give its memory back, but for the collector's own. */
void coder_forget(lua_State *L, coder *c);

/* How much room is needed next, behind n bytes that have come out. */
size_t coder_room(size_t n);

/* Of a coder of that class: "compressor (gzip)". */
int coder_tostring(lua_State *L, const char *class);

#endif
