/*
** The program that an executable carries: what `neap build` has put behind it,
** files by their paths.
**
** The first one has no path, and the words of neap's own command line that the
** program is to be run with, each with a zero behind it; the second is the script.
** Both are the same for all hosts, and stay where they are in memory.
*/

#ifndef HOST_CARRIED_H
#define HOST_CARRIED_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct carried_file {
  const char *path; /* not ended by a zero */
  size_t length;
  const char *bytes;
  size_t size;
} carried_file;

/* Where it is in the executable's file: false if there is none.  Usual starts ask
 * no more than this. */
bool carried_place(uint64_t *at, uint64_t *size);

/* Take the bytes from there, of an executable with this path, for good.  False: they
 * are something else. */
bool carried_set(const char *bytes, size_t size, const char *path);

/* The path of the executable, if it carries a program; or NULL. */
const char *carried_by(void);

/* The file behind *at, which moves on, from 0; false: there is none more. */
bool carried_next(size_t *at, carried_file *file);

bool carried_find(const char *path, carried_file *file);

/* Push the function that such a file is, of a script or module, and return Lua's
 * status. */
int carried_load(lua_State *L, const carried_file *file);

/* The same of a module, and push its path, as require looks for it; false: there
 * is none, and nothing was pushed.  Raises where it is none of Lua's. */
bool carried_module(lua_State *L, const char *name);

/* carried(path) : its bytes | nil
** carried() : whether anything is */
int carried_lua(lua_State *L);

#endif
