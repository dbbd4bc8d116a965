/*
** Compressors.
*/

#include <lauxlib.h>
#include <limits.h>
#include <stdint.h>

#include "host/arguments.h"
#include "host/class.h"
#include "zlib/coder.h"
#include "zlib/zlib.h"

#define CLASS "neap.zlib.Compressor"

typedef struct compressor {
  coder c;
  bool finished; /* its text has ended */
} compressor;


static int l_close(lua_State *L) {
  compressor *p = luaL_checkudata(L, 1, CLASS);
  if (p->c.open) {
    deflateEnd(&p->c.z);
    coder_forget(L, &p->c);
  }
  return 0;
}


/* Push one with the options of the table at arg. */
static void push_new(lua_State *L, int arg) {
  static const char *const names[] = {"format", "level", "windowbits", NULL};
  enum { LEVEL = 6, MEMORY = 8, LEVELS = 9 };
  options_check(L, arg, names);
  enum format format = coder_format(L, arg, GZIP);
  int bits = coder_window(L, arg, format);
  int level = (int)option_integer(L, arg, "level", 0, LEVELS, LEVEL);
  compressor *p = coder_push(L, CLASS, sizeof *p, 0);
  p->c.noun = "compressor";
  p->c.format = format;
  int result = deflateInit2(&p->c.z, level, Z_DEFLATED, bits, MEMORY,
                            Z_DEFAULT_STRATEGY);
  coder_begin(L, &p->c, result);
}


/* zlib counts in 32 bits. */
static uInt part(size_t n) {
  return n < UINT_MAX ? (uInt)n : UINT_MAX;
}


/* Push what comes out of the compressor at index when n bytes more are in it: all, or what
 * there is already, as `how` says (Z_FINISH, Z_SYNC_FLUSH, Z_NO_FLUSH). */
static int run(lua_State *L, int index, const char *in, size_t n, int how) {
  luaL_Buffer b;
  size_t made = 0;
  compressor *p = coder_take(L, index, CLASS);
  if (p->finished) {
    p->c.torn = false;
    luaL_argerror(L, index, "its text is finished: reset it");
  }
  luaL_buffinit(L, &b);
  z_stream *z = &p->c.z;
  int result;
  do {
    size_t room = coder_room(made);
    z->next_out = (Bytef *)luaL_prepbuffsize(&b, room);
    p = coder_at(L, index, CLASS);
    z->avail_out = (uInt)room;
    z->next_in = (z_const Bytef *)in;
    z->avail_in = part(n);
    uInt given = z->avail_in;
    result = deflate(z, given < n ? Z_NO_FLUSH : how);
    in += given - z->avail_in;
    n -= given - z->avail_in;
    luaL_addsize(&b, room - z->avail_out);
    made += room - z->avail_out;
    p->finished = result == Z_STREAM_END;
  } while (result == Z_OK && (z->avail_out == 0 || n > 0));
  luaL_pushresult(&b);
  p->c.torn = false;
  return 1;
}


/*
** compress(text, options?) : bytes
*/

static int l_compress(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_settop(L, 2);
  push_new(L, 2);
  run(L, 3, text, n, Z_FINISH);
  lua_copy(L, 3, 1);
  return l_close(L) + 1;
}


/*
** compressor(options?) : Compressor
*/

static int l_compressor(lua_State *L) {
  lua_settop(L, 1);
  push_new(L, 1);
  return 1;
}


/*
** compressor:update(bytes) : bytes
** compressor:flush() : bytes
** compressor:finish() : bytes
** compressor:reset() : Compressor
*/

static int l_update(lua_State *L) {
  size_t n;
  luaL_checkudata(L, 1, CLASS);
  const char *text = luaL_checklstring(L, 2, &n);
  return run(L, 1, text, n, Z_NO_FLUSH);
}


static int l_flush(lua_State *L) {
  return run(L, 1, "", 0, Z_SYNC_FLUSH);
}


static int l_finish(lua_State *L) {
  return run(L, 1, "", 0, Z_FINISH);
}


static int l_reset(lua_State *L) {
  compressor *p = coder_at(L, 1, CLASS);
  deflateReset(&p->c.z);
  p->finished = p->c.torn = false;
  lua_settop(L, 1);
  return 1;
}


static int l_tostring(lua_State *L) {
  return coder_tostring(L, CLASS);
}


static const luaL_Reg functions[] = {
    {"compress", l_compress}, {"compressor", l_compressor}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"update", l_update}, {"flush", l_flush},
                                   {"finish", l_finish}, {"reset", l_reset},
                                   {"close", l_close},   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", l_close},
                                       {"__gc", l_close},
                                       {"__tostring", l_tostring},
                                       {NULL, NULL}};


static int l_index(lua_State *L) {
  luaL_checkudata(L, 1, CLASS);
  class_method(L);
  return 1;
}


void compressor_open(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_setfuncs(L, functions, 0);
}
