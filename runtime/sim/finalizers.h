/*
** What a crash keeps from running: the finalizers of a script (`__gc`).
**
** A lua_State is closed by Lua, so that what C holds for it is freed.  Then Lua calls
** all finalizers, also those of a script, which a machine that has lost its power would
** not.  So the metatables that have one are noted as they are set, and lose it first.
*/

#ifndef SIM_FINALIZERS_H
#define SIM_FINALIZERS_H

#include "host/host.h"

int finalizers_open(lua_State *L); /* before any code in Lua has run */
void finalizers_forget(host *h);

#endif
