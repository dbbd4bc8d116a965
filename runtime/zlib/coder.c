#include "zlib/coder.h"

#include <lauxlib.h>
#include <string.h>

#include "host/arguments.h"
#include "host/host.h"

static const char *const formats[] = {"gzip", "deflate", "deflate-raw", "auto",
                                      NULL};

static const char *const written[] = {"gzip", "deflate", "deflate-raw", NULL};


enum format coder_format(lua_State *L, int arg, enum format otherwise) {
  size_t n;
  const char *name = option_string(L, arg, "format", &n);
  enum format format = otherwise;
  if (name != NULL)
    format = argument_choice(L, arg, "format", name, n,
                             otherwise == AUTO ? formats : written);
  lua_pop(L, 1);
  return format;
}


int coder_window(lua_State *L, int arg, enum format format) {
  enum { LEAST = 9, MOST = 15, PLUS_GZIP = 16, PLUS_AUTO = 32 };
  int bits = (int)option_integer(L, arg, "windowbits", LEAST, MOST, MOST);
  switch (format) {
  case GZIP:
    return bits + PLUS_GZIP;
  case DEFLATE_RAW:
    return -bits;
  case AUTO:
    return bits + PLUS_AUTO;
  default:
    return bits;
  }
}


void *coder_push(lua_State *L, const char *class, size_t size, int values) {
  coder *c = lua_newuserdatauv(L, size, values);
  memset(c, 0, size);
  luaL_setmetatable(L, class);
  account_open(&c->account, &c->z, L);
  return c;
}


int coder_lack(lua_State *L) {
  return luaL_error(L, "not enough memory");
}


void coder_begin(lua_State *L, coder *c, int result) {
  if (result != Z_OK)
    coder_lack(L);
  c->open = true;
  account_tell(&c->account, L);
}


void *coder_at(lua_State *L, int index, const char *class) {
  coder *c = luaL_checkudata(L, index, class);
  if (!c->open) {
    lua_pushfstring(L, "the %s is closed", c->noun);
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
  return c;
}


void *coder_take(lua_State *L, int index, const char *class) {
  coder *c = coder_at(L, index, class);
  if (c->torn)
    luaL_argerror(L, index, "an error has left it in the middle: reset it");
  c->torn = true;
  return c;
}


void coder_forget(lua_State *L, coder *c) {
  c->open = false;
  account_close(&c->account, L);
}


/* Twice as much each time, so that it is copied seldom; and no page that zlib has yet to
 * fill is taken for a short text. */
size_t coder_room(size_t n) {
  enum { LEAST = LUAL_BUFFERSIZE, MOST = 1 << 20 };
  return n < LEAST ? LEAST : n < MOST ? n : MOST;
}


int coder_tostring(lua_State *L, const char *class) {
  const coder *c = luaL_checkudata(L, 1, class);
  lua_pushfstring(L, "%s (%s%s)", c->noun, formats[c->format],
                  c->open ? "" : ", closed");
  return 1;
}
