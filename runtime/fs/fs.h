/*
** Files, as scripts see them: the subsystem.
*/

#ifndef FS_FS_H
#define FS_FS_H

#include <lua.h>

/* Register the module; call it through host_call, after net_open. */
int fs_open(lua_State *L);

#endif
