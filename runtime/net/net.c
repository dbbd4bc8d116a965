#include "net/net.h"

#include <lualib.h>
#include <stdlib.h>

#include "host/memory.h"
#include "host/slab.h"
#include "net/bag.h"
#include "net/descriptor.h"
#include "net/endpoint.h"
#include "net/process.h"
#include "net/stdio.h"
#include "sched/task.h"
#include "sched/world.h"


outbox *net_take_outbox(host *h) {
  struct net *n = net_of(h);
  outbox *o = n->outboxes;
  if (o == NULL) {
    o = memory_grow(NULL, sizeof *o);
  } else {
    n->outboxes = o->next;
    n->outbox_count--;
  }
  o->first = o->last = NULL;
  o->pending = 0;
  o->gathered = 0;
  return o;
}


void net_give_outbox(host *h, outbox *o) {
  struct net *n = net_of(h);
  if (n->outbox_count == FREE_OUTBOXES) {
    free(o);
    return;
  }
  o->next = n->outboxes;
  n->outboxes = o;
  n->outbox_count++;
}


/* In the order in which they were written to. */
static void flush_streams(struct net *n) {
  for (unsigned i = 0; i < n->dirty_count; i++) {
    stream *s = n->dirty[i];
    if (s == NULL)
      continue;
    s->linked = false;
    outbox_flush(s);
  }
  n->dirty_count = 0;
}


void net_flush(host *h) {
  struct net *n = net_of(h);
  flush_streams(n);
  if (n->gathered != NULL)
    bags_flush(h);
}


/* No task runs, so nobody has a body in hand. */
static void suspended(host *h) {
  const struct net *n = net_of(h);
  net_flush(h);
  if (n->dead != NULL || n->dead_names != NULL)
    mem_sweep(h);
}


void net_link_dirty(stream *s) {
  struct net *n = net_of(s->host);
  if (s->linked)
    return;
  if (n->dirty_count == FREE_OUTBOXES)
    net_flush(s->host); /* no more than so many gather at a time */
  s->linked = true;
  n->dirty[n->dirty_count++] = s;
}


static void unlink_dirty(struct net *n, stream *s) {
  unsigned i = 0;
  while (n->dirty[i] != s)
    i++;
  n->dirty[i] = NULL;
  s->linked = false;
}


static void unlink_closing(struct net *n, stream *s) {
  stream **at = &n->closing;
  while (*at != NULL && *at != s)
    at = &(*at)->link;
  if (*at == s)
    *at = s->link;
}


static void expire(host *h, uint64_t now) {
  struct net *n = net_of(h);
  while (n->closing != NULL && n->closing->timeout <= now)
    stream_give_up(n->closing);
  sched_alarm(h, ALARM_CLOSING,
              n->closing != NULL ? n->closing->timeout : NEVER, expire);
}


void net_link_closing(stream *s) {
  struct net *n = net_of(s->host);
  stream **last = &n->closing;
  while (*last != NULL)
    last = &(*last)->link;
  *last = s;
  s->link = NULL;
  sched_alarm(s->host, ALARM_CLOSING, n->closing->timeout, expire);
}


void net_unlink(stream *s) {
  struct net *n = net_of(s->host);
  if (s->linked)
    unlink_dirty(n, s);
  else if (s->state == CLOSING || s->state == LINGERING)
    unlink_closing(n, s);
}


static const luaL_Reg functions[] = {
    {"dial", dial_lua},
    {"listen", listen_lua},
    {"pair", pair_lua},
    {"bind", bind_lua},
    {"resolve", resolve_lua},
    {"pump", pump_lua},
    {"moved", moved_lua},
    {"relay", relay_lua},
    {"address", address_lua},
    {"service", service_lua},
    {"rouse", rouse_lua},
    {"interfaces", interfaces_lua},
    {NULL, NULL},
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
  h->net = memory_new(sizeof *h->net);
  h->net->host = h;
  h->net->slab = memory_sure(slab_new());
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
  sched_on_suspend(h, suspended);
  host_module(L, "neap.net.core", open_core);
  host_module(L, "neap.host", luaopen_neap_host_net);
  host_module(L, "neap.endpoint", luaopen_neap_endpoint);
  host_module(L, "neap.process.core", luaopen_neap_process_core);
  host_module(L, "neap.signal", luaopen_neap_signal);
  host_module(L, "neap.stdio", luaopen_neap_stdio);
  return 0;
}


void net_give_up(host *h) {
  struct net *n = net_of(h);
  while (n != NULL && n->closing != NULL)
    stream_give_up(n->closing);
}


void net_close(host *h) {
  struct net *n = net_of(h);
  if (n == NULL)
    return;
  mem_sweep(h);
  while (n->outboxes != NULL) {
    outbox *o = n->outboxes;
    n->outboxes = o->next;
    free(o);
  }
  bags_close(h);
  slab_free(n->slab);
  free(n);
  h->net = NULL;
}
