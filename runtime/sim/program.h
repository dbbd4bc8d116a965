/*
** What a node runs: a script, a function, or a module of neap's own, and what it is
** told.
*/

#ifndef SIM_PROGRAM_H
#define SIM_PROGRAM_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct program program;
struct program {
  program *next;
  char *name; /* a path; or what the function, or the module, is called */
  char *code; /* a function's, as string.dump gives it; NULL: none */
  size_t code_size;
  bool module;  /* `name` is one of neap's own, which leaves a function */
  bool directs; /* below it runs the director's own main program */
  int nargs, nenv;
  char **args;
  char **env; /* names and values, in turn */
};

/* Read one from the stack: name, code or nil, a list of strings for the arguments, or
 * nil, and a table of strings for the environment, or nil, from index on.  Raises. */
program *program_read(lua_State *L, int index);
void program_free(program *p);

/* Spawn the first task, which runs it: for node_start; it gets the program. */
int program_start(lua_State *L);

#endif
