/*
** Decompressors: what is put in stays inside until its text has been taken, some bytes at a
** time, so a little that stands for much needs no memory.
**
** A text in gzip may be of several members, one behind the other (RFC 1952 §2.2).
*/

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "host/arguments.h"
#include "host/class.h"
#include "host/error.h"
#include "zlib/coder.h"
#include "zlib/zlib.h"

#define CLASS "neap.zlib.Decompressor"

enum { PENDING = 1 }; /* the user value: the string that `in` lies in, or nil */

enum { PIECE = 64 * 1024, WHOLE = 64 * 1024 * 1024 };

typedef struct decompressor {
  coder c;
  const char *in; /* what was not looked at yet */
  size_t left;
  uint64_t made; /* bytes of the text */
  uint64_t max;
  bool begun;        /* a byte of the text has come */
  bool members;      /* it is in gzip, so that another member may follow */
  bool done;         /* it may end here */
  bool full;         /* zlib filled all the room that it had */
  int status;        /* by which it has failed, negative; 0 */
  const char *words; /* static; NULL: the status' own */
} decompressor;


static int l_close(lua_State *L) {
  decompressor *p = luaL_checkudata(L, 1, CLASS);
  if (!p->c.open)
    return 0;
  inflateEnd(&p->c.z);
  coder_forget(L, &p->c);
  p->left = 0;
  lua_pushnil(L);
  lua_setiuservalue(L, 1, PENDING);
  return 0;
}


/* Push one with the options of the table at arg. */
static decompressor *push_new(lua_State *L, int arg, uint64_t max) {
  static const char *const names[] = {"format", "max", "windowbits", NULL};
  options_check(L, arg, names);
  enum format format = coder_format(L, arg, AUTO);
  int bits = coder_window(L, arg, format);
  max = (uint64_t)option_integer(L, arg, "max", 0, LUA_MAXINTEGER,
                                 (lua_Integer)max);
  decompressor *p = coder_push(L, CLASS, sizeof *p, PENDING);
  p->c.noun = "decompressor";
  p->c.format = format;
  p->max = max;
  coder_begin(L, &p->c, inflateInit2(&p->c.z, bits));
  return p;
}


/*
** Inflating
*/

static void refuse(decompressor *p, int status, const char *words) {
  p->status = status;
  p->words = words;
}


/* Is what is behind the end of a member the begin of another? */
static bool another_begins(const decompressor *p) {
  return p->done && p->members && p->left >= 2 &&
         memcmp(p->in, "\x1f\x8b", 2) == 0;
}


/* Is there something to do before more is put in? */
static bool has_more(const decompressor *p) {
  return p->status != 0 || another_begins(p) ||
         (!p->done && (p->full || p->left > 0));
}


/* One call of zlib's.  How many bytes came out; 0: no more will. */
static size_t step(decompressor *p, char *out, size_t room) {
  z_stream *z = &p->c.z;
  z->next_in = (z_const Bytef *)p->in;
  z->avail_in = p->left < UINT_MAX ? (uInt)p->left : UINT_MAX;
  z->next_out = (Bytef *)out;
  z->avail_out = (uInt)room;
  uInt given = z->avail_in;
  int result = inflate(z, Z_NO_FLUSH);
  p->in += given - z->avail_in;
  p->left -= given - z->avail_in;
  p->full = z->avail_out == 0;
  p->done = result == Z_STREAM_END;
  if (result == Z_NEED_DICT)
    refuse(p, -EBADMSG, "a dictionary that is not there is needed");
  else if (result == Z_MEM_ERROR)
    refuse(p, -ENOMEM, NULL);
  else if (result < 0 && result != Z_BUF_ERROR)
    refuse(p, -EBADMSG, z->msg != NULL ? z->msg : "it is no such text");
  return room - z->avail_out;
}


/* Up to `room` bytes, as many as there are. */
static size_t inflate_some(decompressor *p, char *out, size_t room) {
  size_t n = 0;
  if (!p->begun && p->left > 0) {
    p->begun = true;
    p->members =
        p->c.format == GZIP || (p->c.format == AUTO && *p->in == '\x1f');
  }
  while (n < room && has_more(p) && p->status == 0) {
    if (p->done)
      inflateReset(&p->c.z);
    n += step(p, out + n, room - n);
  }
  return n;
}


/* The text is as long as it may be: is there more of it? */
static void probe(decompressor *p) {
  char one;
  if (inflate_some(p, &one, 1) > 0)
    refuse(p, -EMSGSIZE, "the text is longer than max");
}


static size_t allowed(const decompressor *p, size_t n) {
  uint64_t left = p->max - p->made;
  return left < n ? (size_t)left : n;
}


/* Push what comes out of the decompressor at index, `most` bytes at most. */
static decompressor *push_some(lua_State *L, int index, size_t most) {
  luaL_Buffer b;
  size_t made = 0;
  decompressor *p = luaL_checkudata(L, index, CLASS);
  luaL_buffinit(L, &b);
  while (made < most && p->status == 0) {
    size_t room = coder_room(made);
    if (room > most - made)
      room = most - made;
    char *out = luaL_prepbuffsize(&b, room);
    p = coder_at(L, index, CLASS);
    room = allowed(p, room);
    size_t n = inflate_some(p, out, room);
    luaL_addsize(&b, n);
    p->made += n;
    made += n;
    if (p->made == p->max)
      probe(p);
    if (n < room || p->made == p->max)
      break;
  }
  luaL_pushresult(&b);
  return p;
}


/* Put the string at the index in, behind what is inside. */
static void put(lua_State *L, decompressor *p, int self, int index) {
  if (p->left > 0) {
    lua_pushlstring(L, p->in, p->left);
    lua_pushvalue(L, index);
    lua_concat(L, 2);
    lua_replace(L, index);
    p = coder_at(L, self, CLASS);
  }
  lua_pushvalue(L, index);
  p->in = lua_tolstring(L, -1, &p->left);
  lua_setiuservalue(L, self, PENDING);
}


static void let_go(lua_State *L, decompressor *p, int self) {
  if (p->left > 0)
    return;
  lua_pushnil(L);
  lua_setiuservalue(L, self, PENDING);
}


static int push_failure(lua_State *L, const decompressor *p, const char *op) {
  lua_pushnil(L);
  error_push_message(L, p->status, op, NULL, p->words);
  return 2;
}


/* It has all that there is: is that well? */
static bool ends_well(decompressor *p) {
  if (p->status == 0 && !p->done)
    refuse(p, -EBADMSG, "the text ends too early");
  else if (p->status == 0 && p->left > 0)
    refuse(p, -EBADMSG, "there are bytes behind its end");
  return p->status == 0;
}


/*
** decompress(bytes, options?) : text | nil, error
*/

static int l_decompress(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_settop(L, 2);
  decompressor *p = push_new(L, 2, WHOLE);
  p->in = bytes;
  p->left = n;
  p = push_some(L, 3, SIZE_MAX);
  bool well = ends_well(p);
  decompressor told = *p;
  lua_copy(L, 3, 1);
  l_close(L);
  return well ? 1 : push_failure(L, &told, "decompress");
}


/*
** decompressor(options?) : Decompressor
*/

static int l_decompressor(lua_State *L) {
  lua_settop(L, 1);
  push_new(L, 1, LUA_MAXINTEGER);
  return 1;
}


/*
** decompressor:update(bytes, max?) : text | nil, error
** decompressor:finish() : true | nil, error
** decompressor:reset() : Decompressor
*/

static int l_update(lua_State *L) {
  luaL_checkudata(L, 1, CLASS);
  luaL_checklstring(L, 2, NULL);
  lua_Integer most = PIECE;
  if (!lua_isnoneornil(L, 3))
    most = argument_integer(L, 3, 1, INT_MAX);
  decompressor *p = coder_take(L, 1, CLASS);
  lua_settop(L, 2);
  if (p->status == 0 && lua_rawlen(L, 2) > 0)
    put(L, p, 1, 2);
  p = push_some(L, 1, (size_t)most);
  let_go(L, p, 1);
  p->c.torn = false;
  account_tell(&p->c.account, L);
  if (p->status == 0 || lua_rawlen(L, -1) > 0)
    return 1;
  return push_failure(L, p, "decompress");
}


static int l_finish(lua_State *L) {
  decompressor *p = coder_take(L, 1, CLASS);
  p->c.torn = false;
  luaL_argcheck(L, p->status != 0 || !has_more(p), 1,
                "there is more of its text: take that first");
  if (!ends_well(p))
    return push_failure(L, p, "decompress");
  lua_pushboolean(L, true);
  return 1;
}


static int l_reset(lua_State *L) {
  decompressor *p = coder_at(L, 1, CLASS);
  inflateReset(&p->c.z);
  p->c.torn = p->begun = p->members = p->done = p->full = false;
  p->left = 0;
  p->made = 0;
  p->status = 0;
  let_go(L, p, 1);
  lua_settop(L, 1);
  return 1;
}


static int l_tostring(lua_State *L) {
  return coder_tostring(L, CLASS);
}


static const luaL_Reg functions[] = {{"decompress", l_decompress},
                                     {"decompressor", l_decompressor},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {{"update", l_update},
                                   {"finish", l_finish},
                                   {"reset", l_reset},
                                   {"close", l_close},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", l_close},
                                       {"__gc", l_close},
                                       {"__tostring", l_tostring},
                                       {NULL, NULL}};


static int l_index(lua_State *L) {
  luaL_checkudata(L, 1, CLASS);
  if (class_method(L))
    return 1;
  const decompressor *p = coder_at(L, 1, CLASS);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(name, "more") == 0)
    lua_pushboolean(L, has_more(p));
  else if (strcmp(name, "done") == 0)
    lua_pushboolean(L, p->done);
  else if (strcmp(name, "rest") == 0)
    lua_pushlstring(L, p->in, p->done ? p->left : 0);
  else
    lua_pushnil(L);
  return 1;
}


void decompressor_open(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_setfuncs(L, functions, 0);
}
