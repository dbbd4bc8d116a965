/*
** Threads of the host's own, and the bell that other threads ring.
*/

#ifndef UV_THREAD_H
#define UV_THREAD_H

#include "uv/loop.h"

/* Run it in a thread that nobody waits for, and that hears no signal: those are for
 * who runs Lua.  A call of the C library at most; 0 or -errno. */
int thread_detach(void *(*run)(void *), void *arg);

/* As sched/world.h says. */
int thread_run(void *w, void (*run)(void *), void (*done)(void *), void *arg);
int thread_bell(void *w, void (*rang)(host *h));
void thread_ring(void *w);
void thread_preempt(void *w, bool gently);
void thread_visit(void *w);

void thread_hear(loop *l);  /* has it been rung? */
void thread_close(loop *l); /* takes the bell down */

#endif
