/*
** Workers: further hosts of the process, each in a thread of its own, with its
** own lua_State, loop and tasks.
**
** They share nothing but channels (channel.h).  Who starts a worker gives it a
** program and arguments, and gets its results, or why there are none, when its
** thread has ended; in between it can only interrupt it.  neap.worker makes
** the rest of that: run, and the supervisor of `neap -w`.
*/

#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <lua.h>
#include <stdbool.h>

#include "host/host.h"

typedef struct worker worker;

/* What a worker runs. */
enum worker_kind {
  WORKER_FILE,    /* the script of that name */
  WORKER_PROGRAM, /* what the command line says */
  WORKER_FUNCTION /* a function, as string.dump gives it */
};

/* Give a host its workshop, where there can be threads, and register the module.
 * `live` is the whole life of a worker, in its thread: to open a host, run the
 * program, close it.  `self` is the worker whose host this is, or NULL. */
void workers_new(host *h, void (*live)(worker *w), worker *self);
int workers_open(lua_State *L); /* call it through host_call */

/* Behind lua_close: nobody can ring or interrupt the host any more.  One that
 * has a thread waits for those of its own workers to end. */
void workers_close(host *h);

/* Make sure that the host can be rung; 0 or -errno. */
int workers_bell(host *h);

/* In the thread: the host that started it, of which only what is constant may be
 * looked at; what to run, and under what name. */
const host *worker_parent(const worker *w);
enum worker_kind worker_kind(const worker *w);
const char *worker_name(const worker *w);
/* Of a program it is the number of those that were in its place before, as text. */
const char *worker_code(const worker *w, size_t *n);

/* Replace the program on top by a function that keeps its results, and push
 * its arguments; returns their number. */
int worker_wrap(lua_State *L, worker *w);

/* Its first task is there, and can be interrupted; 0 or -errno. */
int worker_begin(worker *w, host *h);

/* The last word: its exit status, and what its host knows of its end; or why it
 * could not start, a negative errno, and perhaps no host. */
void worker_end(worker *w, int status, const host *h);

#endif
