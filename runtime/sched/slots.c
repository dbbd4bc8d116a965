/*
** Slots: where Lua holds the tasks that have not ended.
**
** They lie in pages, small tables of one size: a table that grows with the tasks
** would be up to twice as large as it need be, and leave as much behind when it
** moves.  A free slot holds the number of the next free one.
*/

#include "sched/sched.h"

enum { PAGE = 64 };


/* Push all pages and the page of a slot, or nil. */
static void push_page(lua_State *L, const struct sched *s, int slot) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_rawgeti(L, -1, slot / PAGE + 1);
}


static void add_page(lua_State *L, const struct sched *s) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_createtable(L, PAGE, 0);
  lua_rawseti(L, -2, s->slot_count / PAGE + 1);
  lua_pop(L, 1);
}


/* The page is on top. */
static int next_free(lua_State *L, int slot) {
  lua_rawgeti(L, -1, slot % PAGE + 1);
  int next = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return next;
}


void slots_open(lua_State *L, struct sched *s) {
  lua_newtable(L);
  s->slots = luaL_ref(L, LUA_REGISTRYINDEX);
  s->free_slot = NO_SLOT;
}


int slot_take(lua_State *L, struct sched *s) {
  bool new = s->free_slot == NO_SLOT;
  int slot = new ? s->slot_count : s->free_slot;
  if (new &&slot % PAGE == 0)
    add_page(L, s);
  push_page(L, s, slot);
  s->slot_count += new;
  if (!new)
    s->free_slot = next_free(L, slot);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, slot % PAGE + 1);
  lua_pop(L, 2);
  return slot;
}


void slot_free(lua_State *L, struct sched *s, int slot) {
  push_page(L, s, slot);
  lua_pushinteger(L, s->free_slot);
  lua_rawseti(L, -2, slot % PAGE + 1);
  lua_pop(L, 2);
  s->free_slot = slot;
}


void slot_push(lua_State *L, const struct sched *s, int slot) {
  push_page(L, s, slot);
  lua_rawgeti(L, -1, slot % PAGE + 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}
