/*
** Tasks: coroutines that the scheduler owns.  Scopes: the lifetimes that they
** are spawned into.
**
** Reading order: world.h, wait.h, this, life.h, sched.h, task.c, run.c.
*/

#ifndef SCHED_TASK_H
#define SCHED_TASK_H

#include <stdint.h>

#include "host/host.h"
#include "sched/wait.h"

typedef struct task task;
typedef struct scope scope;

/* Run the tasks that are ready now, each once.  The backend calls it after
 * some deliveries, from its poll and from nowhere else.  Not where
 * host.quiet is set. */
void sched_round(host *h);

/* Cancel everything; the process then ends with this status (-n: by signal n).  Callable from a
 * backend's callback. */
void sched_interrupt(host *h, int exit_status, const char *reason);

/* The same, for tasks that did not end: preempt them again and again, so that none
 * goes on behind an error that it catches (preempt.c). */
void sched_insist(host *h);

/* By world.thread_cpu, where that is called by the hook (host.counted): the task that
 * runs computes without end.  That is told, with its place, and ends the host. */
void sched_overrun(host *h);

/* Has that been done? */
bool sched_is_interrupted(const host *h);

/* From a signal's handler: have what Lua runs now looked at.  It calls
 * world.hear soon, and raises in the running task if that cancelled it.  An urgent
 * signal ends system calls, too. */
enum { URGENT = 2 };
void sched_preempt(host *h, bool urgent);

/* May system calls of what runs be ended?  Between two tasks, in a shield and behind
 * the last task they may not.  Callable from a signal's handler. */
bool sched_may_nudge(const host *h);

/* Is what runs hidden from that by a shield, of its own or of who waits for it?
 * Callable from a signal's handler. */
bool sched_is_shielded(const host *h);

/* A system call has ended with EINTR: is it to be left, and not made again? */
bool sched_ends_call(const host *h);

/* The signals are being delivered without. */
void sched_heard(host *h);

/* SIGINT came: cancel what runs at the prompt, whatever it does.  False when
 * nothing does. */
bool sched_preempt_foreground(host *h);

/* Is this host at a prompt?  Callable from a signal's handler. */
bool sched_is_prompt(const host *h);

/* A visitor is expected: from now on what computes is put aside now and then
 * (visit.c), until sched_leave.  Callable from a signal's handler. */
void sched_visit(host *h);
void sched_leave(host *h);

/* Call this on the main thread, from the loop, where Lua may run; callable
 * from a backend's callback. */
void sched_summon(host *h);
void sched_on_summon(host *h, lua_CFunction f);

/* Spawn the function below its nargs arguments on top of L's stack, into the
 * scope (NULL: the root scope), and replace them by the Task. */
task *task_spawn(lua_State *L, scope *into, int nargs);

/* Raise at the caller of `verb` unless what is at the index can be called. */
void task_check_callable(lua_State *L, int index, const char *verb);

/* Let the task in s:wait() of the Scope at index go on, whoever still lives. */
void scope_rouse(lua_State *L, int index);

/* The running task; NULL while modules are opened. */
task *task_current(lua_State *L);

/* The socket layer's hook, set once: send what small writes gathered.  It is
 * called when some tasks have run, and before others are waited for. */
void sched_on_suspend(host *h, void (*flush)(host *h));

/* The socket layer's other hook: the program has ended, and what sockets accepted
 * is to go out, before the state is closed.  What the end waits for so, for some
 * seconds at most, is counted: streams with bytes that the kernel refused, or that
 * wait for their peer's end. */
void sched_on_leave(host *h, void (*leave)(host *h));
void sched_hold(host *h);
void sched_release(host *h);

/* Call fn(h, now) from the scheduler at that time (NEVER: not at all); set
 * anew each time.  Each has its own, and it keeps no program alive. */
enum alarm { ALARM_CLOSING, ALARM_TRACE, ALARM_TLS, ALARMS };

void sched_alarm(host *h, enum alarm which, uint64_t at,
                 void (*fn)(host *h, uint64_t now));

/* Called when all tasks wait for each other, before that is reported as a
 * deadlock; true if it has woken one.  Set once. */
void sched_on_starved(host *h, bool (*fn)(host *h));

/* A registry reference to the value at index; LUA_NOREF when there is no memory
 * for one.  Raises nothing, and runs no finalizer where the stack has room for
 * LUA_MINSTACK values more and a few. */
int sched_ref(lua_State *L, int index);

/* Release one, from where no Lua may run: done before the next task runs. */
void sched_unref(host *h, int ref);

/* A socket was opened, in a test: `neap test` is to know whose it is, and where.  For
 * where host.tested is set. */
void sched_note_birth(host *h, unsigned serial);

/* Push the ids of the tasks that wait in q, a list, or nil. */
void sched_push_waiters(lua_State *L, const waitq *q);

/* neap.host, which net/ adds to (stats.c). */
int luaopen_neap_host(lua_State *L);

/* Tasks that have not ended. */
unsigned sched_live(const host *h);

#endif
