#include "sys/sys.h"

#include "host/whole.h"
#include "sched/world.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/signals.h"
#include "sys/stdio.h"
#include "sys/system.h"
#include "sys/terminal.h"


static void check(const struct system *s) {
  whole_check(s, sizeof *s, "the system", NULL, 0);
  whole_check(s->processes, sizeof *s->processes, "processes", NULL, 0);
  whole_check(s->signals, sizeof *s->signals, "signals", NULL, 0);
  whole_check(s->terminals, sizeof *s->terminals, "terminals", NULL, 0);
}


int sys_open(lua_State *L) {
  host_module(L, "neap.process.core", luaopen_neap_process_core);
  host_module(L, "neap.service.core", luaopen_neap_service_core);
  host_module(L, "neap.signal", luaopen_neap_signal);
  host_module(L, "neap.stdio", luaopen_neap_stdio);
  host_module(L, "neap.log.core", luaopen_neap_log_core);
  if (host_of(L)->world->sys == NULL)
    return 0;
  check(host_of(L)->world->sys);
  shell_replace(L);
  return 0;
}
