/*
** The life of a task: spawned, run from the ready queue, parked, woken, ended.
**
** Two worlds meet here.  A backend's callbacks wake tasks and never touch a
** lua_State; Lua runs only from sched_round.  The coroutine's base is
** task_main, a C function that calls the body under lua_pcallk: so <close>
** variables run when the body fails or is cancelled, and may suspend.
*/

#include "sched/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/coroutine.h"
#include "host/harmless.h"
#include "host/memory.h"
#include "sched/sched.h"
#include "sched/time.h"

/* Where things lie on the stack of task_main. */
enum { SELF = 1, HANDLER, BODY };

/* So long tasks run before the world is asked again, and one task before others
 * come first: in ticks of the world, some ms. */
enum { TURN = 4 * 1000 * 1000, SLICE = TURN / 2 };

/* The ticks are looked at after some *steps*: runs of a task, and verbs that were
 * done at once.  After each, while a quarter of a turn passes from look to look;
 * else after ever more of them, up to STRIDE.  So many looks end a turn by
 * themselves: there are worlds whose time stands still meanwhile. */
enum { STRIDE = 16, LOOKS = 100 };

/* What tasks write leaves when so many have run: the code of the kernel and
 * that of Lua, which hardly fit into the caches together, are then each run
 * through several times.  Unless they are few, or take so long, in ticks, that
 * waiting for each other would be felt. */
enum { TOGETHER = 16, FEW = 4, LONG_RUN = 50 * 1000 };

/* So many times behind one that took long, the next ones are taken to do so. */
enum { HASTE = 64 };

/* How long the end waits for what sockets accepted to go out, ns. */
#define DRAIN (5 * UINT64_C(1000000000))

/* Source names kept for reports. */
enum { SITES = 256 };

#define CLASS "neap.Task"


static struct sched *sched_of(lua_State *L) {
  return host_of(L)->sched;
}


task *task_current(lua_State *L) {
  return sched_of(L)->current;
}


task *task_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, CLASS);
}


unsigned sched_live(const host *h) {
  return h->sched->live;
}


/*
** Turns: what runs between two looks at the world
*/

static uint64_t ticks(const struct sched *s) {
  return s->host->world->ticks(s->host->outside);
}


static void begin_turn(struct sched *s) {
  s->began = s->looked = ticks(s);
  s->steps = s->stride = 1;
  s->looks = LOOKS;
  s->spent = false;
}


static void look(struct sched *s) {
  uint64_t now = ticks(s);
  if (now - s->looked >= TURN / 4)
    s->stride = 1;
  else if (s->stride < STRIDE)
    s->stride *= 4;
  s->looked = now;
  s->steps = s->stride;
  s->spent |= now - s->began >= TURN || --s->looks == 0;
}


static void step(struct sched *s) {
  if (--s->steps == 0)
    look(s);
}


static void make_ready(struct sched *s, task *t) {
  t->state = READY;
  queue_add(&s->ready, t);
  s->ready_count++;
}


/* While a task is ready its frames' deadlines still hold: two tasks that keep
 * each other ready are not exempt from them. */
static void keep_deadline(task *t) {
  t->deadline = t->frames != NULL ? frame_deadline(t) : NEVER;
}


void task_wake(task *t, int status) {
  if (t->state != WAITING)
    return;
  struct sched *s = task_host(t)->sched;
  if (t->in != NULL)
    queue_remove(t->in, t);
  t->in = NULL;
  t->status = status;
  keep_deadline(t);
  s->outside -= t->outside;
  make_ready(s, t);
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
  if (frame_interrupts(t, NULL))
    task_wake(t, WAIT_INTERRUPTED);
}


/*
** Waiting
*/

/* The one yield of a task: to the scheduler, through whatever coroutines the
 * script has put between. */
static int suspend(lua_State *L, task *t, lua_KContext ctx, lua_KFunction k) {
  t->parked = L;
  coroutine_push_mark(L);
  return lua_yieldk(L, COROUTINE_MARK, ctx, k);
}


static bool interrupted(const task *t) {
  return t->interrupt && frame_interrupts(t, NULL);
}


static int raise_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return wait_raise(L);
}


/* Who catches it and tries again must not keep the others from ending. */
static void give_way_and_raise(lua_State *L) {
  if (host_suspends(L))
    wait_yield(L, 0, raise_k);
  wait_raise(L);
}


static inline void enter(lua_State *L, const char *op, bool puts) {
  host *h = host_of(L);
  task *t = h->sched->current;
  if (t == NULL)
    luaL_error(L, "%s: only a task can wait", op);
  if (interrupted(t) && !(puts && press_spares(L, t)))
    give_way_and_raise(L);
  if (!host_suspends(L))
    luaL_error(
        L,
        "%s cannot wait here: Lua cannot suspend inside a comparison of "
        "table.sort, a replacement of string.gsub, __tostring, __gc, a "
        "reader of load, coroutine.close or another C function, nor in a "
        "coroutine that a C library resumes; do it before, and pass the "
        "result in",
        op);
}


void wait_enter(lua_State *L, const char *op) {
  enter(L, op, false);
}


void wait_enter_put(lua_State *L, const char *op) {
  enter(L, op, true);
}


/* To the end of the ready queue. */
static void give_way(struct sched *s, task *t, const char *op) {
  t->op = op;
  keep_deadline(t);
  timer_set(s, t);
  make_ready(s, t);
}


int wait_park(lua_State *L, waitq *q, const waiting *how, lua_KContext ctx,
              lua_KFunction k) {
  struct sched *s = sched_of(L);
  task *t = s->current;
  luaL_checkstack(L, COROUTINE_MARK, NULL);
  if (interrupted(t)) { /* the continuation raises, after undoing */
    give_way(s, t, how->op);
    t->status = WAIT_INTERRUPTED;
    return suspend(L, t, ctx, k);
  }
  uint64_t limit = frame_deadline(t);
  t->deadline = how->deadline < limit ? how->deadline : limit;
  timer_set(s, t);
  t->op = how->op;
  t->since = (uint32_t)(s->now / TICK);
  t->outside = how->outside;
  s->outside += t->outside;
  t->state = WAITING;
  t->in = q;
  if (q != NULL)
    queue_add(q, t);
  return suspend(L, t, ctx, k);
}


int wait_peek(lua_State *L, bool *cancelled) {
  int status = task_current(L)->status;
  *cancelled = status == WAIT_INTERRUPTED;
  return status;
}


int wait_raise(lua_State *L) {
  task *t = task_current(L);
  press_swallower(L, t);
  frame_raise(L, t);
}


int wait_status(lua_State *L) {
  bool cancelled;
  int status = wait_peek(L, &cancelled);
  return cancelled ? wait_raise(L) : status;
}


bool wait_interrupted(lua_State *L) {
  const task *t = task_current(L);
  const frame *f = NULL;
  return t->interrupt && frame_interrupts(t, &f) &&
         (f == NULL || f->kind != TIMEOUT);
}


int wait_to_take(lua_State *L) {
  int status = wait_status(L);
  return wait_interrupted(L) ? wait_raise(L) : status;
}


void wait_charge(lua_State *L, size_t verbs) {
  struct sched *s = sched_of(L);
  s->steps -= verbs < s->steps ? (unsigned)verbs : s->steps - 1;
}


/* A turn that others have used up is not at the expense of the task that runs:
 * that has a slice, from its first verb behind the turn's end on. */
static bool slice_is_over(struct sched *s) {
  uint64_t now = ticks(s);
  if (!s->sliced) {
    s->sliced = true;
    s->slice = now;
    s->looks = LOOKS;
  }
  return now - s->slice >= SLICE || s->looks == 0 || --s->looks == 0;
}


bool wait_spent(lua_State *L) {
  struct sched *s = sched_of(L);
  step(s);
  return s->spent && slice_is_over(s);
}


int wait_yield(lua_State *L, lua_KContext ctx, lua_KFunction k) {
  struct sched *s = sched_of(L);
  task *t = s->current;
  luaL_checkstack(L, COROUTINE_MARK, NULL);
  t->status = 0;
  give_way(s, t, "yield");
  return suspend(L, t, ctx, k);
}


int task_leave(lua_State *L) {
  struct sched *s = sched_of(L);
  luaL_checkstack(L, COROUTINE_MARK, NULL);
  s->leaving = true;
  return suspend(L, s->current, 0, NULL);
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


/* Note the nearest Lua function on the stack that is not neap's own.  Level 0 is
 * that of C which spawns. */
static void note_site(lua_State *L, task *t) {
  struct sched *s = sched_of(L);
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0 && strncmp(ar.source, "=neap.", 6) != 0) {
      t->site = site_index(s, ar.short_src);
      t->line = ar.currentline;
      return;
    }
  }
}


/* Push a Task in state READY, in no queue yet. */
static task *task_new(lua_State *L, struct sched *s, bool served) {
  task *t = lua_newuserdatauv(L, sizeof *t, served ? SERVED : RESULTS);
  *t = (task){.deadline = NEVER, .slot = NO_SLOT, .served = served};
  host_set_class(L, s->task_class);
  t->serial = host_serial(s->host);
  return t;
}


/* What cannot be called is the caller's mistake, told where it is made. */
static void check_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index))
    return;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    luaL_error(L, "spawn: a function expected, got %s",
               luaL_typename(L, index));
  lua_pop(L, 1);
}


/* Push a coroutine that is to run the function at index `body`, and nargs
 * arguments above it, for the Task on top. */
static lua_State *push_coroutine(lua_State *L, task *t, int body, int nargs) {
  struct sched *s = sched_of(L);
  lua_State *co = slot_take(L, s, &t->slot);
  if (!lua_checkstack(co, nargs + LUA_MINSTACK)) {
    slot_free(L, s, t->slot, NULL);
    luaL_error(L, "too many arguments to spawn");
  }
  lua_pushcfunction(co, task_main);
  lua_pushvalue(L, -2);
  lua_xmove(L, co, SELF);
  lua_pushcfunction(co, trace_handler);
  for (int i = 0; i <= nargs; i++)
    lua_pushvalue(L, body + i);
  lua_xmove(L, co, nargs + 1);
  return co;
}


/* A served task closes its first argument. */
static task *spawn(lua_State *L, scope *into, int nargs, bool served) {
  struct sched *s = sched_of(L);
  int body = lua_gettop(L) - nargs;
  check_callable(L, body);
  luaL_checkstack(L, nargs + 6, "spawn");
  task *t = task_new(L, s, served);
  lua_State *co = push_coroutine(L, t, body, nargs);
  lua_setiuservalue(L, -2, RESULTS);
  if (served) {
    lua_pushvalue(L, body + 1);
    lua_setiuservalue(L, -2, SERVED);
  }
  lua_replace(L, body);
  lua_settop(L, body);
  scope_add(into != NULL ? into : s->root, t);
  t->co = co;
  s->live++;
  s->aside += t->aside;
  make_ready(s, t);
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


/* Frames are left of coroutines that the task has not finished. */
static int l_abandon(lua_State *L) {
  task *t = lua_touserdata(L, 1);
  for (frame *f; (f = t->frames) != NULL;) {
    if (f->kind == SCOPE || f->kind == ENDING)
      scope_abandon(L, (scope *)f);
    else
      frame_leave(L, f);
  }
  return 0;
}


static void abandon_frames(lua_State *L, task *t) {
  lua_pushcfunction(L, l_abandon);
  lua_pushlightuserdata(L, t);
  host_call(host_of(L), 1, 0);
  lua_settop(L, 0);
}


/* The coroutine of a task that has ended, if the next one may have it; or NULL.
 *
 * Nobody must find two tasks in one coroutine.  So that is not used again if a
 * script or a C library may have got hold of it: coroutine.running gave it to the
 * script; the registry or a user value did, from then on those of all tasks; the
 * debug library hooked it; or there are C libraries, any of which may have asked
 * for it. */
static lua_State *unknown(lua_State *L, struct sched *s, const task *t) {
  if (t->shown || s->host->laid_open || lua_gethook(t->co) != NULL)
    return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->libraries);
  bool none = lua_rawlen(L, -1) == 0;
  lua_pop(L, 1);
  return none ? t->co : NULL;
}


static void end(struct sched *s, task *t, int result) {
  lua_State *L = s->host->L;
  if (result != LUA_OK)
    end_badly(L, t);
  if (t->frames != NULL)
    abandon_frames(L, t);
  t->state = ENDED;
  timer_drop(s, t);
  if (t->interrupt)
    frame_forget(L, t); /* its cancellation */
  slot_free(L, s, t->slot, result == LUA_OK ? unknown(L, s, t) : NULL);
  t->co = t->parked = NULL;
  s->live--;
  s->aside -= t->aside;
  press_end(s, t);
  wait_wake_all(&t->joiners, 0);
  scope_child_ended(L, t);
}


static void send_gathered(struct sched *s) {
  if (s->flush != NULL)
    s->flush(s->host);
}


static void run(struct sched *s, task *t) {
  lua_State *L = s->host->L;
  int n = 0;
  int nargs = lua_gettop(t->co) - 1;
  if (coroutine_parked(t->co)) {
    lua_pop(t->co, COROUTINE_MARK);
    nargs = 0;
  }
  s->current = t;
  s->sliced = false;
  s->host->base = t->co;
  t->state = RUNNING;
  press_begin(s, t);
#ifdef NEAP_STRESS
  lua_gc(L, LUA_GCCOLLECT);
#endif
  int result = lua_resume(t->co, L, nargs, &n);
  t->shown |= s->host->base_shown;
  s->host->base_shown = false;
  s->host->base = NULL;
  s->host->running = NULL;
  s->current = NULL;
  if (s->lenient)
    fflush(stdout); /* it appears above the prompt */
  if (s->leaving) {
    os_leave(s, t);
    return;
  }
  if (result != LUA_YIELD)
    end(s, t, result);
  else if (t->state == RUNNING)
    make_ready(s, t); /* a bare lua_yield of some C module */
  step(s);
}


static void release_refs(struct sched *s) {
  while (s->unref_count > 0)
    luaL_unref(s->host->L, LUA_REGISTRYINDEX, s->unrefs[--s->unref_count]);
}


static int l_ref(lua_State *L) {
  lua_pushinteger(L, luaL_ref(L, LUA_REGISTRYINDEX));
  return 1;
}


int sched_ref(lua_State *L, int index) {
  int ref = LUA_NOREF;
  index = lua_absindex(L, index);
  lua_pushcfunction(L, l_ref);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    ref = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return ref;
}


void sched_unref(host *h, int ref) {
  struct sched *s = h->sched;
  if (s->unref_count == s->unref_room) {
    s->unref_room = s->unref_room == 0 ? 16 : s->unref_room * 2;
    s->unrefs = memory_grow(s->unrefs, s->unref_room * sizeof *s->unrefs);
  }
  s->unrefs[s->unref_count++] = ref;
}


static task *next_ready(struct sched *s) {
  const world *w = s->host->world;
  task *t = s->ready.head;
  size_t skip = w->pick != NULL && s->ready_count > 1
                    ? w->pick(s->host->outside, s->ready_count)
                    : 0;
  while (skip-- > 0)
    t = t->next;
  queue_remove(&s->ready, t);
  s->ready_count--;
  return t;
}


/* May the next task run?  Behind a turn that is over the world comes first, if
 * there were tasks that it had kept waiting; else each gets a turn. */
static bool goes_on(struct sched *s) {
  if (s->spent && !s->crowded)
    begin_turn(s);
  return s->ready_count > 0 && !s->spent && !s->stopped;
}


/* Run some tasks, and send what they have written; hasty: each one's before the
 * next one runs. */
static void run_some(struct sched *s, unsigned n, bool hasty) {
  for (; n > 0 && goes_on(s); n--) {
    run(s, next_ready(s));
    if (hasty)
      send_gathered(s);
  }
  if (!hasty)
    send_gathered(s);
}


/* Where tasks take long, it is felt for some time. */
static void run_together(struct sched *s, unsigned n) {
  uint64_t start = ticks(s);
  run_some(s, n, s->haste > 0);
  if (ticks(s) - start > (uint64_t)n * LONG_RUN)
    s->haste = HASTE;
  else if (s->haste > 0)
    s->haste--;
}


static void round_of(struct sched *s) {
  release_refs(s);
  for (unsigned n = s->ready_count, part; n > 0 && goes_on(s); n -= part) {
    part = n < TOGETHER ? n : TOGETHER;
    if (part < FEW)
      run_some(s, part, true);
    else
      run_together(s, part);
  }
}


void sched_round(host *h) {
  begin_turn(h->sched);
  round_of(h->sched);
}


void sched_alarm(host *h, enum alarm which, uint64_t at,
                 void (*fn)(host *h, uint64_t now)) {
  h->sched->alarms[which].at = at;
  h->sched->alarms[which].call = fn;
}


void sched_on_starved(host *h, bool (*fn)(host *h)) {
  h->sched->starved = fn;
}


static uint64_t next_alarm(const struct sched *s) {
  uint64_t next = NEVER;
  for (int i = 0; i < ALARMS; i++)
    if (s->alarms[i].at < next)
      next = s->alarms[i].at;
  return next;
}


static uint64_t next_deadline(struct sched *s) {
  uint64_t wait = timer_next(s), alarm = next_alarm(s);
  return wait < alarm ? wait : alarm;
}


static void sound(struct sched *s, uint64_t now) {
  for (int i = 0; i < ALARMS; i++)
    if (s->alarms[i].at <= now)
      s->alarms[i].call(s->host, now);
}


uint64_t sched_alarms(host *h) {
  sound(h->sched, h->world->now(h->outside));
  return next_alarm(h->sched);
}


/* By the time at which the world was asked: what began to wait since, in a
 * delivery, has not been looked for yet, also where its deadline is now. */
static void expire(struct sched *s, uint64_t now) {
  if (now == 0) {
    s->now = s->host->world->coarse(s->host->outside);
    return;
  }
  s->now = now;
  sound(s, now);
  for (task *t; (t = timer_expired(s, now)) != NULL;)
    task_wake(t, frame_expire(t, now) ? WAIT_INTERRUPTED : -ETIMEDOUT);
}


void sched_summon(host *h) {
  h->sched->summoned = true;
}


void sched_on_summon(host *h, lua_CFunction f) {
  h->sched->on_summon = f;
}


static void summon(struct sched *s) {
  lua_State *L = s->host->L;
  s->summoned = false;
  if (s->on_summon == NULL)
    return;
  lua_pushcfunction(L, s->on_summon);
  if (!host_call(s->host, 0, 0)) {
    fputs("neap: ", stderr);
    harmless_text(stderr, lua_tostring(L, -1));
    fputc('\n', stderr);
  }
  lua_settop(L, 0);
}


static void run_ready(struct sched *s) {
  s->crowded = true;
  begin_turn(s);
  while (goes_on(s))
    round_of(s);
  s->crowded = s->ready_count > 0;
}


/* The program has ended: what it does not wait for ends, too. */
static bool is_over(struct sched *s) {
  if (s->live > 0 && s->live == s->aside)
    press_all(s->side);
  return s->live == 0;
}


void sched_run(host *h) {
  struct sched *s = h->sched;
  for (;;) {
    run_ready(s);
    if (is_over(s) || s->stopped)
      return;
    if (s->summoned)
      summon(s);
    uint64_t next = s->ready_count > 0 ? 0 : next_deadline(s);
    if (s->ready_count == 0 && s->outside == 0 && timer_next(s) == NEVER) {
      if (s->starved != NULL && s->starved(h))
        continue;
      if (s->deadlocked)
        return;
      report_deadlock(s);
      continue;
    }
    expire(s, h->world->poll(h->outside, next));
  }
}


void sched_interrupt(host *h, int exit_status, const char *reason) {
  struct sched *s = h->sched;
  h->exit_status = exit_status;
  s->reason = reason;
  if (s->root != NULL)
    scope_cancel(s->root);
}


bool sched_is_interrupted(const host *h) {
  return h->sched->reason != NULL;
}


void sched_on_suspend(host *h, void (*flush)(host *h)) {
  h->sched->flush = flush;
}


void sched_on_leave(host *h, void (*leave)(host *h)) {
  h->sched->leave = leave;
}


void sched_drain(host *h) {
  struct sched *s = h->sched;
  send_gathered(s);
  if (s->leave != NULL)
    s->leave(h);
  h->world->drain(h->outside, h->world->now(h->outside) + DRAIN);
}


int sched_open(lua_State *L) {
  host *h = host_of(L);
  struct sched *s = memory_new(sizeof *s);
  h->sched = s;
  s->host = h;
  for (int i = 0; i < ALARMS; i++)
    s->alarms[i].at = NEVER;
  s->now = h->world->now(h->outside);
  slots_open(L, s);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "_CLIBS"); /* of loadlib.c */
  s->libraries = luaL_ref(L, LUA_REGISTRYINDEX);
  trace_init(L);
  frame_open(L);
  scope_open(L);
  report_open(L);
  s->task_class = library_open(L, CLASS);
  os_open(L);
  press_open(L);
  s->root = scope_new(L);
  host_module(L, "neap.task.core", luaopen_neap_task_core);
  host_module(L, "neap.host", luaopen_neap_host);
  host_module(L, "neap.prompt.core", luaopen_neap_prompt_core);
  host_module(L, "neap.time", luaopen_neap_time);
  return 0;
}


void sched_close(host *h) {
  struct sched *s = h->sched;
  if (s == NULL)
    return;
  for (unsigned i = 1; i <= s->site_count; i++)
    free((char *)s->sites[i]);
  free(s->sites);
  heap_free(&s->deadlines);
  free(s->unrefs);
  free(s);
  h->sched = NULL;
}
