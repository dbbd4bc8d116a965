#include "sched/drain.h"

#include "sched/sched.h"


bool sched_drains(const host *h) {
  return h->sched->drains;
}


bool sched_may_drain(const host *h) {
  const struct sched *s = h->sched;
  return s != NULL && s->phase == RUNS && s->serving > 0 && !s->drains &&
         s->reason == NULL;
}


void sched_on_drain(host *h, void (*stop)(host *h)) {
  h->sched->stop = stop;
}


static void end_idle(const task *t) {
  for (cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older)
    if (f->kind == IDLE)
      cancel_scope_fire(f);
}


/* In a scope's tasks, and in those of the scopes that they are in. */
static void end_idle_below(const scope *s) {
  for (const task *t = s->youngest; t != NULL; t = t->elder) {
    for (cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older)
      if (f->kind == SCOPE || f->kind == ENDING)
        end_idle_below((scope *)f);
    end_idle(t);
  }
}


void sched_spare(host *h) {
  h->sched->spared = true;
}


void sched_drain(host *h, int exit_status, const char *reason) {
  struct sched *s = h->sched;
  if (s->spared) {
    s->spared = false;
    return;
  }
  if (!sched_may_drain(h)) {
    sched_interrupt(h, exit_status, reason);
    return;
  }
  s->drains = true;
  s->drained = (struct drained){exit_status, reason};
  h->exit_status = exit_status;
  if (s->stop != NULL)
    s->stop(h);
  end_idle_below(s->root);
  for (unsigned i = 0; i < s->homes.count; i++)
    end_idle_below(s->homes.all[i]);
  wait_wake_all(&s->drain_waiters, 0);
}


/*
** serving(begins): one thing more is served, or one less
*/

int drain_serving(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  if (lua_toboolean(L, 1))
    s->serving++;
  else if (--s->serving == 0 && s->drains && s->reason == NULL)
    sched_interrupt(s->host, s->drained.status, s->drained.reason);
  return 0;
}


/*
** draining() : boolean
*/

int drain_draining(lua_State *L) {
  lua_pushboolean(L, sched_drains(host_of(L)));
  return 1;
}


/*
** drained(): waits until a drain begins, or the program is interrupted
*/

static int drained_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting how = {"drain", NEVER, true};
  struct sched *s = host_of(L)->sched;
  (void)ctx;
  if (status == LUA_YIELD)
    wait_status(L);
  bool ends = s->drains || s->reason != NULL;
  return ends ? 0 : wait_park(L, &s->drain_waiters, &how, 0, drained_k);
}


int drain_wait(lua_State *L) {
  wait_enter(L, "drain");
  return drained_k(L, LUA_OK, 0);
}
