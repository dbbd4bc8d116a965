/*
** The scheduler's own structures, for the files of sched/ only.
**
** A task is in one place at a time: running, in the ready queue, in the queue
** of what it waits for, or ended.  Deadlines lie in one heap; an entry may be
** older than its task's wait (removing it at each wake would cost more than
** leaving it), and is put right when it comes up.
**
** A *cancel scope* is a stretch of a task's run that something can end (a timeout, a
** scope) or that hides such ends (a shield).  Cancel scopes form a list, the newest
** first.  A fired cancel scope, or a cancelled task, *interrupts*: each suspending
** call inside raises, until the cancel scope is left, unless a shield lies between.
*/

#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/heap.h"
#include "sched/task.h"
#include "sched/wait.h"
#include "sched/world.h"

/* A wait ended by an interrupt, in task.status. */
#define WAIT_INTERRUPTED INT32_MAX

/* A wait's beginning is kept in so many ns, which fit for two years. */
#define TICK (UINT64_C(1) << 24)

enum task_state { READY, RUNNING, WAITING, ENDED };

/* User values of a Task: its coroutine, and when it has ended its results or
 * its error; what it serves. */
enum { RESULTS = 1, SERVED };

/* The last two hide interrupts; ENDING is a scope that waits for its tasks.  A
 * TRIAL is what a failure in a test ends, instead of the program; IDLE is what
 * a drain ends (drain.h). */
enum cancel_scope_kind { TIMEOUT, IDLE, SCOPE, TRIAL, ENDING, SHIELD };

typedef struct cancel_scope {
  struct cancel_scope *older, *newer;
  task *task;        /* whose list it is in; NULL: in none */
  lua_State *co;     /* the coroutine that entered it */
  uint64_t deadline; /* of a timeout; NEVER */
  uint8_t kind;
  bool fired;
  bool hidden; /* a scope's: it was entered in a shield, whosever that is */
} cancel_scope;

/* A place in a queue: a task's own, or an alternative of its choice. */
typedef struct waiter {
  struct waiter *prev, *next;
  waitq *in; /* where the task waits; NULL: nowhere, or an alternative's */
} waiter;

/* Of a task that waits in several queues, in each of them. */
typedef struct alternative {
  waiter place;
  waitq *in;
  struct choice *choice;
} alternative;

/* All of them; on the stack of who waits. */
typedef struct choice {
  task *task;
  int count, chosen; /* by whoever woke one */
  alternative all[];
} choice;

/* What each wait touches is from `state` on. */
struct task {
  scope *scope;
  task *elder, *younger; /* in the scope's list */
  waitq joiners;
  int slot; /* slots.c */
  unsigned serial;
  int results;   /* their number, once it has ended well */
  int line;      /* where it was spawned */
  uint16_t site; /* and its file: an index of sched.sites */
  uint8_t state : 6;
  bool spends : 1;    /* what is kept for a prompt, and those that it spawns */
  bool aside : 1;     /* it was stopped between two instructions: visit.c */
  bool interrupt : 1; /* perhaps interrupted: look at the cancel scopes */
  bool cancelled : 1;
  bool failed : 1;
  bool served : 1;    /* an error is reported and ends only this task, and its
                        first argument is closed when it ends */
  bool outside : 1;   /* the world can end the current wait */
  bool preempted : 1; /* it is to end even if it never waits: preempt.c */
  bool daemon : 1;    /* the program does not wait for it */
  bool chooses : 1;   /* it waits in a choice, to which place.next leads */
  uint32_t since;     /* of the current wait, or of what it computes while it is
                        aside: sched.now in TICKs */
  heap_place timer;   /* in sched.deadlines */
  int status;         /* what ended the last wait */
  lua_State *co;      /* NULL once it has ended */
  lua_State *parked;  /* the innermost coroutine, while it waits or is aside */
  waiter place;       /* in the ready queue, or in what it waits in */
  cancel_scope *cancel_scopes; /* the newest */
  uint64_t deadline;           /* of the current wait; NEVER */
  const char *op;              /* what it waits for */
};

/* Of a task that has not ended. */
static inline host *task_host(const task *t) {
  return host_of(t->co);
}

struct scope {
  cancel_scope cancel_scope;
  host *host;
  task *youngest;
  unsigned live;      /* children that have not ended */
  unsigned threshold; /* wake `below` at that many */
  waitq below;
  uint64_t home;   /* its number, if it is one (trial.c); 0 */
  int ref;         /* anchor while children live; LUA_NOREF */
  int line;        /* where its tasks are served; 0: not known yet */
  uint16_t site;   /* as a task's */
  bool daemon : 1; /* the program does not wait for its tasks */
  bool prompt : 1; /* they are those of a prompt, or of who is attached */
  bool failed : 1; /* a child has, even if its error could not be kept */
  bool broken : 1; /* that, or its owner's failure, is why it is cancelled */
  bool ended : 1;
  bool lasting : 1; /* a home that background tasks belong to */
  uint32_t mark;    /* host_mark; at the end */
};

enum { NO_SLOT = -1 }; /* of task.slot */

/* Who opened a socket, while there are homes. */
typedef struct birth {
  unsigned serial; /* of the socket */
  uint64_t home;   /* its number; 0: none */
  int line;        /* where; 0: not known */
  uint16_t site;   /* and its file, as a task's */
} birth;

/* Before the first task, while there are some, and behind the last. */
enum phase { BEGINS, RUNS, OVER };

#define TASK_CLASS "neap.Task"

struct sched {
  host *host;
  task *current;
  waitq ready;
  waitq aside;          /* tasks in the middle of Lua: visit.c */
  unsigned ready_count; /* of both */
  unsigned visits;      /* turns of prompts since one of those ran */
  bool expects;         /* visitors, until they have left */
  unsigned live;
  uint64_t now;     /* as of the last turn; waits are counted from it */
  unsigned daemon;  /* of these, those that the program does not wait for */
  uint64_t began;   /* the ticks of when the turn did */
  uint64_t looked;  /* and when they were looked at last */
  unsigned steps;   /* left until they are again */
  unsigned stride;  /* so many they were */
  unsigned looks;   /* left to the turn, or to the slice */
  uint64_t slice;   /* of the running task: its beginning */
  bool sliced;      /* it has one */
  bool spent;       /* it is over: the world, and others, come first */
  bool crowded;     /* tasks wait for the world to be asked */
  bool hasty;       /* tasks take long: each one's writes leave at once */
  unsigned outside; /* waits that the world can end */
  scope *root;
  scope *side; /* of what the program does not wait for; NULL: none yet */
  struct clocks *clocks; /* clocks.h; NULL: nobody looks */
  task *foreground;      /* that SIGINT cancels first; NULL: none */
  cancel_scope *trial;   /* the one that runs; NULL: none */
  unsigned prompts;      /* that have memory in reserve */
  bool lenient;     /* a failed task is told of, and does not end the program */
  unsigned signals; /* heard since the running task began */
  unsigned switches;  /* of coroutines, where they are counted */
  uint64_t spare;     /* before the thread has computed so long, a task in an
                       endless loop is not preempted */
  int slots;          /* registry: the Tasks that have not ended, slots.c */
  int slot_count;     /* that have been used */
  int free_slot;      /* the first of those that are free, or NO_SLOT */
  int task_class;     /* host_class */
  heap deadlines;     /* timer.c */
  const char **sites; /* source names of spawn sites, from 1 */
  unsigned site_count;
  const char *reason; /* of sched_interrupt */
  unsigned serving;   /* things that a drain waits for */
  bool drains, spared;
  struct drained {
    int status;
    const char *reason;
  } drained; /* what its end is to give sched_interrupt */
  waitq drain_waiters;
  struct homes {
    task *tester;   /* who opens them */
    scope **all;    /* the innermost is the last one */
    unsigned count; /* 0: this is no test */
    birth *births;  /* in their order */
    unsigned born, room;
    uint64_t limit; /* when the trial's time is up for what does not wait */
  } homes;          /* trial.c */
  void (*stop)(host *h); /* nobody new is accepted */
  void (*flush)(host *h);
  void (*leave)(host *h);
  lua_CFunction on_summon;
  bool summoned;
  struct {
    uint64_t at;
    void (*call)(host *h, uint64_t now);
  } alarms[ALARMS];
  bool (*starved)(host *h);
  int *unrefs;
  unsigned unref_count, unref_room;
  bool deadlocked;   /* and that was reported */
  bool leaving;      /* the task that just ran has called os.exit ... */
  bool closing;      /* and the others are to close what they have open */
  task *leaver;      /* it waits for them; NULL: none does */
  bool stopped;      /* no task runs any more */
  unsigned holds;    /* sched_hold */
  uint64_t patience; /* until then their release is waited for */

  struct {
    volatile sig_atomic_t stalled; /* the running task is to say where it is */
    int (*remind)(void *w, uint64_t ns); /* the world's: watchdog.h */
    uint64_t after, end;  /* ns; 0: nobody watches, and nothing ends */
    uint64_t born, ticks; /* its beginning, by two clocks */
    uint64_t turn;  /* the beginning of the one that was told of last ... */
    uint64_t told;  /* and how long it was then, ns */
    uint64_t tried; /* the beginning of another, and ... */
    unsigned tries; /* how often the hook was to hear in it */
  } watchdog;       /* watchdog.c */

  volatile uint8_t phase; /* which a handler looks at */
};

/* Queues (wait.c) */
void queue_add(waitq *q, waiter *w);
void queue_remove(waitq *q, waiter *w);

static inline task *waiter_task(const waiter *w) {
  if (w->in == NULL)
    return ((const alternative *)w)->choice->task;
  return (task *)((char *)w - offsetof(struct task, place));
}

/* The one of the ready queue, which has no alternatives. */
static inline task *ready_task(waiter *w) {
  return (task *)((char *)w - offsetof(struct task, place));
}

/* Where a task waits, it does no longer. */
void wait_leave(task *t);

/* Park the running task in all queues of a choice, which lies on its stack. */
int wait_park_choice(lua_State *L, choice *c, const waiting *how,
                     lua_KContext ctx, lua_KFunction k);

/* Where Lua holds the tasks that have not ended (slots.c).  slot_take is for the
 * Task on top; slot_free raises nothing.  What slot_push finds in a free slot is a
 * number. */
void slots_open(lua_State *L, struct sched *s);
int slot_take(lua_State *L, struct sched *s);
void slot_free(lua_State *L, struct sched *s, int slot);
void slot_push(lua_State *L, const struct sched *s, int slot);

/* Deadlines (timer.c) */
void timer_set(struct sched *s, task *t);
void timer_drop(struct sched *s, task *t);
uint64_t timer_next(struct sched *s);
task *timer_expired(struct sched *s, uint64_t now);

/* Turns (run.c; turn.h).  sched_alarms makes the calls that are due, and returns when
 * the next one is, or NEVER.  sched_flush sends what small writes gathered. */
uint64_t sched_alarms(host *h);
void sched_flush(struct sched *s);

/* Create the scheduler of an open host, with its root scope, and register its
 * modules; and free it, after the lua_State. */
int sched_open(lua_State *L);
void sched_close(host *h);

/* Tasks (task.c) */
void task_run(struct sched *s, task *t); /* until it waits or ends */
task *task_spawn_served(lua_State *L, scope *into, int nargs);
task *task_spawn_served_there(lua_State *L, scope *into, int nargs);
void task_end(struct sched *s, task *t);

/* The nearest Lua function of the coroutine, from a level on, that is not neap's own. */
bool task_find_site(struct sched *s, lua_State *L, int level, uint16_t *site,
                    int *line);
int task_leave(lua_State *L); /* suspend for good, and call os_leave */
task *task_check(lua_State *L, int index);
void task_push(lua_State *L, const task *t); /* one that has not ended */
void task_ready(struct sched *s, task *t);   /* to the end of the ready queue */
void task_keep_deadline(task *t);            /* only its cancel scopes' */
int task_suspend(lua_State *L, task *t, lua_KContext ctx, lua_KFunction k);
void task_wake(task *t, int status);
void task_cancel(task *t);

/* Cancel scopes (cancel_scope.c).  cancel_scope_enter links a cancel scope into the running task's list;
 * leaving it twice is harmless. */
void cancel_scope_enter(lua_State *L, cancel_scope *f,
                        enum cancel_scope_kind kind, uint64_t deadline);
void cancel_scope_leave(lua_State *L, cancel_scope *f);
bool cancel_scope_interrupts(const task *t, const cancel_scope **which);
bool cancel_scope_is_raised(lua_State *L,
                            const task *t); /* what interrupts it */
void cancel_scope_fire(cancel_scope *f);
uint64_t cancel_scope_deadline(const task *t);
bool cancel_scope_expire(task *t, uint64_t now);
void cancel_scope_push(lua_State *L,
                       task *t); /* the error that cancel_scope_raise raises */
_Noreturn void cancel_scope_raise(lua_State *L, task *t);
bool cancel_scope_raised(lua_State *L, const cancel_scope *f, int err);

/* Is what the running task does in a shield, of its own or of who waits for it?
 * Callable from a signal's handler. */
bool cancel_scope_shields(const task *t);

/* How often a task went on after its interrupt (preempt.c): once more; and forget
 * what is known of the interrupt of a cancel scope, or of a task itself. */
lua_Integer cancel_scope_overrun(lua_State *L, const task *t);
void cancel_scope_forget(lua_State *L, const void *which);
void cancel_scope_open(lua_State *L);
int cancel_scope_timeout(lua_State *L); /* task.timeout */
int cancel_scope_idle(lua_State *L);    /* task.idle */
int cancel_scope_shield(lua_State *L);  /* task.shield */
int cancel_scope_trial(lua_State *L);   /* neap.test.core's */
void cancel_scope_blame(lua_State *L, cancel_scope *f,
                        int err); /* which it is to raise */

/* Where errors began (traceback.c).  The message handler of every pcallk here
 * notes the traceback of an error, but keeps the note of one that a cancel scope or
 * a scope raises again; traceback_take pushes the note and forgets it; traceback_note
 * puts one back before an error is raised again. */
int traceback_handler(lua_State *L);
void traceback_init(lua_State *L);
void traceback_take(lua_State *L, int err);
void traceback_note(lua_State *L, int err, int text);
bool traceback_is_interrupt(lua_State *L, int err); /* of the running task */

/* Ending what does not wait (preempt.c).  Each run of a task is between preempt_begin
 * and preempt_rest; preempt_over is behind the last one.  preempt_end: the task has ended.
 * preempt_spares: is a put of an interrupted task let through?  preempt_swallower: a
 * wait is to raise in it. */
void preempt_open(lua_State *L);
void preempt_begin(struct sched *s, task *t);
void preempt_end(struct sched *s, task *t);
void preempt_task(task *t); /* cancel it, whatever it does */
void preempt_all(scope *s);
void preempt_behind(lua_State *L,
                    task *t); /* t, that runs, has left a shield */
bool preempt_spares(lua_State *L, const task *t);
void preempt_swallower(lua_State *L, task *t);
void preempt_over(host *h);

/* Have the next instruction looked at, or the return of a C function.  Callable from a
 * signal's handler. */
void preempt_look_closely(lua_State *L);

/* Set the hook on what runs.  Callable from a signal's handler. */
void preempt_look(host *h);

/* The running task has kept all others waiting for long, and stands between two
 * instructions, in a hook (watchdog.c). */
void watchdog_hear(lua_State *L);

/* Visits (visit.c).  visit_put_aside: the running task, in a hook, perhaps.  visit_note:
 * it has been; again: it was before it ran.  visit_next: which task runs while some are
 * aside. */
void visit_put_aside(lua_State *L, const struct sched *s);
void visit_note(struct sched *s, task *t, bool again);
task *visit_next(struct sched *s);


/* What runs from now on is not what a nudge was meant for. */
static inline void preempt_rest(host *h) {
  if (h->nudged)
    h->world->hush(h->outside);
}

/* Did a signal come meanwhile that interrupts the running task?  Then push the
 * error that is to take the place of the one in hand. */
bool preempt_overtakes(lua_State *L);

/* Draining (drain.c), for Lua */
int drain_serving(lua_State *L);
int drain_draining(lua_State *L);
int drain_wait(lua_State *L);

/* Scopes (scope.c) */
void scope_open(lua_State *L);
scope *scope_new(lua_State *L);
void scope_add(scope *s, task *t);
void scope_blame(lua_State *L, scope *s, int err);
void scope_push_cause(lua_State *L, const scope *s); /* of its cancelling */
void scope_child_ended(lua_State *L, task *t);
void scope_cancel(scope *s);
void scope_abandon(lua_State *L, scope *s);
scope *scope_check(lua_State *L, int index);
int scope_run(lua_State *L);   /* task.scope */
int scope_serve(lua_State *L); /* s:serve, always from one place */
int scope_onfailure(lua_State *L);
bool scope_takes(lua_State *L, const scope *s, int err); /* what a served task
                                                            failed with */

/* Tests (trial.c): what spawns belong to that say nothing else, of a task and of
 * background tasks: the root scope where there are no homes.  home_blame: the error at
 * err, and the note of where it began, on top, ends a test. */
scope *home_of(const struct sched *s, const task *t);
scope *home_lasting(const struct sched *s);
void home_blame(lua_State *L, struct sched *s, int err);
void home_cancel_all(const struct sched *s);
void home_hear(struct sched *s); /* the time of a trial may be up */
void homes_free(struct sched *s);
int luaopen_neap_test_core(lua_State *L);

/* Reports (report.c) */
void report_open(lua_State *L); /* the names of tasks */
void report_failure(lua_State *L, task *t);
void report_lost(lua_State *L, host *h, int err, int origin);
void report_helpless(host *h);
void report_push_other(lua_State *L, int err, int origin);
void report_deadlock(struct sched *s);
void report_waiting(struct sched *s);
char *report_eldest(struct sched *s); /* of the tasks that wait; or NULL */
void report_swallower(lua_State *L, const task *t); /* at work in L */
void report_overrun(lua_State *L, const task *t);
void report_push_task(lua_State *L, const task *t);
void report_set_name(lua_State *L, int t, int name);
bool report_push_name(lua_State *L, int t);
void report_push_names(lua_State *L);                /* a table by the Tasks */
bool report_push_place(lua_State *L, lua_State *co); /* "file.lua:9" */

/* The class of queues that Lua has, and choices among them (queue.c) */
void queue_open(lua_State *L);
int queue_new(lua_State *L);    /* queue(op) */
int queue_choose(lua_State *L); /* choose(cases) */
void queue_push_case_class(lua_State *L);

/* The Lua side (library.c) */
int luaopen_neap_task_core(lua_State *L);
int luaopen_neap_prompt_core(lua_State *L); /* prompt.c */
void library_open(lua_State *L);            /* the classes */
const char *task_status(const task *t);
int task_get(lua_State *L); /* of neap.task.core, in stats.c */
void os_open(lua_State *L); /* os.time, ... and math.random by the world */
void os_leave(struct sched *s, task *t);       /* which has called os.exit */
bool os_has_left(struct sched *s, bool stuck); /* ends it, if nothing goes on */

#endif
