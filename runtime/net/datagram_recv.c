/*
** Receiving: recv, recvmany, recvfd, messages.
**
** Any number of tasks may wait; each message goes to one of them.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/fields.h"
#include "host/memory.h"
#include "net/datagram.h"
#include "net/descriptor.h"
#include "net/send_batch.h"
#include "sched/world.h"

enum { MAX_SIZE = INT32_MAX };

enum { DEADLINE = 3 }; /* of the stack: behind the arguments */

/* The continuation's context: the verb, and what an iterator adds. */
enum verb { RECV, RECVMANY, RECVFD, VERBS };
enum { ITERATING = 8 };

static const char *const verb_names[VERBS] = {"recv", "recvmany", "recvfd"};

static int recv_k(lua_State *L, int status, lua_KContext ctx);


/*
** From whom.  The Address of the last new sender is the box's first user value,
** and in a table, its third, are some of those before, for a server of many.
*/

static bool is_last(const datagram *d, const arrival *m) {
  return m->from_size == d->recent.size && d->recent.size > 0 &&
         memcmp(m->from, d->recent.bytes, d->recent.size) == 0;
}


static unsigned place_of(const arrival *m) {
  return (unsigned)(datagram_hash(m->from, m->from_size) >> 32) % SENDERS;
}


static bool is_at(const datagram *d, unsigned place, const arrival *m) {
  const sender *s = d->senders != NULL ? &d->senders[place] : NULL;
  return s != NULL && s->size == m->from_size &&
         memcmp(s->bytes, m->from, s->size) == 0;
}


static void push_senders(lua_State *L, datagram *d) {
  if (d->senders != NULL) {
    lua_getiuservalue(L, 1, 3);
    return;
  }
  lua_createtable(L, SENDERS, 0);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 3);
  d->senders = memory_new(SENDERS * sizeof *d->senders);
}


/* The Address on top.  A second sender is the first that needs the table. */
static void remember(lua_State *L, datagram *d, const arrival *m) {
  datagram_know(d, address_test(L, -1));
  if (m->from_size == 0 || m->from_size > sizeof d->recent.bytes)
    return;
  if (d->recent.size > 0) {
    unsigned place = place_of(m);
    push_senders(L, d);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)place + 1);
    lua_pop(L, 1);
    d->senders[place].size = m->from_size;
    memcpy(d->senders[place].bytes, m->from, m->from_size);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
  d->recent.size = m->from_size;
  memcpy(d->recent.bytes, m->from, m->from_size);
}


static void push_other(lua_State *L, datagram *d, const arrival *m) {
  unsigned place = place_of(m);
  address a = {.length = m->from_size};
  if (is_at(d, place, m)) {
    lua_getiuservalue(L, 1, 3);
    lua_rawgeti(L, -1, (lua_Integer)place + 1);
    lua_remove(L, -2);
    return;
  }
  memcpy(&a.u, m->from, m->from_size);
  address_push(L, &a);
  remember(L, d, m);
}


static void push_from(lua_State *L, datagram *d, const arrival *m) {
  if (m->from == NULL)
    lua_pushnil(L);
  else if (is_last(d, m))
    lua_getiuservalue(L, 1, 1);
  else
    push_other(L, d, m);
}


/*
** What else is known: a table, or nil for nothing
*/

/* To ask for a name is a system call: the last one is the box's second user
 * value. */
static void set_interface(lua_State *L, datagram *d, unsigned index) {
  char name[16];
  if (index == 0)
    return;
  if (index != d->last_interface) {
    if (d->host->world->net->ifname(d->host, index, name) < 0)
      return;
    lua_pushstring(L, name);
    lua_setiuservalue(L, 1, 2);
    d->last_interface = index;
  }
  lua_getiuservalue(L, 1, 2);
  lua_setfield(L, -2, "interface");
}


static void set_link(lua_State *L, const extras *x) {
  static const char *const kinds[] = {"host", "broadcast", "multicast", "other",
                                      "outgoing"};
  char text[3 * sizeof x->hw + 1] = "";
  set_integer(L, "ethertype", x->ethertype);
  if (x->packet_kind < sizeof kinds / sizeof *kinds)
    set_text(L, "kind", kinds[x->packet_kind]);
  for (int i = 0; i < x->hw_size; i++) {
    const char *digits = "0123456789abcdef";
    text[3 * i] = digits[x->hw[i] >> 4];
    text[3 * i + 1] = digits[x->hw[i] & 15];
    text[3 * i + 2] = i + 1 < x->hw_size ? ':' : '\0';
  }
  set_text(L, "hwaddr", text);
}


/* And where an answer is to leave from, if that is known. */
static void set_destination(lua_State *L, const extras *x) {
  address us;
  address_push(L, &x->to);
  if (x->to_us) {
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "localaddr");
  }
  lua_setfield(L, -2, "to");
  if (x->to_us || x->us.s_addr == INADDR_ANY)
    return;
  address_any(&us, AF_INET, 0);
  us.u.in4.sin_addr = x->us;
  address_push(L, &us);
  lua_setfield(L, -2, "localaddr");
}


static void set_extras(lua_State *L, datagram *d, const extras *x) {
  if (x->has_to)
    set_destination(L, x);
  set_interface(L, d, x->interface);
  if (x->has_ttl)
    set_integer(L, "ttl", x->ttl);
  if (x->has_tos)
    set_integer(L, "tos", x->tos);
  if (x->has_time)
    set_number(L, "time", (lua_Number)x->time / 1e9);
  if (x->has_cred) {
    set_integer(L, "pid", x->pid);
    set_integer(L, "uid", x->uid);
    set_integer(L, "gid", x->gid);
  }
  if (x->has_link)
    set_link(L, x);
  if (x->cut)
    set_flag(L, "lost", true);
}


static void push_info(lua_State *L, datagram *d, const arrival *m,
                      size_t size) {
  if (size == m->full && m->extras == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 4);
  if (size < m->full) {
    set_flag(L, "truncated", true);
    set_integer(L, "size", m->full);
  }
  if (m->extras != NULL)
    set_extras(L, d, m->extras);
}


/*
** The verbs' results.  What raises comes before the message is taken off.
*/

static int take_one(lua_State *L, datagram *d, const arrival *m) {
  size_t max = (size_t)luaL_optinteger(L, 2, MAX_SIZE);
  size_t size = m->size < max ? m->size : max;
  lua_pushlstring(L, m->bytes, size);
  push_from(L, d, m);
  push_info(L, d, m, size);
  datagram_skip(d);
  return 3;
}


/* Into the list on top, or what becomes one when there is something to tell. */
static void add_info(lua_State *L, datagram *d, const arrival *m,
                     lua_Integer i) {
  if (m->extras == NULL && m->size == m->full)
    return;
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  push_info(L, d, m, m->size);
  lua_rawseti(L, -2, i);
}


static int take_many(lua_State *L, datagram *d, const arrival *m) {
  lua_Integer max = luaL_optinteger(L, 2, DATAGRAM_BATCH);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushnil(L);
  for (lua_Integer i = 1; i <= max && m != NULL; i++) {
    lua_pushlstring(L, m->bytes, m->size);
    lua_rawseti(L, -4, i);
    push_from(L, d, m);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_pushboolean(L, false);
    }
    lua_rawseti(L, -3, i);
    add_info(L, d, m, i);
    datagram_skip(d);
    m = datagram_first(d);
  }
  return 3;
}


static int take_fds(lua_State *L, datagram *d, const arrival *m) {
  lua_pushlstring(L, m->bytes, m->size);
  lua_newtable(L);
  for (int i = 0; m->extras != NULL && i < m->extras->fd_count; i++) {
    descriptor_push(L, &m->extras->fds[i]);
    lua_rawseti(L, -2, i + 1);
  }
  push_from(L, d, m);
  push_info(L, d, m, m->size);
  datagram_skip(d);
  return 4;
}


static int take(lua_State *L, datagram *d, const arrival *m, int verb) {
  static int (*const takers[VERBS])(lua_State *, datagram *,
                                    const arrival *) = {take_one, take_many,
                                                        take_fds};
  d->taking = true;
  int n = takers[verb](L, d, m);
  d->taking = false;
  if (d->closed)
    datagram_empty(d);
  return n;
}


/*
** The loop around them
*/

/* An iterator raises, but for a socket that was closed: that is its end. */
static int failed(lua_State *L, const datagram *d, int status,
                  lua_KContext ctx) {
  int n = datagram_fail(L, d, status, verb_names[ctx & 7]);
  if ((ctx & ITERATING) == 0)
    return n;
  if (d != NULL)
    return lua_error(L);
  lua_pushnil(L);
  return 1;
}


/* The error on top gets what ICMP told: of which message, and by whom. */
static void set_details(lua_State *L, const failure *f) {
  address_set(L, "to", &f->to);
  address_set(L, "by", &f->by);
  if (f->icmp) {
    set_integer(L, "icmp_type", f->type);
    set_integer(L, "icmp_code", f->code);
  }
  if (f->mtu > 0)
    set_integer(L, "mtu", f->mtu);
}


static int tell_error(lua_State *L, datagram *d, lua_KContext ctx) {
  int status = d->recv_error;
  failure details = d->failure != NULL ? *d->failure : (failure){.status = 0};
  datagram_forgive(d);
  datagram_fail(L, d, status, verb_names[ctx & 7]);
  set_details(L, &details);
  return (ctx & ITERATING) != 0 ? lua_error(L) : 2;
}


static int await(lua_State *L, datagram *d, lua_KContext ctx) {
  waiting how = {verb_names[ctx & 7], datagram_deadline(L, d, DEADLINE),
                 d->transport->outside};
  if (!d->receiving) {
    int status = d->transport->recv_start(d);
    if (status < 0)
      return failed(L, d, status, ctx);
    d->receiving = true;
  }
  return wait_park(L, &d->readers, &how, ctx, recv_k);
}


static int try(lua_State *L, datagram *d, lua_KContext ctx) {
  const arrival *m = datagram_first(d);
  if (m != NULL)
    return take(L, d, m, ctx & 7);
  if (d->recv_error != 0)
    return tell_error(L, d, ctx);
  if (!d->ended)
    return await(L, d, ctx);
  lua_pushnil(L);
  return 1;
}


static int recv_k(lua_State *L, int status, lua_KContext ctx) {
  datagram *d = ((datagram_box *)lua_touserdata(L, 1))->datagram;
  int result = status == LUA_YIELD ? wait_to_take(L) : 0;
  if (d == NULL)
    return failed(L, d, result < 0 ? result : -ECANCELED, ctx);
  if (result < 0)
    return failed(L, d, result, ctx);
  return try(L, d, ctx);
}


/* The box at 1 is checked. */
static int begin(lua_State *L, lua_KContext ctx) {
  wait_enter(L, verb_names[ctx & 7]);
  datagram *d = ((datagram_box *)lua_touserdata(L, 1))->datagram;
  if (d == NULL)
    return failed(L, NULL, -EBADF, ctx);
  if (wait_spent(L))
    return wait_yield(L, ctx, recv_k);
  return try(L, d, ctx);
}


/* A largest size, or count, at 2. */
static void check_max(lua_State *L, const char *what) {
  datagram_box_of(L);
  lua_Integer max = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, max >= 1 && max <= MAX_SIZE, 2, what);
  lua_settop(L, 2);
}


/*
** datagram:recv(max?) : data, from, info | nil, error
*/

static int l_recv(lua_State *L) {
  check_max(L, "a count of bytes from 1 to 2^31-1 expected");
  return begin(L, RECV);
}


/*
** datagram:recvmany(max?) : {data}, {from}, {info}? | nil, error
*/

static int l_recvmany(lua_State *L) {
  check_max(L, "a count of messages from 1 to 2^31-1 expected");
  return begin(L, RECVMANY);
}


/*
** datagram:recvfd() : data, {Descriptor}, from, info | nil, error
*/

static int l_recvfd(lua_State *L) {
  datagram_box_of(L);
  lua_settop(L, 1);
  return begin(L, RECVFD);
}


/*
** for data, from, info in datagram:messages()
*/

static int l_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushnil(L);
  return begin(L, RECV | ITERATING);
}


static int l_messages(lua_State *L) {
  datagram_box_of(L);
  lua_settop(L, 1);
  lua_pushcclosure(L, l_next, 1);
  return 1;
}


const luaL_Reg datagram_recv_methods[] = {
    {"recv", l_recv},     {"recvmany", l_recvmany},
    {"recvfd", l_recvfd}, {"messages", l_messages},
    {NULL, NULL},
};
