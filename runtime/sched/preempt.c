/*
** Preempting: ending a task that does not wait.
**
** A cancelled task learns of it when it waits.  One that computes for ever
** never does, and keeps the loop from hearing the signal, too.  So a signal's
** handler preempts: it sets a count hook on the coroutine that runs, which has the
** signals delivered, and if they cancelled what runs, raises that there and then.
**
** A program's task is preempted once: it may have caught the error on purpose, to
** clean up at length; the second signal ends the process anyway.  What the
** prompt runs is preempted *for good*: again after each GRACE, which is for its
** <close> variables, and until it has ended pcall, xpcall and resume raise
** what they caught.  So are all tasks of a worker that was asked twice, and any
** task that waits, catches the cancellation, and waits again, once that is more
** than what a clean-up does that tries one thing after the other.
**
** Hooks reach Lua code only: a C function that takes long (string.find with a
** pattern that backtracks) and a finalizer cannot be stopped so.  One that blocks
** in a system call can: the signal ends that (EINTR), and what the function then
** returns or raises, the cancellation takes the place of; but if it returns something
** all the same, that is kept.
**
** What is in a shield is left alone, also in a system call.  Behind it the task is
** preempted.
**
** So a signal, and what is made of it, goes through these states of the host.
** `preempt_due` and `held` set the hook; `nudged` ends system calls (world.h), and is for the task that
** runs and nobody else.
**
**   what happens                     due      held          nudged
**   a signal comes                   set      -             set if a task runs that is
**                                                           in no shield
**   a task begins to run             -        if the task   set if due, but not in
**                                             is preempted  a shield
**   it is heard: by the hook, by     cleared  set           cleared if it does not
**   EINTR, at the end of a shield                           interrupt the task
**   a task is interrupted because    -        set           set
**   the program ends, and has not
**   been told: it begins to run, or
**   a shield ends
**   the interrupt is raised          -        -             cleared
**   a shield begins, or a coroutine  -        -             cleared
**   inside one goes on
**   a task's run ends                -        -             cleared
**   the loop hears it                cleared  -             (is clear)
**   the last task has ended          cleared  cleared       cleared, and not set again
*/

#include <errno.h>
#include <stdatomic.h>

#include "host/hook.h"
#include "sched/profile.h"
#include "sched/sched.h"

#define MILLISECONDS UINT64_C(1000000)

/* Before a cancelled task that has not waited meanwhile is preempted, and between
 * two raises.  This is processor time, as the one below: a machine that is under load
 * makes no task look as if it computed. */
#define GRACE (30 * MILLISECONDS)

/* At the prompt: before a task that only keeps others waiting is preempted, too. */
#define HOGGING (80 * MILLISECONDS)


/* So often a task may go on after its interrupt, by a put or by catching what a
 * wait raised, until its puts raise, too; and until it is preempted. */
enum { PUTS = 100, PATIENCE = 2 * PUTS };


static bool is_interrupted(const task *t) {
  return t->interrupt && cancel_scope_interrupts(t, NULL);
}


static uint64_t spent(const host *h) {
  return h->world->thread_cpu(h->outside);
}


void preempt_task(task *t) {
  t->preempted = true;
  if (t->state == RUNNING)
    task_host(t)->held = true;
  task_cancel(t);
}


static void raise_in(lua_State *L, struct sched *s, task *t) {
  s->spare = spent(s->host) + GRACE;
  s->host->held = t->preempted;
  cancel_scope_raise(L, t);
}


/* What interrupts the owner of a scope it passes on to the scope's tasks: when it
 * runs.  It cannot while one of them does, so this is done here. */
static void pass_on(task *t) {
  scope *s = t->scope;
  task *owner = s->cancel_scope.task;
  if (owner == NULL)
    return;
  pass_on(owner);
  if (is_interrupted(owner))
    scope_cancel(s);
}


static void hear(struct sched *s) {
  host *h = s->host;
  task *t = s->current;
  if (!h->held) { /* counted from the first signal */
    s->spare = spent(h) + GRACE;
    s->signals = 0;
  }
  s->signals++;
  /* One of the two is set, always: a nudge that finds none is the last. */
  h->held = true;
  atomic_signal_fence(memory_order_seq_cst);
  h->preempt_due = 0;
  h->world->hear(h->outside);
  if (t == NULL)
    return;
  home_hear(s);
  pass_on(t);
  if (!is_interrupted(t))
    preempt_rest(h);
}


/* False: it is yet to be seen whether the task is to be ended. */
static bool look_at(lua_State *L, struct sched *s, task *t) {
  uint64_t time = spent(s->host);
  if (time < s->spare)
    return false;
  bool ours = s->lenient || t->scope->prompt;
  bool long_enough = time >= s->spare + HOGGING;
  if (!is_interrupted(t) && ours && long_enough)
    preempt_task(t);
  if (is_interrupted(t))
    raise_in(L, s, t);
  return long_enough || !ours;
}


/* The running task is to end, and may not have been told: it learns of that now,
 * even if it does not wait. */
static void tell(struct sched *s) {
  host *h = s->host;
  s->spare = spent(h) + GRACE;
  h->held = true;
  host_enter(h, h->running);
  if (sched_may_nudge(h))
    h->world->nudge(h->outside);
}


/* A shield has kept from the task that the program ends, or that a signal has
 * come. */
void preempt_behind(lua_State *L, task *t) {
  host *h = host_of(L);
  struct sched *s = h->sched;
  if (t != s->current)
    return;
  if (h->preempt_due)
    hear(s);
  bool ends = h->held || (s->reason != NULL && !cancel_scope_is_raised(L, t));
  if (ends && is_interrupted(t))
    tell(s);
}


bool sched_is_shielded(const host *h) {
  const task *t = h->sched != NULL ? h->sched->current : NULL;
  return t != NULL && cancel_scope_shields(t);
}


bool sched_may_nudge(const host *h) {
  if (h->sched == NULL || h->sched->phase == BEGINS)
    return !h->ended;
  return h->sched->phase == RUNS && h->running != NULL && !sched_is_shielded(h);
}


bool sched_ends_call(const host *h) {
  return h->preempt_due && !sched_is_shielded(h);
}


/* A signal has come that nobody has heard yet, in a system call.  Does it
 * interrupt what runs?  At the prompt the second one does, whatever runs. */
static bool overtakes(lua_State *L) {
  host *h = host_of(L);
  struct sched *s = h->sched;
  task *t = s->current;
  if (errno != EINTR || !h->preempt_due)
    return false;
  hear(s);
  if (t != NULL && s->lenient && s->signals > 1 && !is_interrupted(t))
    preempt_task(t);
  return t != NULL && is_interrupted(t);
}


bool preempt_overtakes(lua_State *L) {
  if (!overtakes(L))
    return false;
  cancel_scope_push(L, task_current(L));
  return true;
}


/* Does the function return anything?  Then its call did well in the end, and what it
 * has opened or read is not to be lost. */
static bool gives(lua_State *L, lua_Debug *ar) {
  lua_getinfo(L, "r", ar);
  if (lua_getlocal(L, ar, ar->ftransfer) == NULL)
    return false;
  bool any = ar->ntransfer > 0 && lua_toboolean(L, -1);
  lua_pop(L, 1);
  return any;
}


static void on_event(lua_State *L, lua_Debug *ar);

/* Has nobody else a hook that it is to have?  Only to count it is not taken away. */
static bool has_own(const host *h) {
  return !h->visited && (h->hooked || h->on_line != NULL);
}


/* Callable from a signal's handler. */
static void look_on(lua_State *L) {
  const host *h = host_of(L);
  bool all = h->preempt_due || h->held;
  if (!all && h->counted && has_own(h))
    return;
  lua_sethook(L, on_event, all ? HOST_EVENTS : LUA_MASKCOUNT, HOST_COUNT);
}


static void look_away(lua_State *L) {
  const host *h = host_of(L);
  hook_put(L);
  if (h->preempt_due || h->visited || h->counted) /* meanwhile */
    look_on(L);
  else if (profile_is_due(h))
    preempt_look_closely(L);
}


static void on_count(lua_State *L, host *h) {
  struct sched *s = h->sched;
  if (h->counted)
    spent(h);
  if (h->preempt_due) {
    hear(s);
  } else if (h->held && s->current != NULL) {
    if (look_at(L, s, s->current) && h->visited)
      visit_put_aside(L, s);
  } else if (h->visited) {
    visit_put_aside(L, s);
  } else {
    look_away(L);
  }
}


void preempt_look_closely(lua_State *L) {
  lua_sethook(L, on_event, HOST_EVENTS, 1);
}


static void on_event(lua_State *L, lua_Debug *ar) {
  host *h = host_of(L);
  if (profile_is_due(h)) {
    profile_take(L);
    look_on(L);
  }
  if (h->sched->watchdog.stalled) {
    watchdog_hear(L);
    look_on(L);
  }
  if (ar->event != LUA_HOOKRET)
    on_count(L, h);
  else if (errno == EINTR && !gives(L, ar) && overtakes(L))
    raise_in(L, h->sched, h->sched->current);
  else if (!h->preempt_due && !h->held && !h->visited)
    look_away(L);
}


void preempt_look(host *h) {
  lua_State *L = h->running;
  if (L != NULL)
    look_on(L);
}


void sched_preempt(host *h, bool urgent) {
  if (urgent || !h->preempt_due)
    h->preempt_due = urgent ? URGENT : 1;
  preempt_look(h);
}


/* The hook's count begins anew with each coroutine that goes on: who does little else
 * than that would never be looked at. */
static void on_switch(host *h, lua_State *co) {
  enum { SWITCHES = 64 };
  const task *t = h->sched->current;
  if (++h->sched->switches % SWITCHES != 0)
    return;
  if (h->counted)
    spent(h);
  if (h->held && t != NULL && is_interrupted(t))
    preempt_look_closely(co);
}


/* Lua goes on in this coroutine, which may have been suspended inside a shield, or
 * have resumed the one that was. */
static void watch(host *h, lua_State *co) {
  look_on(co);
  on_switch(h, co);
  if (!sched_may_nudge(h))
    preempt_rest(h);
  else if (h->preempt_due == URGENT && !h->nudged)
    h->world->nudge(h->outside);
}


void sched_heard(host *h) {
  h->preempt_due = 0;
}


bool sched_preempt_foreground(host *h) {
  task *t = h->sched->foreground;
  if (t == NULL || t->state == ENDED)
    return false;
  preempt_task(t);
  return true;
}


bool sched_is_prompt(const host *h) {
  return h->sched != NULL && h->sched->lenient;
}


/* Has the program's end interrupted it, with nothing yet that tells it so? */
static bool is_untold(struct sched *s, task *t) {
  if (s->reason == NULL || t->status == WAIT_INTERRUPTED)
    return false;
  if (!t->interrupt)
    pass_on(t);
  return is_interrupted(t) && !cancel_scope_is_raised(s->host->L, t);
}


static void begin_watched(struct sched *s, task *t) {
  host *h = s->host;
  if (t->preempted)
    s->spare = spent(h) + GRACE;
  host_enter(h, t->co);
  if (is_untold(s, t))
    tell(s);
}


/* A task that is preempted is interrupted. */
void preempt_begin(struct sched *s, task *t) {
  s->host->held = t->preempted;
  s->host->running = t->co;
  if (s->host->preempt_due || s->host->visited || s->host->counted ||
      s->reason != NULL || t->interrupt)
    begin_watched(s, t);
}


/* What is printed goes out whole, and a signal not heard yet ends the program. */
void preempt_over(host *h) {
  if (h->sched != NULL && h->sched->phase != OVER) {
    h->sched->phase = OVER;
    h->held = false;
    if (h->preempt_due)
      h->world->hear(h->outside);
    h->preempt_due = 0;
  }
  preempt_rest(h);
}


void preempt_all(scope *s) {
  scope_cancel(s);
  for (task *t = s->youngest; t != NULL; t = t->elder)
    preempt_task(t);
}


/* The tasks of a scope, and those of the scopes that they are in. */
static void preempt_below(scope *s) {
  for (task *t = s->youngest; t != NULL; t = t->elder) {
    preempt_task(t);
    for (cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older)
      if (f->kind == SCOPE || f->kind == ENDING)
        preempt_below((scope *)f);
  }
}


void sched_insist(host *h) {
  preempt_below(h->sched->root);
  for (unsigned i = 0; i < h->sched->homes.count; i++)
    preempt_below(h->sched->homes.all[i]);
}


bool preempt_spares(lua_State *L, const task *t) {
  return cancel_scope_overrun(L, t) <= PUTS;
}


void preempt_swallower(lua_State *L, task *t) {
  if (cancel_scope_overrun(L, t) > PATIENCE && !t->preempted) {
    t->preempted = true;
    report_swallower(L, t);
  }
}


void preempt_end(struct sched *s, task *t) {
  if (s->foreground == t)
    s->foreground = NULL;
}


/* An error was caught: a preempted task must not go on behind it, nor one whose
 * error is that a signal has come. */
static void insist(lua_State *L) {
  task *t = task_current(L);
  if (overtakes(L) || (t != NULL && t->preempted && is_interrupted(t)))
    cancel_scope_raise(L, t);
}


/*
** pcall(f, ...) and xpcall(f, handler, ...), as Lua's own but for that
*/

static int caught_k(lua_State *L, int status, lua_KContext below) {
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L) - (int)below;
  insist(L);
  lua_pushboolean(L, false);
  lua_insert(L, -2);
  return 2;
}


static int l_pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, true);
  lua_insert(L, 1);
  int nargs = lua_gettop(L) - 2;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, 0, 0, caught_k);
  return caught_k(L, status, 0);
}


/* f, handler, ... -> f, handler, true, f, ... */
static int l_xpcall(lua_State *L) {
  enum { F = 1, HANDLER, KEPT = HANDLER };
  int nargs = lua_gettop(L) - KEPT;
  luaL_checktype(L, HANDLER, LUA_TFUNCTION);
  lua_pushboolean(L, true);
  lua_pushvalue(L, F);
  lua_rotate(L, KEPT + 1, 2);
  int status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, KEPT, caught_k);
  return caught_k(L, status, KEPT);
}


void preempt_open(lua_State *L) {
  host *h = host_of(L);
  h->watch = watch;
  h->insist = insist;
  lua_register(L, "pcall", l_pcall);
  lua_register(L, "xpcall", l_xpcall);
}
