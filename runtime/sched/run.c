/*
** Turns: which task runs next, and for how long; what is due; and when all have
** ended.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/harmless.h"
#include "host/memory.h"
#include "sched/clocks.h"
#include "sched/profile.h"
#include "sched/sched.h"
#include "sched/time.h"
#include "sched/turn.h"

/* So long tasks run before the world is asked again, and one task before others
 * come first; and what is long for a few of them: in ticks of the world, some ms. */
enum { TURN = 4 * 1000 * 1000, SLICE = TURN / 2, LONG = TURN / 4 };

/* The ticks are looked at after some *steps*: runs of a task, and verbs that were
 * done at once.  After each, while LONG passes from look to look; else after ever
 * more of them, up to STRIDE.  So many looks end a turn by themselves: there are
 * worlds whose time stands still meanwhile. */
enum { STRIDE = 16, LOOKS = 100 };

/* So few tasks are no group (TOGETHER): what each writes leaves behind it. */
enum { FEW = 4 };

/* Of so many ready tasks a world chooses the next one (world.pick). */
enum { CHOICE = 64 };


static struct sched *sched_of(lua_State *L) {
  return host_of(L)->sched;
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
  if (now - s->looked >= LONG)
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


/*
** Lua's references to what C holds
*/

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


/*
** Rounds
*/

void sched_flush(struct sched *s) {
  if (s->flush != NULL)
    s->flush(s->host);
}


/* Among the first ones of many, for they are walked over. */
static size_t draw(const struct sched *s) {
  const world *w = s->host->world;
  unsigned n = s->ready_count < CHOICE ? s->ready_count : CHOICE;
  return w->pick != NULL && n > 1 ? w->pick(s->host->outside, n) : 0;
}


static task *next_ready(struct sched *s) {
  if (s->aside.head != NULL)
    return visit_next(s);
  waiter *next = s->ready.head;
  size_t skip = draw(s);
  while (skip-- > 0)
    next = next->next;
  queue_remove(&s->ready, next);
  s->ready_count--;
  return ready_task(next);
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
    task_run(s, next_ready(s));
    step(s);
    if (hasty)
      sched_flush(s);
  }
  if (!hasty)
    sched_flush(s);
}


/* Where the last ones took so long that waiting for each other would be felt, these
 * don't. */
static void run_together(struct sched *s, unsigned n) {
  uint64_t start = ticks(s);
  run_some(s, n, s->hasty);
  s->hasty = ticks(s) - start >= LONG;
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


/*
** What is due
*/

void sched_alarm(host *h, enum alarm which, uint64_t at,
                 void (*fn)(host *h, uint64_t now)) {
  h->sched->alarms[which].at = at;
  h->sched->alarms[which].call = fn;
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
    task_wake(t, cancel_scope_expire(t, now) ? WAIT_INTERRUPTED : -ETIMEDOUT);
}


/*
** A turn
*/

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
  if (s->live > 0 && s->live == s->daemon) {
    scope_cancel(s->root);
    home_cancel_all(s);
    if (s->side != NULL)
      preempt_all(s->side);
  }
  return s->live == 0;
}


/* No task is ready, none has a deadline, and the world can wake none. */
static bool is_stuck(struct sched *s) {
  return s->ready_count == 0 && s->outside == 0 && timer_next(s) == NEVER &&
         !(s->starved != NULL && s->starved(s->host));
}


enum turn sched_turn(struct sched *s, uint64_t time, uint64_t *next) {
  *next = 0;
  expire(s, time);
  run_ready(s);
  if (s->leaver != NULL && os_has_left(s, is_stuck(s)))
    return TURN_WAITS;
  if (is_over(s) || s->stopped)
    return TURN_ENDED;
  if (s->summoned)
    summon(s);
  if (is_stuck(s))
    return TURN_STUCK;
  if (s->ready_count == 0)
    *next = next_deadline(s);
  return TURN_WAITS;
}


/*
** What others ask for
*/

void sched_interrupt(host *h, int exit_status, const char *reason) {
  struct sched *s = h->sched;
  h->exit_status = exit_status;
  s->reason = reason;
  wait_wake_all(&s->drain_waiters, 0);
  if (s->root != NULL)
    scope_cancel(s->root);
  home_cancel_all(s);
}


bool sched_is_interrupted(const host *h) {
  return h->sched->reason != NULL;
}


void sched_on_starved(host *h, bool (*fn)(host *h)) {
  h->sched->starved = fn;
}


void sched_on_suspend(host *h, void (*flush)(host *h)) {
  h->sched->flush = flush;
}


void sched_on_leave(host *h, void (*leave)(host *h)) {
  h->sched->leave = leave;
}


void sched_hold(host *h) {
  h->sched->holds++;
}


void sched_release(host *h) {
  h->sched->holds--;
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
  traceback_init(L);
  cancel_scope_open(L);
  scope_open(L);
  report_open(L);
  library_open(L);
  s->task_class = host_class(L, TASK_CLASS);
  os_open(L);
  preempt_open(L);
  s->root = scope_new(L);
  host_module(L, "neap.task.core", luaopen_neap_task_core);
  host_module(L, "neap.host", luaopen_neap_host);
  host_module(L, "neap.clocks.core", luaopen_neap_clocks_core);
  host_module(L, "neap.profile.core", luaopen_neap_profile_core);
  host_module(L, "neap.prompt.core", luaopen_neap_prompt_core);
  host_module(L, "neap.test.core", luaopen_neap_test_core);
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
  clocks_close(s);
  heap_free(&s->deadlines);
  free(s->unrefs);
  homes_free(s);
  free(s);
  h->sched = NULL;
}
