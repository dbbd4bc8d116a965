/*
** neap.service.core: what a service has to do with who started it, and with who
** comes after it, for lua/neap/process/service.lua.
*/

#include "guard/guard.h"
#include "host/error.h"
#include "sys/process.h"
#include "sys/system.h"


static const processes *table_of(lua_State *L) {
  return sys_check(L, "processes")->processes;
}


/* restart() : a descriptor to read, pid | nil, error */
static int l_restart(lua_State *L) {
  int ready, pid;
  host *h = host_of(L);
  int status = guard_run();
  if (status == 0)
    status = table_of(L)->restart(h, &ready, &pid);
  if (status < 0)
    return fail(L, status, "restart", h->argv != NULL ? h->argv[0] : NULL);
  lua_pushinteger(L, ready);
  lua_pushinteger(L, pid);
  return 2;
}


/* restarted(pid, well): the process that was started has what this one holds; or is
 * to end */
static int l_restarted(lua_State *L) {
  table_of(L)->restarted((int)luaL_checkinteger(L, 1), lua_toboolean(L, 2));
  return 0;
}


/* settle(): this host serves what its predecessor did, whatever it looks like */
static int l_settle(lua_State *L) {
  host *h = host_of(L);
  void (*call)(host * h) = h->settled;
  h->settled = NULL;
  if (call != NULL)
    call(h);
  return 0;
}


/* copy(fd) : another descriptor of what somebody else has made | nil, error */
static int l_copy(lua_State *L) {
  int fd = table_of(L)->copy(host_of(L), (int)luaL_checkinteger(L, 1));
  if (fd < 0)
    return fail(L, fd, "activated", NULL);
  lua_pushinteger(L, fd);
  return 1;
}


/* discard(fd): nobody wants the copy */
static int l_discard(lua_State *L) {
  table_of(L)->discard(host_of(L), (int)luaL_checkinteger(L, 1));
  return 0;
}


static const luaL_Reg functions[] = {
    {"restart", l_restart}, {"restarted", l_restarted}, {"settle", l_settle},
    {"copy", l_copy},       {"discard", l_discard},     {NULL, NULL}};


int luaopen_neap_service_core(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
