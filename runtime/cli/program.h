/*
** What the command line runs, as the function of a task.
**
** As lua(1) does: LUA_INIT first, then each -e, -l and -W in its order, then
** the script or what a word stands for.
*/

#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <lua.h>

#include "cli/command.h"

/* Push the function.  Raises when what runs first cannot be loaded. */
void program_push(lua_State *L, const command *c);

/* Push its arguments, and set the global `arg` as lua(1) does: the script at 0,
 * its arguments from 1, and what led to it below; or an executable that carries the
 * script at 0, with nothing below.  Returns their number. */
int program_push_arguments(lua_State *L, const command *c);

/* Push a script's function; raises.  Modules next to the script are found. */
void program_push_file(lua_State *L, const char *path);

#endif
