#include "sys/system.h"

#include "sched/world.h"


const struct system *sys_check(lua_State *L, const char *what) {
  const world *w = host_of(L)->world;
  if (w->sys == NULL)
    luaL_error(L, "there are no %s in the %s world", what, w->name);
  return w->sys;
}
