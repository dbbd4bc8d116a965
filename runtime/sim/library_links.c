/*
** What changes the links: of neap.sim.core, for a director, which calls hosts by their
** numbers; and of a Run, for who drives it, by their names.
*/

#include <lauxlib.h>

#include "sim/library.h"
#include "sim/link.h"
#include "sim/run.h"


static uint64_t field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  lua_Integer n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n > 0 ? (uint64_t)n : 0;
}


/* A table with all of its fields, integers in their units. */
static link_manner read_manner(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  link_manner m = {
      .least = field(L, index, "least"),
      .most = field(L, index, "most"),
      .mean = field(L, index, "mean"),
      .jitter = field(L, index, "jitter"),
      .bandwidth = field(L, index, "bandwidth"),
      .queue = field(L, index, "queue"),
      .loss = (uint32_t)field(L, index, "loss"),
      .duplicates = (uint32_t)field(L, index, "duplicates"),
      .reordered = (uint32_t)field(L, index, "reordered"),
      .slow = (uint32_t)field(L, index, "slow"),
      .slowness = (uint32_t)field(L, index, "slowness"),
  };
  m.shape = m.mean > 0         ? LATENCY_EXPONENTIAL
            : m.most > m.least ? LATENCY_UNIFORM
                               : LATENCY_FIXED;
  return m;
}


/* link(from or nil, to or nil, manner) */
static int l_link(lua_State *L) {
  run *r = run_check(L);
  link_manner m = read_manner(L, 3);
  if (lua_isnil(L, 1))
    link_set_usual(&r->sim, &m);
  else
    link_set(&r->sim, run_check_node(L, r, 1), run_check_node(L, r, 2), &m);
  return 0;
}


/* fault(from, to, is it?): cut by a fault, whose end leaves what else has cut it */
static int l_fault(lua_State *L) {
  run *r = run_check(L);
  node *from = run_check_node(L, r, 1), *to = run_check_node(L, r, 2);
  link_fault(&r->sim, from, to, lua_toboolean(L, 3));
  return 0;
}


/* clog(from, to, seconds) */
static int l_clog(lua_State *L) {
  run *r = run_check(L);
  node *from = run_check_node(L, r, 1), *to = run_check_node(L, r, 2);
  double seconds = luaL_checknumber(L, 3);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 3, "out of bounds");
  link_clog(&r->sim, from, to, r->sim.now + (uint64_t)(seconds * 1e9));
  return 0;
}


/*
** Of both
*/

/* A director has no Run. */
static bool has_run(lua_State *L) {
  return lua_isuserdata(L, 1);
}


static run *run_at_hand(lua_State *L) {
  return has_run(L) ? library_run(L) : run_check(L);
}


typedef void change(sim *s, node *from, node *to, bool is);


static int change_link(lua_State *L, change *f) {
  run *r = run_at_hand(L);
  int first = has_run(L) ? 2 : 1;
  node *ends[2];
  for (int i = 0; i < 2; i++)
    ends[i] = has_run(L) ? library_node(L, r, first + i)
                         : run_check_node(L, r, first + i);
  f(&r->sim, ends[0], ends[1], lua_toboolean(L, first + 2));
  return 0;
}


/* cut(from, to, is it?) */
static int l_cut(lua_State *L) {
  return change_link(L, link_cut);
}


/* hold(from, to, is it?) */
static int l_hold(lua_State *L) {
  return change_link(L, link_hold);
}


/* heal(): nothing is cut, held or clogged any more */
static int l_heal(lua_State *L) {
  link_heal_all(&run_at_hand(L)->sim);
  return 0;
}


void library_changes_set(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"cut", l_cut}, {"hold", l_hold}, {"heal", l_heal}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}


void library_links_set(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"link", l_link}, {"fault", l_fault}, {"clog", l_clog}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  library_changes_set(L);
}
