#include "sys/system.h"

#include "sched/world.h"
#include "sys/process.h"
#include "sys/signals.h"
#include "sys/stdio.h"


const struct system *sys_check(lua_State *L, const char *what) {
  const world *w = host_of(L)->world;
  if (w->sys == NULL)
    luaL_error(L, "there are no %s in the %s world", what, w->name);
  return w->sys;
}


int sys_open(lua_State *L) {
  host_module(L, "neap.process.core", luaopen_neap_process_core);
  host_module(L, "neap.signal", luaopen_neap_signal);
  host_module(L, "neap.stdio", luaopen_neap_stdio);
  if (host_of(L)->world->sys != NULL)
    shell_replace(L);
  return 0;
}
