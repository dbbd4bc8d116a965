#include "sys/system.h"

#include "host/whole.h"
#include "sched/world.h"
#include "sys/process.h"
#include "sys/signals.h"
#include "sys/stdio.h"
#include "sys/terminal.h"


const struct system *sys_check(lua_State *L, const char *what) {
  const world *w = host_of(L)->world;
  if (w->sys == NULL)
    luaL_error(L, "there are no %s in the %s world", what, w->name);
  return w->sys;
}


static void check(const struct system *s) {
  whole_check(s, sizeof *s, "the system", NULL, 0);
  whole_check(s->processes, sizeof *s->processes, "processes", NULL, 0);
  whole_check(s->signals, sizeof *s->signals, "signals", NULL, 0);
  whole_check(s->terminals, sizeof *s->terminals, "terminals", NULL, 0);
}


int sys_open(lua_State *L) {
  host_module(L, "neap.process.core", luaopen_neap_process_core);
  host_module(L, "neap.signal", luaopen_neap_signal);
  host_module(L, "neap.stdio", luaopen_neap_stdio);
  if (host_of(L)->world->sys == NULL)
    return 0;
  check(host_of(L)->world->sys);
  shell_replace(L);
  return 0;
}
