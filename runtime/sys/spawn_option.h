/*
** Options of spawn, in the table that is its only argument: what the files that read
** them (spawnspec.c, spawn_rights.c) have in common.
*/

#ifndef SYS_SPAWN_OPTION_H
#define SYS_SPAWN_OPTION_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Where things lie on the stack of spawn. */
enum { OPTIONS = 1, KEPT };

/* Raise: this option is not what was expected. */
int spawn_bad(lua_State *L, const char *what, const char *expected);

/* Raise: there is no such option; its name is at index. */
int spawn_unknown(lua_State *L, const char *before, int index);

/* Pop memory that must live until the child has started; or have room for n. */
void spawn_keep(lua_State *L);
void *spawn_room(lua_State *L, size_t n, size_t size);

/* Push the option, a table; false: it is nil, and nothing is pushed. */
bool spawn_table(lua_State *L, const char *name, const char *expected);

/* How many entries the table on top has. */
size_t spawn_count(lua_State *L);

#endif
