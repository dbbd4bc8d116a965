/*
** The life of a task: spawned, run, parked, woken, ended.  Which one runs next is
** run.c's.
**
** Two worlds meet here.  A backend's callbacks wake tasks and never touch a
** lua_State; Lua runs only from task_run.  The coroutine's base is
** task_main, a C function that calls the body under lua_pcallk: so <close>
** variables run when the body fails or is cancelled, and may suspend.
*/

#include "sched/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/coroutine.h"
#include "host/harmless.h"
#include "host/hook.h"
#include "host/memory.h"
#include "host/traceback.h"
#include "sched/clocks.h"
#include "sched/sched.h"
#include "sched/time.h"

/* Where things lie on the stack of task_main. */
enum { SELF = 1, HANDLER, BODY };

/* Source names kept for reports. */
enum { SITES = 256 };

static struct sched *sched_of(lua_State *L) {
  return host_of(L)->sched;
}


task *task_current(lua_State *L) {
  return sched_of(L)->current;
}


task *task_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, TASK_CLASS);
}


void task_ready(struct sched *s, task *t) {
  t->state = READY;
  queue_add(&s->ready, &t->place);
  s->ready_count++;
}


/* While a task is ready its cancel scopes' deadlines still hold: two tasks that keep
 * each other ready are not exempt from them. */
void task_keep_deadline(task *t) {
  t->deadline = t->cancel_scopes != NULL ? cancel_scope_deadline(t) : NEVER;
}


void task_wake(task *t, int status) {
  if (t->state != WAITING)
    return;
  struct sched *s = task_host(t)->sched;
  wait_leave(t);
  t->status = status;
  task_keep_deadline(t);
  s->outside -= t->outside;
  task_ready(s, t);
}


void task_push(lua_State *L, const task *t) {
  slot_push(L, sched_of(L), t->slot);
}


/* Ask a task to end: it is interrupted from now on. */
void task_cancel(task *t) {
  if (t->state == ENDED)
    return;
  t->cancelled = true;
  t->interrupt = true;
  if (cancel_scope_interrupts(t, NULL))
    task_wake(t, WAIT_INTERRUPTED);
}


/* The one yield of a task: to the scheduler, through whatever coroutines the
 * script has put between. */
int task_suspend(lua_State *L, task *t, lua_KContext ctx, lua_KFunction k) {
  t->parked = L;
  coroutine_push_mark(L);
  return lua_yieldk(L, COROUTINE_MARK, ctx, k);
}


int task_leave(lua_State *L) {
  struct sched *s = sched_of(L);
  luaL_checkstack(L, COROUTINE_MARK, NULL);
  s->leaving = true;
  return task_suspend(L, s->current, 0, NULL);
}


/*
** The body
*/

/* The results become the Task's: none, the value itself, or a table. */
static void keep_results(lua_State *L, task *t, int first) {
  int n = lua_gettop(L) - first + 1;
  if (n > 1) {
    lua_createtable(L, n, 0);
    lua_insert(L, first);
    for (int i = n; i >= 1; i--)
      lua_rawseti(L, first, i);
  }
  t->results = n;
  if (n >= 1)
    lua_setiuservalue(L, SELF, RESULTS);
}


/* Is the error on top the task's own cancellation? */
static bool is_own_cancel(lua_State *L, task *t) {
  bool raised = lua_rawgetp(L, LUA_REGISTRYINDEX, t) != LUA_TNIL;
  bool own = raised && t->cancelled && lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return own;
}


/* Close what the Task at index serves, once. */
static void close_served(lua_State *L, const task *t, int index) {
  if (!t->served)
    return;
  lua_getiuservalue(L, index, SERVED);
  lua_pushnil(L);
  lua_setiuservalue(L, index, SERVED);
  int served = lua_gettop(L);
  if (!lua_getmetatable(L, served) ||
      lua_getfield(L, -1, "__close") == LUA_TNIL)
    return;
  lua_pushvalue(L, served);
  lua_call(L, 1, 0);
}


static int main_k(lua_State *L, int status, lua_KContext ctx) {
  task *t = lua_touserdata(L, SELF);
  (void)ctx;
  luaL_checkstack(L, LUA_MINSTACK, NULL); /* the results may fill it */
  if (status == LUA_OK || status == LUA_YIELD) {
    t->cancelled = false;
    keep_results(L, t, BODY);
  } else {
    bool cancel = is_own_cancel(L, t);
    t->cancelled = cancel;
    t->failed = !cancel;
    if (t->failed)
      report_failure(L, t);
    lua_setiuservalue(L, SELF, RESULTS);
  }
  close_served(L, t, SELF);
  return 0;
}


/* task, handler, body, arguments... */
static int task_main(lua_State *L) {
  int nargs = lua_gettop(L) - BODY;
  return main_k(L, lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, 0, main_k), 0);
}


/*
** Spawning
*/

/* The index of a source name in sched.sites, usually the last one asked; 0
 * when there are too many. */
static uint16_t site_index(struct sched *s, const char *name) {
  for (unsigned i = s->site_count; i >= 1; i--)
    if (strcmp(s->sites[i], name) == 0)
      return (uint16_t)i;
  if (s->site_count == SITES)
    return 0;
  s->sites = memory_grow(s->sites, (s->site_count + 2) * sizeof *s->sites);
  s->sites[++s->site_count] = memory_text(name, strlen(name));
  return (uint16_t)s->site_count;
}


bool task_find_site(struct sched *s, lua_State *L, int level, uint16_t *site,
                    int *line) {
  lua_Debug ar;
  if (!traceback_script(L, level, &ar))
    return false;
  *site = site_index(s, ar.short_src);
  *line = ar.currentline;
  return true;
}


/* Level 0 is that of C which spawns. */
static void note_site(lua_State *L, task *t) {
  task_find_site(sched_of(L), L, 1, &t->site, &t->line);
}


/* Push a Task in state READY, in no queue yet. */
static task *task_new(lua_State *L, struct sched *s, bool served) {
  task *t = lua_newuserdatauv(L, sizeof *t, served ? SERVED : RESULTS);
  *t = (task){.deadline = NEVER, .slot = NO_SLOT, .served = served};
  host_set_class(L, s->task_class);
  t->serial = host_serial(s->host);
  t->spends = s->current != NULL && s->current->spends;
  return t;
}


void task_check_callable(lua_State *L, int index, const char *verb) {
  luaL_checkany(L, index);
  if (lua_isfunction(L, index))
    return;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    luaL_error(L, "%s: a function expected, got %s", verb,
               luaL_typename(L, index));
  lua_pop(L, 1);
}


/* Push a coroutine that is to run the function at index `body`, and nargs
 * arguments above it, for the Task on top. */
static lua_State *push_coroutine(lua_State *L, int body, int nargs) {
  lua_State *co = lua_newthread(L);
  hook_inherit(L, co);
  if (!lua_checkstack(co, nargs + LUA_MINSTACK))
    luaL_error(L, "too many arguments to spawn");
  lua_pushcfunction(co, task_main);
  lua_pushvalue(L, -2);
  lua_xmove(L, co, SELF);
  lua_pushcfunction(co, traceback_handler);
  for (int i = 0; i <= nargs; i++)
    lua_pushvalue(L, body + i);
  lua_xmove(L, co, nargs + 1);
  return co;
}


/* A served task closes its first argument. */
static task *spawn(lua_State *L, scope *into, int nargs, bool served) {
  struct sched *s = sched_of(L);
  int body = lua_gettop(L) - nargs;
  task_check_callable(L, body, "spawn");
  luaL_checkstack(L, nargs + 6, "spawn");
  task *t = task_new(L, s, served);
  lua_State *co = push_coroutine(L, body, nargs);
  lua_setiuservalue(L, -2, RESULTS);
  if (served) {
    lua_pushvalue(L, body + 1);
    lua_setiuservalue(L, -2, SERVED);
  }
  lua_replace(L, body);
  lua_settop(L, body);
  t->slot = slot_take(L, s);
  scope_add(into != NULL ? into : home_of(s, s->current), t);
  t->co = co;
  s->live++;
  s->daemon += t->daemon;
  task_ready(s, t);
  return t;
}


task *task_spawn(lua_State *L, scope *into, int nargs) {
  task *t = spawn(L, into, nargs, false);
  note_site(L, t);
  return t;
}


task *task_spawn_served(lua_State *L, scope *into, int nargs) {
  task *t = spawn(L, into, nargs, true);
  note_site(L, t);
  return t;
}


/* By who does so always from one place. */
task *task_spawn_served_there(lua_State *L, scope *into, int nargs) {
  task *t = spawn(L, into, nargs, true);
  if (into->line == 0) {
    note_site(L, t);
    into->site = t->site;
    into->line = t->line;
  }
  t->site = into->site;
  t->line = into->line;
  return t;
}


/*
** Running
*/

/* A task whose base failed outside its body: out of memory, or an error in
 * the closing of what it served. */
static int l_fail(lua_State *L) {
  task *t = lua_touserdata(L, 1);
  task_push(L, t);
  lua_insert(L, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, RESULTS);
  report_failure(L, t);
  return 0;
}


static int l_close_served(lua_State *L) {
  const task *t = lua_touserdata(L, 1);
  task_push(L, t);
  close_served(L, t, 2);
  return 0;
}


/* When there is no memory left to tell of a failure, or to close what others
 * wait for, the program ends. */
static void end_badly(lua_State *L, task *t) {
  t->failed = true;
  t->cancelled = false;
  t->results = 0;
  lua_pushcfunction(L, l_fail);
  lua_pushlightuserdata(L, t);
  lua_xmove(t->co, L, 1);
  host *h = host_of(L);
  bool told = host_call(h, 2, 0);
  lua_pushcfunction(L, l_close_served);
  lua_pushlightuserdata(L, t);
  if (!host_call(h, 1, 0) || !told)
    report_helpless(h);
  lua_settop(L, 0);
}


/* Cancel scopes are left of coroutines that the task has not finished. */
static int l_abandon(lua_State *L) {
  task *t = lua_touserdata(L, 1);
  for (cancel_scope *f; (f = t->cancel_scopes) != NULL;) {
    if (f->kind == SCOPE || f->kind == ENDING)
      scope_abandon(L, (scope *)f);
    else
      cancel_scope_leave(L, f);
  }
  return 0;
}


static void abandon_cancel_scopes(lua_State *L, task *t) {
  lua_pushcfunction(L, l_abandon);
  lua_pushlightuserdata(L, t);
  host_call(host_of(L), 1, 0);
  lua_settop(L, 0);
}


static void end(struct sched *s, task *t, int result) {
  lua_State *L = s->host->L;
  if (result != LUA_OK)
    end_badly(L, t);
  if (t->cancel_scopes != NULL)
    abandon_cancel_scopes(L, t);
  t->state = ENDED;
  if (s->clocks != NULL)
    clocks_end(s, t);
  timer_drop(s, t);
  if (t->interrupt)
    cancel_scope_forget(L, t); /* its cancellation */
  slot_free(L, s, t->slot);
  t->co = t->parked = NULL;
  s->live--;
  s->daemon -= t->daemon;
  preempt_end(s, t);
  wait_wake_all(&t->joiners, 0);
  scope_child_ended(L, t);
}


void task_end(struct sched *s, task *t) {
  end(s, t, LUA_OK);
}


/* Make ready to resume it, and return with how many arguments. */
static int unpark(task *t) {
  bool stopped = t->aside && t->parked == t->co;
  t->aside = false;
  t->parked = NULL; /* it may be collected before the next wait */
  if (stopped)
    return 0;
  if (!coroutine_parked(t->co))
    return lua_gettop(t->co) - 1;
  lua_pop(t->co, COROUTINE_MARK);
  return 0;
}


#ifdef NEAP_STRESS
/* All garbage is collected before a resume: before each of the first, and then before some,
 * or the few specs that resume the most would take most of the check's time. */
static void stress(lua_State *L) {
  enum { FIRST = 2000, SOME = 13 };
  static _Thread_local unsigned resumes;
  if (getenv("NEAP_STRESS") == NULL)
    return;
  resumes++;
  if (resumes <= FIRST || resumes % SOME == 0)
    lua_gc(L, LUA_GCCOLLECT);
}
#endif


void task_run(struct sched *s, task *t) {
  lua_State *L = s->host->L;
  int n = 0;
  bool aside = t->aside;
  int nargs = unpark(t);
  s->current = t;
  s->sliced = false;
  s->host->base = t->co;
  t->state = RUNNING;
  preempt_begin(s, t);
#ifdef NEAP_STRESS
  stress(L);
#endif
  uint64_t began =
      s->clocks != NULL ? s->host->world->ticks(s->host->outside) : 0;
  int result = lua_resume(t->co, L, nargs, &n);
  if (began != 0)
    clocks_add(s, t, began);
  s->host->base = NULL;
  s->host->running = NULL;
  s->current = NULL;
  preempt_rest(s->host);
  if (s->lenient)
    fflush(stdout); /* it appears above the prompt */
  if (s->leaving) {
    os_leave(s, t);
    return;
  }
  if (result != LUA_YIELD)
    end(s, t, result);
  else if (s->host->aside != NULL)
    visit_note(s, t, aside);
  else if (t->state == RUNNING)
    task_ready(s, t); /* a bare lua_yield of some C module */
}
