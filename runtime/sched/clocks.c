#include "sched/clocks.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sched/sched.h"

typedef struct clock {
  unsigned serial; /* of the task whose it is; 0: nobody's */
  uint64_t ticks;
} clock;

struct clocks {
  unsigned lookers;
  uint64_t ended; /* ticks of tasks that have */
  int room;
  clock *all; /* by the tasks' slots */
};


static void grow(struct clocks *c, int slot) {
  int room = c->room == 0 ? 64 : c->room;
  while (room <= slot)
    room *= 2;
  c->all = memory_grow(c->all, (size_t)room * sizeof *c->all);
  memset(c->all + c->room, 0, (size_t)(room - c->room) * sizeof *c->all);
  c->room = room;
}


void clocks_add(struct sched *s, const task *t, uint64_t began) {
  struct clocks *c = s->clocks;
  if (c == NULL)
    return; /* it has ended the looking itself */
  if (t->slot >= c->room)
    grow(c, t->slot);
  clock *own = &c->all[t->slot];
  if (own->serial != t->serial)
    *own = (clock){.serial = t->serial};
  own->ticks += s->host->world->ticks(s->host->outside) - began;
}


void clocks_end(struct sched *s, const task *t) {
  struct clocks *c = s->clocks;
  if (t->slot >= c->room || c->all[t->slot].serial != t->serial)
    return;
  c->ended += c->all[t->slot].ticks;
  c->all[t->slot] = (clock){0};
}


void clocks_close(struct sched *s) {
  if (s->clocks != NULL)
    free(s->clocks->all);
  free(s->clocks);
  s->clocks = NULL;
}


/*
** neap.clocks.core
**
** look(on): somebody does from now on, or does no longer
** read() : now, ended, each   in ticks: what time it is; how long tasks that have ended
**                             ran; and how long each that lives has: a string of its id
**                             and that, as string.unpack has them by "=I4I8"
*/

static int l_look(lua_State *L) {
  struct sched *s = host_of(L)->sched;
  bool on = lua_toboolean(L, 1);
  if (s->clocks == NULL) {
    if (on)
      s->clocks = memory_new(sizeof *s->clocks);
    else
      return 0;
  }
  s->clocks->lookers += on ? 1 : -1U;
  if (s->clocks->lookers == 0)
    clocks_close(s);
  return 0;
}


static void add_clock(luaL_Buffer *b, const clock *one) {
  uint32_t serial = one->serial;
  luaL_addlstring(b, (const char *)&serial, sizeof serial);
  luaL_addlstring(b, (const char *)&one->ticks, sizeof one->ticks);
}


/* There is room for all first: making it may run finalizers, which may be the last who
 * look. */
static int l_read(lua_State *L) {
  enum { ROW = sizeof(uint32_t) + sizeof(uint64_t) };
  const host *h = host_of(L);
  const struct clocks *c = h->sched->clocks;
  luaL_Buffer b;
  if (c == NULL)
    return luaL_error(L, "nobody looks");
  lua_pushinteger(L, (lua_Integer)h->world->ticks(h->outside));
  lua_pushinteger(L, (lua_Integer)c->ended);
  luaL_buffinitsize(L, &b, (size_t)c->room * ROW);
  c = h->sched->clocks;
  for (int i = 0; c != NULL && i < c->room; i++)
    if (c->all[i].serial != 0)
      add_clock(&b, &c->all[i]);
  luaL_pushresult(&b);
  return 3;
}


static const luaL_Reg functions[] = {
    {"look", l_look},
    {"read", l_read},
    {NULL, NULL},
};


int luaopen_neap_clocks_core(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
