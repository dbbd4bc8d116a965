/*
** The module neap.zlib.
*/

#include <zlib.h>

#include "host/host.h"
#include "zlib/zlib.h"


static int open_module(lua_State *L) {
  lua_newtable(L);
  compressor_open(L);
  decompressor_open(L);
  return 1;
}


const char *zlib_linked_version(void) {
  return zlibVersion();
}


int zlib_open(lua_State *L) {
  host_module(L, "neap.zlib", open_module);
  return 0;
}
