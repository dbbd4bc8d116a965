/*
** What a child may: the part of a script's table about users, limits and modes.
*/

#ifndef SYS_SPAWN_RIGHTS_H
#define SYS_SPAWN_RIGHTS_H

#include "sys/process.h"

/* uid, gid, groups, umask, rlimits; raises for a wrong one. */
void spawn_rights_check(lua_State *L, spawnspec *spec);

#endif
