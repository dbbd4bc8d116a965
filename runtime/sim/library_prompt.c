/*
** Of a Run what one asks between two steps, while the world stands still: what has passed
** between hosts, its links, and what goes on in a host.
*/

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/drive.h"
#include "sim/library.h"
#include "sim/link.h"
#include "sim/run.h"


node *library_node(lua_State *L, run *r, int index) {
  const char *name = luaL_checkstring(L, index);
  node *n = r->director != NULL ? node_find(&r->sim, name) : NULL;
  if (n == NULL)
    luaL_error(L, "there is no host '%s'", name);
  return n;
}


/* run:hosts() : their names, the director's first */
static int l_hosts(lua_State *L) {
  const run *r = library_run(L);
  lua_newtable(L);
  for (unsigned i = 0; i < r->sim.node_count; i++) {
    lua_pushstring(L, r->sim.nodes[i]->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


/* run:link(from, to) : is it cut, is it held, seconds for which it is clogged, or 0 */
static int l_link(lua_State *L) {
  run *r = library_run(L);
  node *from = library_node(L, r, 2), *to = library_node(L, r, 3);
  uint64_t until = link_clogged(&r->sim, from, to), now = r->sim.now;
  lua_pushboolean(L, link_is_cut(&r->sim, from, to));
  lua_pushboolean(L, link_is_held(&r->sim, from, to));
  lua_pushnumber(L, until > now ? (double)(until - now) / 1e9 : 0);
  return 3;
}


/* In the host's own state: a function of neap.repl.lists. */
static int l_list(lua_State *L) {
  host_require(L, "neap.repl.lists");
  lua_getfield(L, -1, lua_tostring(L, 1));
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "columns");
  lua_call(L, 1, 1);
  return 1;
}


static char *list_of(node *n, const char *name, lua_Integer columns) {
  lua_State *L = n->host.L;
  node *before = drive_enter(n);
  lua_pushcfunction(L, l_list);
  lua_pushstring(L, name);
  lua_pushinteger(L, columns);
  host_call(&n->host, 2, 1);
  const char *text = lua_tostring(L, -1);
  char *copy = text != NULL ? memory_text(text, strlen(text)) : NULL;
  lua_settop(L, 0);
  drive_leave(n, before);
  return copy;
}


/* run:list(host, "ps" or "socks", columns) : text; nil: it does not run */
static int l_list_of(lua_State *L) {
  run *r = library_run(L);
  node *n = library_node(L, r, 2);
  const char *name = luaL_checkstring(L, 3);
  lua_Integer columns = luaL_checkinteger(L, 4);
  char *text = node_lives(n) ? list_of(n, name, columns) : NULL;
  lua_pushstring(L, text);
  free(text);
  return 1;
}


/* run:watch(): from now on what passes between nodes is kept */
static int l_watch(lua_State *L) {
  library_run(L)->sim.outside.passes = library_note_passage;
  return 0;
}


/* run:passages() : what has passed since, as messages */
static int l_passages(lua_State *L) {
  return library_take_passages(L, library_run(L));
}


void library_prompt_set(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"hosts", l_hosts}, {"link", l_link},         {"list", l_list_of},
      {"watch", l_watch}, {"passages", l_passages}, {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
  library_changes_set(L);
}
