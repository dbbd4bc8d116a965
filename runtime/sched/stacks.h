/*
** Stacks and their weights, as text: a table in C, for it grows inside of hooks.
*/

#ifndef SCHED_STACKS_H
#define SCHED_STACKS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct stacks stacks;

/* As much as a table holds; more stacks are one, "(others)". */
enum { STACKS_MOST = 32 * 1024, STACKS_BYTES = 32 * 1024 * 1024 };

/* The room of one stack's text. */
enum { STACKS_LENGTH = 8 * 1024 };

stacks *stacks_new(void);
void stacks_free(stacks *all);

void stacks_add(stacks *all, const char *text, size_t n, size_t weight);

/* Push them as lines of a stack, a blank and its weight. */
void stacks_push(lua_State *L, const stacks *all);

/* Write the stack of the task that runs, from the outermost on and with ; between: who
 * spawned it, then its functions, through all coroutines.  L is the innermost one, in a
 * hook.  The bytes written, at most `room`. */
size_t stacks_read(lua_State *L, char *text, size_t room);

#endif
