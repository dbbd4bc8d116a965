/*
** Waiting: the one mechanism.
**
** A method tries.  If it cannot finish now, it parks the running task in a
** queue of the object (its readers, its writers, its acceptors) and yields
** with a continuation that tries again.  Whoever changes the object wakes the
** queue.  Success, failure, close, deadline and cancellation all enter at the
** continuation's first line, wait_status(); so wake-ups may be spurious, and
** there is no second path.
**
**   static int l_recv(lua_State *L) {
**     wait_enter(L, "recv");             -- raises when cancelled
**     return recv_k(L, LUA_OK, 0);
**   }
**   static int recv_k(lua_State *L, int yielded, lua_KContext ctx) {
**     stream *s = ...from the stack...;
**     int status = yielded == LUA_YIELD ? wait_status(L) : 0;
**     ...
**     return wait_park(L, &s->readers, &how, ctx, recv_k);
**   }
**
** The stack of the function is kept; values pushed since it began are still
** there in the continuation.  Across a suspension trust only the stack: fetch
** the object from its box again, closed meanwhile is an answer.
**
** A wait in several queues (task.select) is one wait, too: the task is parked once,
** in a *choice*, which has an alternative in each queue where others have their task.
** Whoever wakes one of them wakes the task, and in the same moment it leaves all the
** queues: so it is woken once, for one of them, which the choice notes, and nobody
** finds the others any more.  What interrupts it takes it out of all.
*/

#ifndef SCHED_WAIT_H
#define SCHED_WAIT_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct waiter;

/* Tasks that wait for one thing, first come first woken.  All zero is empty.
 * Its memory must outlive the tasks in it: wake them all before freeing it. */
typedef struct waitq {
  struct waiter *head; /* whose prev is the last one */
} waitq;

/* How a task waits. */
typedef struct waiting {
  const char *op;    /* what for: "recv"; a static string, for reports */
  uint64_t deadline; /* the operation's own, absolute, ns; NEVER (world.h) */
  bool outside;      /* the world can end this wait (a socket, a child); false
                        when only another task can (a channel, mem:) */
} waiting;

/* The first line of every function that may suspend.  In a cancelled task it
 * raises the cancellation, once others have run; it raises a clear error where
 * Lua cannot suspend. */
void wait_enter(lua_State *L, const char *op);

/* The same for what only hands something over (write, send): while there is room
 * for it, it succeeds in a cancelled task, too, for a while (preempt.c), so that
 * a <close> can say goodbye.  Where it must park its task, wait_park raises. */
void wait_enter_put(lua_State *L, const char *op);

/* Park the running task at the end of q, and suspend it.  Never returns to
 * the caller: `return wait_park(...)`.  q may be NULL (only a deadline or a
 * cancellation ends the wait).  A cancelled task only lets others run.  Nothing
 * may run after it. */
int wait_park(lua_State *L, waitq *q, const waiting *how, lua_KContext ctx,
              lua_KFunction k);

/* Has the running task done so much without waiting that others should come
 * first?  Then `return wait_yield(...)`, before trying.  Each verb that may
 * succeed at once asks, so that one busy connection starves nobody.  Never at the
 * first verb of a run: who was first to ask is served first. */
bool wait_spent(lua_State *L);

/* The running task has done as much as so many verbs more. */
void wait_charge(lua_State *L, size_t verbs);

/* Suspend to the end of the ready queue, and go on with k (status 0). */
int wait_yield(lua_State *L, lua_KContext ctx, lua_KFunction k);

/* For the continuation: the status that whoever woke the task gave (0 or a
 * negative errno); -ETIMEDOUT when the deadline of `how` passed.  Raises the
 * cancellation when that ended the wait. */
int wait_status(lua_State *L);

/* As wait_status, but gives -ECANCELED through *cancelled instead of raising,
 * for a continuation that must undo something first: undo, then call
 * wait_raise. */
int wait_peek(lua_State *L, bool *cancelled);
int wait_raise(lua_State *L);

/* Has the running task been cancelled, since it was woken too?  A continuation
 * that would take something which stays there otherwise (bytes, a connection)
 * leaves it then, and raises: nobody may want what it would return.  A timeout
 * does: what came before it is taken. */
bool wait_interrupted(lua_State *L);

/* As wait_status, and raises in that case. */
int wait_to_take(lua_State *L);

/* Wake the first task of q with a status; false when nobody waits.  May be
 * called from a backend's callback: it runs no Lua. */
bool wait_wake(waitq *q, int status);

/* Wake all; returns how many. */
int wait_wake_all(waitq *q, int status);

static inline bool wait_idle(const waitq *q) {
  return q->head == NULL;
}

/* Push a case of task.select: it waits in q, for `how`, and `attempt` tries what it is
 * for, in C as in Lua: called with the case, and when q woke the task with the
 * status, too, it returns false, or true and what task.select is to return.  The
 * case keeps the value at index `of`, whose q is, in the field `of`.  How is static. */
void wait_push_case(lua_State *L, waitq *q, const waiting *how, int of,
                    lua_CFunction attempt);

/* Seconds (from a script) to an absolute deadline: at once for <= 0 and NaN
 * raises; NEVER for very large ones. */
uint64_t wait_deadline(lua_State *L, double seconds);

#endif
