/*
** neap.sim.core: runs, for who makes them; and hosts, clocks and chance, for the
** director of one.
*/

#include "sim/library.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "host/class.h"
#include "host/error.h"
#include "host/memory.h"
#include "sched/wait.h"
#include "sched/world.h"
#include "sim/run.h"

#define CLASS "neap.sim.Run"


/*
** open(seed, name, code or nil, args, env, {module, keep, fifo, whole, stamp, limit,
** history}) : Run | nil, error
*/

enum { SEED = 1, NAME, CODE, ARGS, ENV, OPTIONS, RUN };


static bool flag(lua_State *L, const char *name) {
  lua_getfield(L, OPTIONS, name);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}


static char *text(lua_State *L, const char *name) {
  size_t n;
  lua_getfield(L, OPTIONS, name);
  const char *value = lua_tolstring(L, -1, &n);
  char *copy = value != NULL ? memory_text(value, n) : NULL;
  lua_pop(L, 1);
  return copy;
}


static int l_open(lua_State *L) {
  host *h = host_of(L);
  lua_Integer seed = luaL_checkinteger(L, SEED);
  luaL_checktype(L, OPTIONS, LUA_TTABLE);
  lua_settop(L, OPTIONS);
  if (run_of(L) != NULL)
    return luaL_error(L, "a world has no worlds in it");
  run *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (run){.over = true};
  luaL_setmetatable(L, CLASS);
  program *p = program_read(L, NAME);
  p->module = flag(L, "module");
  p->directs = true;
  *r = (run){.keep = text(L, "keep"),
             .fifo = flag(L, "fifo"),
             .whole = flag(L, "whole"),
             .stamps = flag(L, "stamp"),
             .keeps = flag(L, "history")};
  lua_getfield(L, OPTIONS, "limit");
  r->limit = lua_tonumber(L, -1);
  lua_pop(L, 1);
  int status = run_open(r, (uint64_t)seed, h->subsystems, p);
  if (status < 0) {
    run_close(r);
    return fail(L, status, "sim", lua_tostring(L, NAME));
  }
  return 1;
}


/*
** Run
*/

run *library_run(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}


/* run:step(events, until or nil) : does it go on? is all that is left later than that,
 * in seconds?  Then that is the time. */
static int l_step(lua_State *L) {
  run *r = library_run(L);
  lua_Integer events = luaL_checkinteger(L, 2);
  uint64_t until = NEVER;
  if (!lua_isnoneornil(L, 3)) {
    double seconds = luaL_checknumber(L, 3);
    luaL_argcheck(L, seconds >= 0 && seconds <= 1e10, 3, "out of bounds");
    until = SIM_START + (uint64_t)(seconds * 1e9);
  }
  lua_pushboolean(L, run_step(r, events, until));
  lua_pushboolean(L, run_is_later(r, until));
  return 2;
}


/* run:output() : what was printed since */
static int l_output(lua_State *L) {
  run *r = library_run(L);
  lua_pushlstring(L, r->output.bytes, r->output.n);
  r->output.n = 0;
  return 1;
}


/* run:reports() : {{kind, text}, ...} */
static int l_reports(lua_State *L) {
  const run *r = library_run(L);
  lua_Integer n = 0;
  lua_newtable(L);
  for (size_t at = 0; at < r->reports.n; n++) {
    lua_createtable(L, 2, 0);
    for (int i = 1; i <= 2; i++) {
      const char *s = r->reports.bytes + at;
      lua_pushstring(L, s);
      lua_rawseti(L, -2, i);
      at += strlen(s) + 1;
    }
    lua_rawseti(L, -2, n + 1);
  }
  return 1;
}


static double seconds(const run *r) {
  return (double)(r->sim.now - SIM_START) / 1e9;
}


/* run:result() : why it has failed or nil, its time, a hash of all that has happened */
static int l_result(lua_State *L) {
  const run *r = library_run(L);
  lua_pushstring(L, r->failed);
  lua_pushnumber(L, seconds(r));
  lua_pushinteger(L, (lua_Integer)r->sim.history.hash);
  return 3;
}


/* run:history() : what has happened, where it was opened to keep it */
static int l_history(lua_State *L) {
  return library_take_history(L, library_run(L));
}


static int l_close(lua_State *L) {
  run_close(library_run(L));
  return 0;
}


static const luaL_Reg run_metamethods[] = {
    {"__close", l_close}, {"__gc", l_close}, {NULL, NULL}};

static const luaL_Reg run_methods[] = {
    {"step", l_step},     {"output", l_output}, {"reports", l_reports},
    {"result", l_result}, {"close", l_close},   {"history", l_history},
    {NULL, NULL}};


/*
** The director
*/

run *run_check(lua_State *L) {
  run *r = run_of(L);
  if (r == NULL)
    luaL_error(L, "no world is directed here");
  return r;
}


node *run_check_node(lua_State *L, run *r, int index) {
  lua_Integer n = luaL_checkinteger(L, index);
  luaL_argcheck(L, n >= 0 && n < (lua_Integer)r->sim.node_count, index,
                "no such node");
  return r->sim.nodes[n];
}


/* directs() : is this a director? */
static int l_directs(lua_State *L) {
  lua_pushboolean(L, run_of(L) != NULL);
  return 1;
}


/* now() : seconds since the world began */
static int l_now(lua_State *L) {
  lua_pushnumber(L, seconds(run_check(L)));
  return 1;
}


static int l_seed(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)run_check(L)->sim.seed);
  return 1;
}


/* keep() : which faults happen, as text; nil: all */
static int l_keep(lua_State *L) {
  lua_pushstring(L, run_check(L)->keep);
  return 1;
}


/* limit() : seconds; nil: none is set */
static int l_limit(lua_State *L) {
  double limit = run_check(L)->limit;
  if (limit > 0)
    lua_pushnumber(L, limit);
  else
    lua_pushnil(L);
  return 1;
}


/* chance("world" or "faults", n) : 0 to n-1 */
static int l_chance(lua_State *L) {
  static const char *const names[] = {"world", "faults", NULL};
  run *r = run_check(L);
  chance *c =
      luaL_checkoption(L, 1, NULL, names) == 0 ? &r->chance : &r->sim.faults;
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n > 0, 2, "a number above 0 expected");
  lua_pushinteger(L, (lua_Integer)chance_below(c, (uint64_t)n));
  return 1;
}


/* report(kind, text) */
static int l_report(lua_State *L) {
  const char *kind = luaL_checkstring(L, 1);
  run_report(run_check(L), kind, luaL_checkstring(L, 2));
  return 0;
}


/* Nothing happens any more: who calls it does not go on. */
static int rest_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting how = {"the end", NEVER, true};
  (void)status;
  return wait_park(L, NULL, &how, ctx, rest_k);
}


/* fail(why, is it to be told who waits?) */
static int l_fail(lua_State *L) {
  run_fail(run_check(L), luaL_checkstring(L, 1), lua_toboolean(L, 2));
  return rest_k(L, LUA_OK, 0);
}


/* deadlock(): nothing will ever happen, but somebody waits for it */
static int l_deadlock(lua_State *L) {
  run_check(L)->stuck = true;
  return rest_k(L, LUA_OK, 0);
}


/* set_limit(seconds or nil): the world's, of its time */
static int l_set_limit(lua_State *L) {
  sim *s = &run_check(L)->sim;
  double seconds = luaL_optnumber(L, 1, -1);
  s->limit = seconds >= 0 && seconds < 1e10
                 ? SIM_START + (uint64_t)(seconds * 1e9)
                 : NEVER;
  return 0;
}


/* limited() : true: nothing will ever happen; false: the limit is reached */
static int limited_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  wait_status(L);
  lua_pushboolean(L, run_check(L)->idle);
  return 1;
}


static int l_limited(lua_State *L) {
  static const waiting how = {"the limit", NEVER, true};
  run *r = run_check(L);
  wait_enter(L, "limited");
  return wait_park(L, &r->limited, &how, 0, limited_k);
}


/* finish() */
static int l_finish(lua_State *L) {
  run_check(L)->over = true;
  return rest_k(L, LUA_OK, 0);
}


/*
** Hosts
*/

/* node(name) : number, address */
static int l_node(lua_State *L) {
  char ip[ADDRESS_TEXT];
  run *r = run_check(L);
  const char *name = luaL_checkstring(L, 1);
  if (node_find(&r->sim, name) != NULL)
    return luaL_error(L, "there is a host '%s' already", name);
  const node *n = node_new(&r->sim, name);
  address_print_ip(&n->ip4, ip, sizeof ip);
  lua_pushinteger(L, n->index);
  lua_pushstring(L, ip);
  return 2;
}


/* The first is the director's. */
static void drop_program(run *r, program *p) {
  program **at = &r->programs->next;
  while (*at != NULL && *at != p)
    at = &(*at)->next;
  if (*at == NULL)
    return;
  *at = p->next;
  program_free(p);
}


/* start(node, name, code or nil, args, env).  What it ran before is forgotten. */
static int l_start(lua_State *L) {
  run *r = run_check(L);
  node *n = run_check_node(L, r, 1);
  lua_settop(L, 5);
  program *before = n->about, *p = program_read(L, 2);
  p->next = r->programs->next;
  r->programs->next = p;
  int status = node_start(n, program_start, p);
  drop_program(r, status < 0 ? p : before);
  return status < 0 ? fail(L, status, "start", n->name) : 0;
}


static int l_crash(lua_State *L) {
  node_crash(run_check_node(L, run_check(L), 1), lua_toboolean(L, 2));
  return 0;
}


static int l_stop(lua_State *L) {
  node *n = run_check_node(L, run_check(L), 1);
  if (node_lives(n))
    node_signal(n, SIGTERM);
  return 0;
}


static int l_pause(lua_State *L) {
  node_pause(run_check_node(L, run_check(L), 1));
  return 0;
}


static int l_resume(lua_State *L) {
  node_resume(run_check_node(L, run_check(L), 1));
  return 0;
}


/* Push what it is at, and the status of a program that has ended. */
static int push_state(lua_State *L, const node *n) {
  static const char *const names[] = {"off", "running", "paused", "crashed",
                                      "ended"};
  int status = n->host.exit_status;
  if (n->state != NODE_ENDED) {
    lua_pushstring(L, names[n->state]);
    return 1;
  }
  lua_pushstring(L, status < 0 ? "stopped" : "ended");
  lua_pushinteger(L, status);
  return 2;
}


/* state(node) : text, status */
static int l_state(lua_State *L) {
  return push_state(L, run_check_node(L, run_check(L), 1));
}


/* told(node) : why it has failed, in a line; or nil */
static int l_told(lua_State *L) {
  lua_pushstring(L, run_check_node(L, run_check(L), 1)->told);
  return 1;
}


/* wait(node) : its status, behind its end; nil: it has crashed */
static int wait_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting how = {"host", NEVER, true};
  run *r = run_check(L);
  const node *n = run_check_node(L, r, 1);
  if (status == LUA_YIELD)
    wait_status(L);
  if (node_lives(n) || n->state == NODE_OFF)
    return wait_park(L, &r->changed, &how, ctx, wait_k);
  return push_state(L, n) - 1;
}


static int l_wait(lua_State *L) {
  run_check_node(L, run_check(L), 1);
  wait_enter(L, "wait");
  return wait_k(L, LUA_OK, 0);
}


/* change(): any node has become something else */
static int change_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  wait_status(L);
  return 0;
}


static int l_change(lua_State *L) {
  static const waiting how = {"hosts", NEVER, true};
  run *r = run_check(L);
  wait_enter(L, "change");
  return wait_park(L, &r->changed, &how, 0, change_k);
}


/* wake(): who waits for a change looks again */
static int l_wake(lua_State *L) {
  wait_wake_all(&run_check(L)->changed, 0);
  return 0;
}


/* skew(node, seconds, parts per million or nil) */
static int l_skew(lua_State *L) {
  node *n = run_check_node(L, run_check(L), 1);
  double by = luaL_checknumber(L, 2) * 1e9;
  double drift = luaL_optnumber(L, 3, 0) * 1e3;
  luaL_argcheck(L, by > -1e18 && by < 1e18, 2, "out of bounds");
  luaL_argcheck(L, drift > -1e9 && drift < 1e9, 3, "out of bounds");
  node_step_wall(n, (int64_t)by);
  if (!lua_isnoneornil(L, 3))
    node_drift(n, (int64_t)drift);
  return 0;
}


static const luaL_Reg functions[] = {
    {"open", l_open},       {"directs", l_directs},
    {"now", l_now},         {"seed", l_seed},
    {"keep", l_keep},       {"chance", l_chance},
    {"report", l_report},   {"fail", l_fail},
    {"finish", l_finish},   {"node", l_node},
    {"start", l_start},     {"crash", l_crash},
    {"limit", l_limit},     {"set_limit", l_set_limit},
    {"limited", l_limited}, {"deadlock", l_deadlock},
    {"stop", l_stop},       {"pause", l_pause},
    {"resume", l_resume},   {"told", l_told},
    {"state", l_state},     {"wait", l_wait},
    {"change", l_change},   {"skew", l_skew},
    {"wake", l_wake},       {NULL, NULL}};


static int luaopen_neap_sim_core(lua_State *L) {
  library_history_open(L);
  class_open(L, CLASS, run_metamethods, run_methods, NULL);
  luaL_getmetatable(L, CLASS);
  lua_getfield(L, -1, "__index");
  library_prompt_set(L);
  luaL_newlib(L, functions);
  library_links_set(L);
  library_rules_set(L);
  return 1;
}


int sim_library_open(lua_State *L) {
  host_module(L, "neap.sim.core", luaopen_neap_sim_core);
  return 0;
}
