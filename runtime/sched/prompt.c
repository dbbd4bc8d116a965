/*
** neap.prompt.core: what tasks are to the prompt
*/

#include "host/quota.h"
#include "sched/sched.h"


/* lenient(on) : before.  From now on a failed task is told of, and ends
 * nothing. */
static int l_lenient(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  lua_pushboolean(L, s->lenient);
  s->lenient = lua_toboolean(L, 1);
  return 1;
}


/* daemon(f, ...) : Task, that the program does not wait for */
static int l_daemon(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  luaL_checkany(L, 1);
  if (s->side == NULL) {
    s->side = scope_new(L);
    s->side->daemon = s->side->prompt = true;
    lua_pop(L, 1);
  }
  task_spawn(L, s->side, lua_gettop(L) - 1);
  return 1;
}


/* finish(status): the program ends in order, whatever still runs */
static int l_finish(lua_State *L) {
  host *h = host_of(L);
  sched_interrupt(h, (int)luaL_checkinteger(L, 1), "the program ends");
  return 0;
}


/* foreground(task?): what SIGINT cancels first */
static int l_foreground(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  s->foreground = lua_isnoneornil(L, 1) ? NULL : task_check(L, 1);
  return 0;
}


/* preempt(task): cancel it, whatever it does */
static int l_preempt(lua_State *L) {
  preempt_task(task_check(L, 1));
  return 0;
}


/* visited(on): prompts are let in also while something computes: visit.c */
static int l_visited(lua_State *L) {
  host *h = host_of(L);
  h->sched->expects = lua_toboolean(L, 1);
  if (h->sched->expects)
    sched_visit(h);
  else
    sched_leave(h);
  return 0;
}


/* look(seconds | nil): the same, once something has computed so long; till then no
 * more, and all runs at its full speed */
static int l_look(lua_State *L) {
  host *h = host_of(L);
  double seconds = luaL_optnumber(L, 1, -1);
  if (!h->sched->expects)
    sched_leave(h);
  if (h->world->alarm != NULL)
    h->world->alarm(h->outside, WORLD_COMPUTES,
                    seconds < 0 ? NEVER : (uint64_t)(seconds * 1e9));
  return 0;
}


/* No task runs where the prompt is what wakes others. */
static bool spends(const void *who) {
  const struct sched *s = ((const host *)who)->sched;
  return s == NULL || s->current == NULL || s->current->spends;
}


/* reserve(on): there is one prompt more, or less, for which some of a bounded memory is
 * kept */
static int l_reserve(lua_State *L) {
  host *h = host_of(L);
  if (lua_toboolean(L, 1))
    h->sched->prompts++;
  else
    h->sched->prompts--;
  quota_reserve(L, h->sched->prompts > 0 ? spends : NULL, h);
  return 0;
}


/* spend(on): the running task may have of that, and those that it spawns; a finalizer may
 * run in none */
static int l_spend(lua_State *L) {
  task *t = host_of(L)->sched->current;
  if (t != NULL)
    t->spends = lua_toboolean(L, 1);
  return 0;
}


static const luaL_Reg functions[] = {
    {"visited", l_visited},       {"look", l_look},
    {"foreground", l_foreground}, {"preempt", l_preempt},
    {"lenient", l_lenient},       {"daemon", l_daemon},
    {"finish", l_finish},         {"reserve", l_reserve},
    {"spend", l_spend},           {NULL, NULL},
};


int luaopen_neap_prompt_core(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
