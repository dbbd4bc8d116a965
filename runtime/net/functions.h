/*
** The functions of neap.net.core, for net.c, which registers them: each file its
** own.
*/

#ifndef NET_FUNCTIONS_H
#define NET_FUNCTIONS_H

#include <lua.h>

int dial_lua(lua_State *L);
int listen_lua(lua_State *L);
int bind_lua(lua_State *L);
int pair_lua(lua_State *L);
int resolve_lua(lua_State *L);
int address_lua(lua_State *L);
int service_lua(lua_State *L);
int interfaces_lua(lua_State *L);
int relay_lua(lua_State *L);
int match_lua(lua_State *L);
int pump_lua(lua_State *L);
int moved_lua(lua_State *L);
int rouse_lua(lua_State *L);
int drains_lua(lua_State *L);
int announce_lua(lua_State *L);
int speaks_lua(lua_State *L);
int wait_lua(lua_State *L);
int quiet_lua(lua_State *L);
int sum_lua(lua_State *L);
int crc32c_lua(lua_State *L);
int ip_bytes_lua(lua_State *L);

void resolve_open(lua_State *L);
void interfaces_open(lua_State *L);
void relay_open(lua_State *L);
void ready_open(lua_State *L);

/* neap.host, as of sched/, and the sockets (stats.c) */
int luaopen_neap_host_net(lua_State *L);

#endif
