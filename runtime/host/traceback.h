/*
** Tracebacks, in which `require` is one line, as Lua's own is: neap's is made of
** functions in Lua, of which nobody wants to know.
*/

#ifndef HOST_TRACEBACK_H
#define HOST_TRACEBACK_H

#include <lua.h>
#include <stdbool.h>

/* The nearest function in Lua from a level on that is not neap's own: its source and line. */
bool traceback_script(lua_State *L, int level, lua_Debug *ar);

/* Raise, as luaL_error does, at that place. */
_Noreturn void traceback_error(lua_State *L, const char *words);

/* Push on L the traceback of the stack of `of` from a level on. */
void traceback_push(lua_State *L, lua_State *of, int level);

/* Replace `traceback` in the table `debug` on top; and in the script's. */
void traceback_set(lua_State *L);
void traceback_open(lua_State *L);

#endif
