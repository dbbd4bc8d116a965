/*
** neap.fs.core: what lua/neap/fs.lua is made of.
*/

#include <fcntl.h>

#include "fs/call.h"
#include "fs/fs.h"
#include "host/host.h"

/* The two tables of functions, and the root where paths begin that have no other. */
static int open_core(lua_State *L) {
  static const luaL_Reg *const parts[] = {root_functions,   whole_functions,
                                          folder_functions, entry_functions,
                                          send_functions,   watch_functions};
  work_open(L);
  call_open_classes(L);
  lock_open(L);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    luaL_setfuncs(L, parts[i], 0);
  luaL_getmetatable(L, "neap.fs.Root");
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "Root");
  lua_pop(L, 1);
  call_push_root(L, (place){AT_FDCWD, false}, "");
  lua_setfield(L, -2, "here");
  return 1;
}


int fs_open(lua_State *L) {
  host_module(L, "neap.fs.core", open_core);
  return 0;
}
