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


/* Where the next new slot is on a page that is not there yet.  To make one may run
 * a finalizer, and that may spawn a task. */
static void add_page(lua_State *L, const struct sched *s) {
  if (s->free_slot != NO_SLOT || s->slot_count % PAGE != 0)
    return;
  lua_createtable(L, PAGE, 0);
  push_page(L, s, s->slot_count);
  if (lua_isnil(L, -1) && s->slot_count % PAGE == 0) {
    lua_pushvalue(L, -3);
    lua_rawseti(L, -3, s->slot_count / PAGE + 1);
  }
  lua_pop(L, 3);
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
  add_page(L, s);
  bool new = s->free_slot == NO_SLOT;
  int slot = new ? s->slot_count : s->free_slot;
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
  s->free_slot = slot;
  lua_rawseti(L, -2, slot % PAGE + 1);
  lua_pop(L, 2);
}


void slot_push(lua_State *L, const struct sched *s, int slot) {
  push_page(L, s, slot);
  lua_rawgeti(L, -1, slot % PAGE + 1);
  lua_replace(L, -3);
  lua_pop(L, 1);
}
