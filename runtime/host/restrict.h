/*
** Lua's own libraries under --restrict.
**
** What reaches outside asks guard/guard.h; what would lead around it is not there: C
** modules, bytecode, and of `debug` all but `traceback`.  It is done before anything
** else has seen the libraries, so that neap's own code has them like this, too.
*/

#ifndef HOST_RESTRICT_H
#define HOST_RESTRICT_H

#include <lua.h>
#include <stdbool.h>

/* Once the standard libraries are open, and once all that keeps parts of them is. */
void restrict_open(lua_State *L);
void restrict_close(lua_State *L);

/* From now on scripts see of the environment what they may; neap's own code has kept
 * os.getenv. */
void restrict_environment(lua_State *L);

/* Is that a module which trusts whoever calls it, and so is none for scripts? */
bool restrict_keeps(const char *name);

/* As luaL_loadfilex, of text. */
int restrict_load(lua_State *L, const char *path);

#endif
