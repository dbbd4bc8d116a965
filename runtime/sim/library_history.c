/*
** Of neap.sim.core what has happened in a run, kept to be compared with another one,
** which begins when the first is closed.
*/

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/class.h"
#include "host/memory.h"
#include "sim/library.h"
#include "sim/run.h"

#define CLASS "neap.sim.History"

enum { ROOM = 128 }; /* bytes that an entry takes in words */

typedef struct kept {
  history history;
  unsigned count;
  char **names; /* of the nodes */
} kept;


int library_take_history(lua_State *L, run *r) {
  sim *s = &r->sim;
  kept *k = lua_newuserdatauv(L, sizeof *k, 0);
  *k = (kept){.count = 0};
  luaL_setmetatable(L, CLASS);
  k->names = memory_new((s->node_count + 1) * sizeof *k->names);
  for (; k->count < s->node_count; k->count++) {
    const char *name = s->nodes[k->count]->name;
    k->names[k->count] = memory_text(name, strlen(name));
  }
  k->history = s->history;
  s->history = (history){.hash = k->history.hash, .count = k->history.count};
  return 1;
}


static int l_gc(lua_State *L) {
  kept *k = luaL_checkudata(L, 1, CLASS);
  for (unsigned i = 0; i < k->count; i++)
    free(k->names[i]);
  free(k->names);
  history_free(&k->history);
  *k = (kept){.count = 0};
  return 0;
}


/* Push when it was, of whom, and what. */
static void push_entry(lua_State *L, const kept *k, size_t at) {
  char text[ROOM];
  history_say(&k->history, at, text, sizeof text);
  if (at >= k->history.kept) {
    lua_pushstring(L, text);
    return;
  }
  const history_entry *e = &k->history.entries[at];
  bool known = e->node < k->count;
  lua_pushfstring(L, "at +%fs %s%s%s", (double)(e->at - SIM_START) / 1e9,
                  known ? k->names[e->node] : "", known ? ": " : "", text);
}


/* history:differs(other) : the first event that does, here and there, in words; nil: none */
static int l_differs(lua_State *L) {
  const kept *a = luaL_checkudata(L, 1, CLASS);
  const kept *b = luaL_checkudata(L, 2, CLASS);
  size_t at;
  if (!history_differs(&a->history, &b->history, &at))
    return 0;
  push_entry(L, a, at);
  push_entry(L, b, at);
  return 2;
}


void library_history_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"differs", l_differs}, {NULL, NULL}};
  class_open(L, CLASS, metamethods, methods, NULL);
}
