/*
** How long each task runs, while somebody looks: `neap top`.
**
** It is counted in ticks of the world (world.h), which pass for nearly nothing, and kept
** beside the tasks, which so are no larger for it.  While nobody looks, a task's run costs
** two looks at sched.clocks.
*/

#ifndef SCHED_CLOCKS_H
#define SCHED_CLOCKS_H

#include <lua.h>
#include <stdint.h>

struct sched;
typedef struct task task;

/* The task has run since then; and it ends. */
void clocks_add(struct sched *s, const task *t, uint64_t began);
void clocks_end(struct sched *s, const task *t);

void clocks_close(struct sched *s);

/* neap.clocks.core */
int luaopen_neap_clocks_core(lua_State *L);

#endif
