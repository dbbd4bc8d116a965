#include "net/net.h"

#include <lualib.h>
#include <stdlib.h>

#include "host/memory.h"
#include "host/slab.h"
#include "host/whole.h"
#include "net/bag.h"
#include "net/descriptor.h"
#include "net/endpoint.h"
#include "net/ready.h"
#include "sched/task.h"
#include "sched/world.h"

/* Streams read and forget so many bytes behind their close(), all together, and
 * then pause for so long, ns: no peer keeps a processor busy that way. */
#define PAUSE (UINT64_C(10) * 1000000)
enum { PORTION = 2 * 1024 * 1024 };

/* At the program's end, how long a peer must have been silent, ns. */
#define LOOK (UINT64_C(50) * 1000000)


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


/*
** Streams that go on behind their close(), the oldest first
*/

static void expire(host *h, uint64_t now);


static uint64_t earlier(uint64_t a, uint64_t b) {
  return b != 0 && b < a ? b : a;
}


static void set_alarm(struct net *n) {
  uint64_t at = n->closing != NULL ? n->closing->timeout : NEVER;
  at = earlier(earlier(at, n->pause), n->closing != NULL ? n->look : 0);
  sched_alarm(n->host, ALARM_CLOSING, at, expire);
}


/* The pause is over. */
static void go_on(struct net *n) {
  n->pause = n->forgotten = 0;
  for (stream *s = n->closing; s != NULL; s = s->link)
    if (!s->shared) /* who else has it reads it */
      stream_hear(s);
}


/* Those that have got all across, and whose peers say nothing, keep no process
 * from its end. */
static void look(struct net *n, uint64_t now) {
  n->look = now + LOOK;
  for (stream *s = n->closing, *next; s != NULL; s = next) {
    next = s->link;
    if (s->state == LINGERING && stream_is_settled(s))
      stream_give_up(s);
  }
}


static void expire(host *h, uint64_t now) {
  struct net *n = net_of(h);
  while (n->closing != NULL && n->closing->timeout <= now)
    stream_give_up(n->closing);
  if (n->pause != 0 && n->pause <= now)
    go_on(n);
  if (n->look != 0 && n->look <= now)
    look(n, now);
  set_alarm(n);
}


static void unlink_closing(struct net *n, stream *s) {
  if (s->link != NULL)
    s->link->link_at = s->link_at;
  else
    n->closing_end = s->link_at;
  *s->link_at = s->link;
}


void net_link_closing(stream *s) {
  struct net *n = net_of(s->host);
  s->link = NULL;
  s->link_at = n->closing_end;
  *n->closing_end = s;
  n->closing_end = &s->link;
  set_alarm(n);
}


bool net_forget(host *h, size_t n) {
  struct net *all = net_of(h);
  all->forgotten += n;
  if (all->forgotten >= PORTION && all->pause == 0) {
    all->pause = h->world->now(h->outside) + PAUSE;
    set_alarm(all);
  }
  return all->pause != 0;
}


bool net_spare(host *h) {
  stream *s = net_of(h)->closing;
  while (s != NULL && s->state != LINGERING)
    s = s->link;
  if (s != NULL)
    stream_give_up(s);
  return s != NULL;
}


/* The program has ended, perhaps in the midst of a round: close what it left open.
 * What Lua has not got, for a lack of memory, is still somebody else's. */
static void leave(host *h) {
  struct net *n = net_of(h);
  round_run(h);
  for (stream *s = n->streams, *next; s != NULL; s = next) {
    next = s->next;
    if (s->state <= OPEN && s->outside && s->box != NULL)
      stream_close(s, false);
  }
  n->look = h->world->now(h->outside);
  set_alarm(n);
}


void net_unlink(stream *s) {
  struct net *n = net_of(s->host);
  if (s->linked)
    unlink_dirty(n, s);
  else if (s->state == CLOSING || s->state == LINGERING)
    unlink_closing(n, s);
}


static const luaL_Reg functions[] = {
    {"dial", dial_lua},       {"listen", listen_lua},
    {"pair", pair_lua},       {"bind", bind_lua},
    {"resolve", resolve_lua}, {"pump", pump_lua},
    {"moved", moved_lua},     {"relay", relay_lua},
    {"address", address_lua}, {"service", service_lua},
    {"rouse", rouse_lua},     {"interfaces", interfaces_lua},
    {"wait", wait_lua},       {NULL, NULL},
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
  sched_on_leave(h, leave);
  host_module(L, "neap.net.core", open_core);
  host_module(L, "neap.host", luaopen_neap_host_net);
  host_module(L, "neap.endpoint", luaopen_neap_endpoint);
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
  while (n->outboxes != NULL) {
    outbox *o = n->outboxes;
    n->outboxes = o->next;
    free(o);
  }
  bags_close(h);
  round_close(&n->rounds);
  slab_free(n->slab);
  free(n);
  h->net = NULL;
}
