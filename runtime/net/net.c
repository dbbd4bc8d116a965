#include "net/net.h"

#include <lualib.h>
#include <stdlib.h>

#include "host/memory.h"
#include "host/slab.h"
#include "host/whole.h"
#include "net/closing.h"
#include "net/descriptor.h"
#include "net/endpoint.h"
#include "net/functions.h"
#include "net/listener.h"
#include "net/outbox.h"
#include "net/round.h"
#include "net/send_batch.h"
#include "net/stream_methods.h"
#include "sched/drain.h"
#include "sched/task.h"
#include "sched/world.h"


void net_flush(host *h) {
  struct net *n = net_of(h);
  outboxes_flush(h);
  if (n->gathered != NULL)
    send_batches_flush(h);
}


static const luaL_Reg functions[] = {
    {"dial", dial_lua},       {"listen", listen_lua},
    {"pair", pair_lua},       {"bind", bind_lua},
    {"resolve", resolve_lua}, {"pump", pump_lua},
    {"moved", moved_lua},     {"relay", relay_lua},
    {"address", address_lua}, {"service", service_lua},
    {"rouse", rouse_lua},     {"interfaces", interfaces_lua},
    {"wait", wait_lua},       {"quiet", quiet_lua},
    {"drains", drains_lua},   {"announce", announce_lua},
    {"match", match_lua},     {"sum", sum_lua},
    {"crc32c", crc32c_lua},   {"ip_bytes", ip_bytes_lua},
    {"speaks", speaks_lua},   {NULL, NULL},
};


static int open_core(lua_State *L) {
  luaL_newlib(L, functions);
  luaL_getmetatable(L, STREAM_CLASS);
  lua_getfield(L, -1, "methods");
  lua_setfield(L, -3, "Stream");
  luaL_getmetatable(L, LISTENER_CLASS);
  lua_getfield(L, -1, "methods");
  lua_setfield(L, -4, "Listener");
  luaL_getmetatable(L, DATAGRAM_CLASS);
  lua_getfield(L, -1, "methods");
  lua_setfield(L, -5, "Datagram");
  lua_pop(L, 3);
  return 1;
}


int net_open(lua_State *L) {
  host *h = host_of(L);
  const backend *b = h->world->net;
  whole_check(b, sizeof *b, "the backend", NULL, 0);
  h->net = memory_new(sizeof *h->net);
  h->net->host = h;
  h->net->closing_end = &h->net->closing;
  h->net->slab = memory_sure(slab_new());
  round_open(&h->net->rounds);
  lua_getglobal(L, LUA_STRLIBNAME);
  lua_getfield(L, -1, "unpack");
  lua_rawsetp(L, LUA_REGISTRYINDEX, read_methods);
  lua_pop(L, 1);
  stream_open(L);
  listener_open(L);
  datagram_open(L);
  descriptor_open(L);
  relay_open(L);
  resolve_open(L);
  interfaces_open(L);
  ready_open(L);
  sched_on_suspend(h, net_flush);
  sched_on_leave(h, closing_leave);
  sched_on_drain(h, listeners_drain);
  host_module(L, "neap.net.core", open_core);
  host_module(L, "neap.host", luaopen_neap_host_net);
  host_module(L, "neap.endpoint", luaopen_neap_endpoint);
  return 0;
}


void net_close(host *h) {
  struct net *n = net_of(h);
  if (n == NULL)
    return;
  outboxes_close(h);
  send_batches_close(h);
  round_close(&n->rounds);
  slab_free(n->slab);
  free(n);
  h->net = NULL;
}
