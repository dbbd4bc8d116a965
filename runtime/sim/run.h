/*
** A run: one simulation, from its seed to its end, as the process sees it that makes
** it; and its director, the node that runs the world's description and directs what
** happens to the others.
**
** The two are different hosts, in one thread: the one of the process drives the
** simulation by Run:step, and takes what was printed and reported; that of the
** director has the functions of neap.sim.core that change the world.
*/

#ifndef SIM_RUN_H
#define SIM_RUN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "sched/wait.h"
#include "sim/chance.h"
#include "sim/node.h"
#include "sim/program.h"
#include "sim/sim.h"

/* Text that grows. */
typedef struct run_text {
  char *bytes;
  size_t n, room;
} run_text;

typedef struct run {
  sim sim;        /* whose owner it is */
  node *director; /* NULL before it was begun */
  program *programs;
  chance chance; /* the director's, for what a world varies */
  waitq changed; /* tasks of the director that wait for a node to change */
  bool over;
  char *failed;    /* why; NULL */
  char *keep;      /* the faults that happen; NULL: all */
  bool stamps;     /* each line says when it was written */
  bool midline;    /* what was printed last is no whole line */
  const node *who; /* and of whom it was */
  run_text output;
  run_text reports; /* kinds and texts, each with a zero behind it */
  FILE *files[2];   /* what stdout and stderr are meanwhile */
} run;

void run_text_add(run_text *t, const char *bytes, size_t n);

/* C's stdout and stderr are the run's, until it is left. */
void run_enter(run *r);
void run_leave(run *r);
bool run_open_files(run *r);
void run_close_files(run *r);

/* It has failed, and ends; the first reason counts. */
void run_fail(run *r, const char *why);

/* Register the class of runs, for the module on top of the stack. */
void run_class_open(lua_State *L);

/* The run whose director L is of; NULL: of none. */
run *run_of(lua_State *L);

#endif
