/*
** What a host tells of its sockets: plain tables, for the prompt's lists and
** for neap.inspect.
*/

#include <limits.h>
#include <string.h>

#include "host/fields.h"
#include "net/functions.h"
#include "net/inbox.h"
#include "net/layer.h"
#include "net/listener.h"
#include "net/property.h"
#include "net/relay.h"
#include "net/send_batch.h"
#include "net/state.h"
#include "net/stream_methods.h"
#include "sched/task.h"


static void set_address(lua_State *L, const char *key, int status,
                        const address *a) {
  if (status >= 0)
    address_set(L, key, a);
}


static void set_waiters(lua_State *L, const char *key, const waitq *q) {
  sched_push_waiters(L, q);
  lua_setfield(L, -2, key);
}


static void set_descriptor(lua_State *L, int fd) {
  if (fd >= 0)
    set_integer(L, "fd", fd);
}


/* Which userdata it is: nothing of what the script has closed. */
static void set_box(lua_State *L, void *userdata, unsigned serial) {
  if (userdata == NULL)
    return;
  set_integer(L, "id", serial);
  lua_pushlightuserdata(L, userdata);
  lua_setfield(L, -2, "box");
}


/*
** Streams
*/

static const char *state_of(const stream *s) {
  static const char *const names[] = {"connecting", "open",    "open",
                                      "closing",    "closing", "closed"};
  return names[s->state];
}


static uint64_t queued_out(stream *s) {
  uint64_t own = s->out != NULL ? s->out->pending + s->out->gathered : 0;
  bool more = s->layered && s->state != CLOSED;
  return more ? own + queued_out(layer_lower(s)) : own;
}


/* Addresses and the descriptor are the transport's, which has them only until
 * it was told to close. */
static void set_ends(lua_State *L, stream *s) {
  address local, remote;
  if (s->state == CLOSED)
    return;
  int has_local = s->transport->localaddr(s, &local);
  int has_remote = s->transport->remoteaddr(s, &remote);
  stream *bottom = layer_bottom(s);
  set_descriptor(L, bottom->transport->fd(bottom));
  set_address(L, "localaddr", has_local, &local);
  set_address(L, "remoteaddr", has_remote, &remote);
}


static void push_stream(lua_State *L, stream *s) {
  lua_createtable(L, 0, 16);
  set_text(L, "kind", "stream");
  set_box(L, s->box, s->box != NULL ? s->box->serial : 0);
  set_text(L, "protocol", s->transport->kind.name);
  set_text(L, "endpoint", stream_where(s));
  set_text(L, "state", state_of(s));
  set_ends(L, s);
  char brief[400];
  if (layer_brief(s, brief, sizeof brief))
    set_text(L, "layer", brief);
  set_text(L, "speaks", s->use > 0 ? stream_uses[s->use] : NULL);
  set_integer(L, "received", s->received);
  set_integer(L, "sent", s->sent);
  set_integer(L, "queued_in", s->state == OPEN ? inbox_size(&s->in) : 0);
  set_integer(L, "queued_out", queued_out(s));
  set_flag(L, "eof", s->eof);
  set_flag(L, "shut", s->shut);
  set_flag(L, "hidden", s->hidden);
  set_waiters(L, "readers", &s->readers);
  set_waiters(L, "writers", &s->writers);
  set_waiters(L, "turns", &s->turns);
  if (s->relayed)
    set_waiters(L, "relays", relay_waiter(s->extra->relaying));
}


/*
** Listeners
*/

static void push_listener(lua_State *L, listener *l) {
  const char *colon = l->where != NULL ? strchr(l->where, ':') : NULL;
  lua_createtable(L, 0, 9);
  set_text(L, "kind", "listener");
  set_box(L, l->box, l->box != NULL ? l->box->serial : 0);
  lua_pushlstring(L, l->where, colon != NULL ? (size_t)(colon - l->where) : 0);
  lua_setfield(L, -2, "protocol");
  set_text(L, "endpoint", l->where);
  set_text(L, "state", l->closed ? "closed" : "listening");
  set_integer(L, "accepted", l->accepted);
  set_address(L, "localaddr", 0, &l->addr);
  if (!l->closed)
    set_descriptor(L, l->backend->fd_of_listener(l));
  set_flag(L, "hidden", l->hidden);
  set_waiters(L, "readers", &l->acceptors);
}


/*
** Message sockets
*/

/* As set_ends. */
static void set_names(lua_State *L, datagram *d) {
  address local, remote;
  if (d->closed)
    return;
  int has_local = d->transport->localaddr(d, &local);
  int has_remote = d->transport->remoteaddr(d, &remote);
  set_descriptor(L, d->transport->fd(d));
  set_address(L, "localaddr", has_local, &local);
  set_address(L, "remoteaddr", has_remote, &remote);
}


static void push_datagram(lua_State *L, datagram *d) {
  lua_createtable(L, 0, 16);
  set_text(L, "kind", "datagram");
  set_box(L, d->box, d->box != NULL ? d->box->serial : 0);
  set_names(L, d);
  property_push(L, datagram_fields, "protocol", d);
  lua_setfield(L, -2, "protocol");
  set_text(L, "endpoint", d->where);
  set_text(L, "state", d->closed ? "closed" : "open");
  set_integer(L, "received", d->received);
  set_integer(L, "sent", d->sent);
  set_integer(L, "messages_in", d->messages_in);
  set_integer(L, "messages_out", d->messages_out);
  set_integer(L, "queued_in", d->kept_bytes);
  set_integer(L, "queued_out", send_batch_bytes(d));
  set_flag(L, "hidden", d->hidden);
  set_waiters(L, "readers", &d->readers);
  set_waiters(L, "writers", &d->writers);
}


/*
** host.sockets(most?, wanted?) : all whose bodies live, so many at most, and if there
**   is a table `wanted` those whose ids are its keys: a list of tables, the listeners
**   first
** host.socket(s) : such a table of one, of a closed one nil; and its id
** host.awaited() : what tasks wait for, a table: their ids -> "stream 5"
*/

static int pushed(lua_State *L, unsigned serial) {
  if (lua_isnoneornil(L, 2))
    lua_pushnil(L);
  lua_pushinteger(L, serial);
  return 2;
}


static int l_socket(lua_State *L) {
  box *b;
  listener_box *l;
  datagram_box *d;
  lua_settop(L, 1);
  if ((b = luaL_testudata(L, 1, STREAM_CLASS)) != NULL) {
    if (b->stream != NULL)
      push_stream(L, b->stream);
    return pushed(L, b->serial);
  }
  if ((l = luaL_testudata(L, 1, LISTENER_CLASS)) != NULL) {
    if (l->listener != NULL)
      push_listener(L, l->listener);
    return pushed(L, l->serial);
  }
  d = luaL_checkudata(L, 1, DATAGRAM_CLASS);
  if (d->datagram != NULL)
    push_datagram(L, d->datagram);
  return pushed(L, d->serial);
}


enum { WANTED = 1, LIST };

static bool is_wanted(lua_State *L, unsigned serial) {
  if (lua_isnil(L, WANTED))
    return true;
  lua_rawgeti(L, WANTED, serial);
  bool is = serial != 0 && lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}


static unsigned serial_of(const stream *s) {
  return s->box != NULL ? s->box->serial : 0;
}


static int l_sockets(lua_State *L) {
  const struct net *n = net_of(host_of(L));
  lua_Integer most = luaL_optinteger(L, 1, INT_MAX), i = 0;
  lua_settop(L, 2);
  if (!lua_isnil(L, 2))
    luaL_checktype(L, 2, LUA_TTABLE);
  lua_remove(L, 1);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_newtable(L);
  for (listener *l = n->listeners; l != NULL && i < most; l = l->next) {
    if (!is_wanted(L, l->box != NULL ? l->box->serial : 0))
      continue;
    push_listener(L, l);
    lua_rawseti(L, LIST, ++i);
  }
  for (datagram *d = n->datagrams; d != NULL && i < most; d = d->next) {
    if (!is_wanted(L, d->box != NULL ? d->box->serial : 0))
      continue;
    push_datagram(L, d);
    lua_rawseti(L, LIST, ++i);
  }
  for (stream *s = n->streams; s != NULL && i < most; s = s->next) {
    if (s->state == UNDER || /* another one stands for it */
        !is_wanted(L, serial_of(s)))
      continue;
    push_stream(L, s);
    lua_rawseti(L, LIST, ++i);
  }
  return 1;
}


/*
** host.bytes() : what each stream and message socket received and sent: a string of its
**   id and these two, as string.unpack has them by "=I4I8I8"
*/

static void add_bytes(luaL_Buffer *b, unsigned serial, uint64_t received,
                      uint64_t sent) {
  uint32_t id = serial;
  luaL_addlstring(b, (const char *)&id, sizeof id);
  luaL_addlstring(b, (const char *)&received, sizeof received);
  luaL_addlstring(b, (const char *)&sent, sizeof sent);
}


/* What only makes the text longer may run finalizers, which close sockets: so there is
 * room for all first. */
static int l_bytes(lua_State *L) {
  enum { ROW = 20 };
  host *h = host_of(L);
  const struct net *n = net_of(h);
  size_t room = (h->streams + h->datagrams + 16) * (size_t)ROW, used = 0;
  luaL_Buffer b;
  luaL_buffinitsize(L, &b, room);
  for (const datagram *d = n->datagrams; d != NULL; d = d->next)
    if (d->box != NULL && (used += ROW) <= room)
      add_bytes(&b, d->box->serial, d->received, d->sent);
  for (const stream *s = n->streams; s != NULL; s = s->next)
    if (s->state != UNDER && s->box != NULL && (used += ROW) <= room)
      add_bytes(&b, s->box->serial, s->received, s->sent);
  luaL_pushresult(&b);
  return 1;
}


/* The tasks in q wait for this. */
static void note(lua_State *L, const waitq *q, const char *kind, unsigned id) {
  if (wait_idle(q))
    return;
  sched_push_waiters(L, q);
  lua_pushfstring(L, "%s %d", kind, (int)id);
  for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
    lua_pushvalue(L, 3);
    lua_rawset(L, 1);
  }
  lua_settop(L, 1);
}


static int l_awaited(lua_State *L) {
  const struct net *n = net_of(host_of(L));
  lua_settop(L, 0);
  lua_newtable(L);
  for (const listener *l = n->listeners; l != NULL; l = l->next)
    if (l->box != NULL)
      note(L, &l->acceptors, "listener", l->box->serial);
  for (const datagram *d = n->datagrams; d != NULL; d = d->next) {
    unsigned id = d->box != NULL ? d->box->serial : 0;
    note(L, &d->readers, "datagram", id);
    note(L, &d->writers, "datagram", id);
  }
  for (const stream *s = n->streams; s != NULL; s = s->next) {
    unsigned id = s->box != NULL ? s->box->serial : 0;
    note(L, &s->readers, "stream", id);
    note(L, &s->writers, "stream", id);
    note(L, &s->turns, "stream", id);
    if (s->relayed)
      note(L, relay_waiter(s->extra->relaying), "stream", id);
  }
  return 1;
}


/*
** host.reset(id) : did such a socket live?  Then it is closed, and what it had not sent
**   is forgotten
*/

static bool reset_stream(const struct net *n, lua_Integer id) {
  for (stream *s = n->streams; s != NULL; s = s->next)
    if (s->box != NULL && s->box->serial == id)
      return stream_close(s, true), true;
  return false;
}


static bool close_listener(const struct net *n, lua_Integer id) {
  for (listener *l = n->listeners; l != NULL; l = l->next)
    if (l->box != NULL && l->box->serial == id)
      return listener_close(l), true;
  return false;
}


static bool close_datagram(const struct net *n, lua_Integer id) {
  for (datagram *d = n->datagrams; d != NULL; d = d->next)
    if (d->box != NULL && d->box->serial == id)
      return datagram_close(d), true;
  return false;
}


static int l_reset(lua_State *L) {
  const struct net *n = net_of(host_of(L));
  lua_Integer id = luaL_checkinteger(L, 1);
  bool found =
      reset_stream(n, id) || close_listener(n, id) || close_datagram(n, id);
  lua_pushboolean(L, found);
  return 1;
}


/*
** host.traffic() : {received=, sent=, accepted=}, of all sockets that there were
*/

static int l_traffic(lua_State *L) {
  const struct net *n = net_of(host_of(L));
  traffic all = n->gone;
  for (const stream *s = n->streams; s != NULL; s = s->next)
    traffic_add(&all, s->outside && !s->layered, s->received, s->sent);
  for (const datagram *d = n->datagrams; d != NULL; d = d->next)
    traffic_add(&all, d->transport->outside, d->received, d->sent);
  for (const listener *l = n->listeners; l != NULL; l = l->next)
    all.accepted += l->outside ? l->accepted : 0;
  lua_createtable(L, 0, 3);
  set_integer(L, "received", (lua_Integer)all.received);
  set_integer(L, "sent", (lua_Integer)all.sent);
  set_integer(L, "accepted", (lua_Integer)all.accepted);
  return 1;
}


static const luaL_Reg functions[] = {
    {"socket", l_socket}, {"traffic", l_traffic}, {"sockets", l_sockets},
    {"bytes", l_bytes},   {"awaited", l_awaited}, {"reset", l_reset},
    {NULL, NULL}};


int luaopen_neap_host_net(lua_State *L) {
  luaopen_neap_host(L);
  luaL_setfuncs(L, functions, 0);
  return 1;
}
