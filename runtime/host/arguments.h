/*
** Options: what a function reads of the table that it is given.
**
** First `options_check`, which refuses the names that are none; then each is read, by
** its name, of the table itself.  A wrong value is an argument error that says the
** option, what was expected, and what came.
*/

#ifndef HOST_ARGUMENTS_H
#define HOST_ARGUMENTS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Is there a table at arg?  Nothing or nil is none; anything else, and an option that
 * is not in the list (NULL behind it), is raised. */
bool options_check(lua_State *L, int arg, const char *const names[]);

/* Its string, left on the stack for as long as it is used; NULL: it is not there, or
 * there is no table. */
const char *option_string(lua_State *L, int arg, const char *name, size_t *n);

/* One that must be there. */
const char *option_needed(lua_State *L, int arg, const char *name, size_t *n);

lua_Integer option_integer(lua_State *L, int arg, const char *name,
                           lua_Integer low, lua_Integer high,
                           lua_Integer otherwise);

bool option_flag(lua_State *L, int arg, const char *name, bool otherwise);

/* Which of the names (NULL behind them) the text of n bytes is; or raise that it is none, and
 * which may be meant.  `what` is the noun: "digest". */
int argument_choice(lua_State *L, int arg, const char *what, const char *text,
                    size_t n, const char *const names[]);


/* The integer at arg, in bounds. */
lua_Integer argument_integer(lua_State *L, int arg, lua_Integer low,
                             lua_Integer high);

#endif
