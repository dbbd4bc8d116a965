/*
** What a process has besides sockets: opened with its host.
*/

#ifndef SYS_SYS_H
#define SYS_SYS_H

#include <lua.h>

/* Register the modules; call it through host_call, after net_open. */
int sys_open(lua_State *L);

#endif
