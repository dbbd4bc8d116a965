/*
** What Lua's own libraries know of the real world, kept from a simulated host, which is
** to do the same wherever it runs.
**
** Files can be read, for programs have parts; whatever would change something outside is
** ENOSYS.  Dates are those of UTC, texts those of the locale C, standard input is empty,
** and the environment is the node's own.  Clocks, chance, os.exit and commands go by the
** world already (sched/os.c, sys/shell.c).
*/

#ifndef SIM_STANDARD_H
#define SIM_STANDARD_H

#include <lua.h>

/* Of a subsystem's; for hosts that are not simulated it does nothing. */
int sim_standard_open(lua_State *L);

/* Push the table that os.getenv looks into: names, and strings. */
void sim_push_environment(lua_State *L);

#endif
