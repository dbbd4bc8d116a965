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

typedef struct run run;

struct run {
  sim sim;        /* whose owner it is */
  node *director; /* NULL: it is not open */
  program *programs;
  chance chance;    /* the director's, for what a world varies */
  waitq changed;    /* tasks of the director that wait for a node to change */
  waitq undecided;  /* or for a message whose fate is theirs */
  waitq limited;    /* or for the limit, and whether it was that */
  bool idle;        /* nothing will ever happen */
  bool stuck;       /* and that is a failure */
  bool over;        /* nothing happens any more */
  char *failed;     /* why; NULL */
  bool tells;       /* who waits is to be told */
  char *keep;       /* which faults happen; NULL: all */
  double limit;     /* seconds, as the command line has them; 0: none */
  bool keeps;       /* what happens is kept, to be compared */
  bool fifo, whole; /* as the simulation's */
  bool stamps;      /* each line says when it was written */
  bool printing;    /* what is printed comes here */
  bool midline;     /* what was printed last is no whole line */
  const node *who;  /* and of whom it was */
  run_text output;
  run_text
      passages; /* between nodes, where somebody watches: library_messages.c */
  run_text reports; /* kinds and texts, each with a zero behind it */
};

void run_add(run_text *t, const void *bytes, size_t n);

/* Open one for a zeroed run, and its director, which runs the program: 0 or
 * -errno.  The list is of the subsystems of its hosts. */
int run_open(run *r, uint64_t seed, const struct subsystem *subsystems,
             program *p);
void run_close(run *r); /* or what there is of it */

/* So many events, none of which is later; false: it is over. */
bool run_step(run *r, lua_Integer events, uint64_t until);

/* Is the next event later than that? */
bool run_is_later(const run *r, uint64_t until);

/* It has failed, and is over; the first reason counts.  Is it to be told who waits? */
void run_fail(run *r, const char *why, bool who);

/* The director tells: a kind and a text, which a trace shows. */
void run_report(run *r, const char *kind, const char *text);

/* The run whose director L is of; NULL: of none. */
run *run_of(lua_State *L);

/* The same, and raises; and the node whose number is at the index: 0 is the director
 * itself. */
run *run_check(lua_State *L);
node *run_check_node(lua_State *L, run *r, int index);

#endif
