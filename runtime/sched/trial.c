/*
** neap.test.core: what `neap test` asks of the scheduler.
**
** A *home* is a scope that nobody owns, as the root scope is.  Homes are nested, and
** while there are some, what is spawned into no scope of its own, or opened, belongs
** to one of them: what the tester does (the task that opens homes) to the innermost,
** what another task does to that task's own.  So a test knows what it has left
** behind, and what its fixtures have.  Background tasks are the innermost *lasting*
** home's.
**
** A failure in a home ends nothing but the *trial* that goes on: a cancel scope of the
** tester.  It is kept for the tester to tell.
*/

#include <stdlib.h>

#include "host/memory.h"
#include "sched/sched.h"


static scope *innermost(const struct sched *s) {
  return s->homes.all[s->homes.count - 1];
}


/* The scope of a task, or one around it, that nobody owns. */
static scope *ownerless(const struct sched *s, const task *t) {
  while (t != NULL && t != s->homes.tester) {
    const task *owner = t->scope->cancel_scope.task;
    if (owner == NULL)
      return t->scope->home != 0 ? t->scope : s->root;
    t = owner;
  }
  return innermost(s);
}


scope *home_of(const struct sched *s, const task *t) {
  return s->homes.count > 0 ? ownerless(s, t) : s->root;
}


scope *home_lasting(const struct sched *s) {
  for (unsigned i = s->homes.count; i > 0; i--)
    if (s->homes.all[i - 1]->lasting)
      return s->homes.all[i - 1];
  return s->root;
}


void home_cancel_all(const struct sched *s) {
  for (unsigned i = 0; i < s->homes.count; i++)
    scope_cancel(s->homes.all[i]);
}


/* Key of the registry: a list of {error=, trace=}, or nil. */
static const char failures;


void home_blame(lua_State *L, struct sched *s, int err) {
  int top = lua_gettop(L);
  err = lua_absindex(L, err);
  luaL_checkstack(L, 4, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &failures) == LUA_TNIL) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &failures);
  }
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, err);
  lua_setfield(L, -2, "error");
  lua_pushvalue(L, top);
  lua_setfield(L, -2, "trace");
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_settop(L, top);
  if (s->trial != NULL)
    cancel_scope_blame(L, s->trial, err);
}


/*
** Births: where sockets were opened, and whose they are
*/

/* In Lua that runs, or where its task was spawned. */
static void find_place(const host *h, birth *b) {
  const task *t = h->sched->current;
  bool found = task_find_site(h->sched, h->running, 0, &b->site, &b->line) ||
               (h->running != h->base &&
                task_find_site(h->sched, h->base, 0, &b->site, &b->line));
  if (!found) {
    b->site = t->site;
    b->line = t->line;
  }
}


void sched_note_birth(host *h, unsigned serial) {
  struct sched *s = h->sched;
  struct homes *all = &s->homes;
  if (s->current == NULL)
    return;
  if (all->born == all->room) {
    all->room = all->room == 0 ? 64 : all->room * 2;
    all->births = memory_grow(all->births, all->room * sizeof *all->births);
  }
  birth *b = &all->births[all->born++];
  *b = (birth){.serial = serial, .home = home_of(s, s->current)->home};
  find_place(h, b);
}


/* Key of the registry: what is called when the limit has passed. */
static const char late;


/* In what runs, so that it can be told where that is.  Then the trial is over, and so
 * is a task of it that does not wait. */
void home_hear(struct sched *s) {
  host *h = s->host;
  lua_State *L = h->running;
  task *t = s->current;
  if (s->homes.limit == 0 || L == NULL || !lua_checkstack(L, LUA_MINSTACK) ||
      h->world->now(h->outside) < s->homes.limit)
    return;
  s->homes.limit = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &late);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  if (s->trial == NULL || !s->trial->fired)
    return;
  if (t == s->homes.tester)
    t->preempted = true;
  else if (ownerless(s, t)->home != 0)
    preempt_task(t);
}


void homes_free(struct sched *s) {
  free(s->homes.births);
  free(s->homes.all);
}


/*
** open(lasting) : Scope, the innermost home from now on
** close(Scope): the innermost is it no longer; what lives in it is cancelled, and the
**   next one's
*/

static int l_open(lua_State *L) {
  host *h = host_of(L);
  struct homes *all = &h->sched->homes;
  scope *home = scope_new(L);
  home->home = host_serial(h);
  home->lasting = lua_toboolean(L, 1);
  all->all = memory_grow(all->all, (all->count + 1) * sizeof(scope *));
  all->all[all->count++] = home;
  all->tester = h->sched->current;
  h->tested = true;
  return 1;
}


static int l_close(lua_State *L) {
  host *h = host_of(L);
  struct homes *all = &h->sched->homes;
  scope *home = scope_check(L, 1);
  if (all->count == 0 || home != innermost(h->sched))
    return luaL_error(L, "close: the innermost home expected");
  all->count--;
  h->tested = all->count > 0;
  if (all->count <= 1)
    all->born = 0;
  scope_abandon(L, home);
  return 0;
}


/*
** number(Scope) : its number, as `home` of host.tasks and of born()
** failures() : {{error=, trace=}, ...} | nil, of the tasks that have failed since the
**   last call
** blame(err): the trial is to end by this error
*/

static int l_number(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)scope_check(L, 1)->home);
  return 1;
}


static int l_failures(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &failures);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &failures);
  return 1;
}


static int l_blame(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  luaL_checkany(L, 1);
  if (s->trial != NULL)
    cancel_scope_blame(L, s->trial, 1);
  return 0;
}


/*
** limit(seconds | nil, f): f is called once, in a task that does not wait, when
**   that has passed
*/

static int l_limit(lua_State *L) {
  host *h = host_of(L);
  uint64_t deadline =
      lua_isnoneornil(L, 1) ? NEVER : wait_deadline(L, luaL_checknumber(L, 1));
  if (h->world->alarm == NULL)
    return 0;
  uint64_t now = h->world->now(h->outside);
  if (deadline != NEVER) {
    lua_settop(L, 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &late);
  }
  h->sched->homes.limit = deadline == NEVER ? 0 : deadline;
  h->world->alarm(h->outside, WORLD_TOO_LONG,
                  deadline == NEVER ? NEVER
                  : deadline > now  ? deadline - now
                                    : 0);
  return 0;
}


/*
** born(id) : the home of a socket, and where it was opened | nil
*/

static int l_born(lua_State *L) {
  const struct sched *s = host_of(L)->sched;
  lua_Integer id = luaL_checkinteger(L, 1);
  unsigned i = s->homes.born;
  while (i > 0 && s->homes.births[i - 1].serial != id)
    i--;
  if (i == 0)
    return 0;
  const birth *b = &s->homes.births[i - 1];
  lua_pushinteger(L, (lua_Integer)b->home);
  if (b->site == 0)
    return 1;
  lua_pushfstring(L, "%s:%d", s->sites[b->site], b->line);
  return 2;
}


static const luaL_Reg functions[] = {
    {"open", l_open},     {"close", l_close},
    {"number", l_number}, {"failures", l_failures},
    {"blame", l_blame},   {"limit", l_limit},
    {"born", l_born},     {"trial", cancel_scope_trial},
    {NULL, NULL},
};


int luaopen_neap_test_core(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
