/*
** Listeners: a queue of connection requests, and accept.
**
** accept makes the Stream first, and fills it when there is a connection.  It
** tries, and waits for the queue to be readable when it is empty.  On
** a lack of descriptors or memory the error is given to one accept, and the
** next one waits first: 10 ms, doubling to 1 s, so that a server short of
** descriptors neither spins nor stops.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "net/closing.h"
#include "net/endpoint.h"
#include "net/functions.h"
#include "net/listener.h"
#include "net/options.h"
#include "net/property.h"
#include "net/ready.h"
#include "net/relay.h"
#include "net/state.h"
#include "net/stream_methods.h"
#include "net/trace.h"
#include "sched/drain.h"
#include "sched/task.h"
#include "sched/world.h"

#define FIRST_PAUSE (UINT64_C(10) * 1000000)
#define LONGEST_PAUSE (UINT64_C(1000) * 1000000)

enum { BACKLOG = 511 };

listener *listener_new(host *h, size_t part, const sockspec *spec) {
  listener *l = memory_new(sizeof *l + part);
  l->host = h;
  l->serial = host_serial(h);
  l->backend = h->world->net;
  l->backoff = FIRST_PAUSE;
  l->outside = true;
  l->addr = spec->addr;
  l->protocol = spec->protocol;
  LIST_ADD(net_of(h)->listeners, l);
  h->listeners++;
  return l;
}


void listener_closed(listener *l) {
  l->host->listeners--;
  net_of(l->host)->gone.accepted += l->outside ? l->accepted : 0;
  LIST_REMOVE(l);
  free((char *)l->where);
  if (l->cover != NULL)
    l->cover->end(l->cover);
  free(l);
}


/* More may be there than one task takes: wake them all, in their order. */
void listener_ready(listener *l) {
  if (wait_wake_all(&l->acceptors, 0) == 0) {
    l->watched = false;
    l->backend->rest(l);
  }
}


/* Its queue is looked at until it is empty, also where no event was told of. */
static void drain(listener *l) {
  l->drains = true;
  if (l->watched)
    l->backend->rest(l);
  l->watched = false;
  wait_wake_all(&l->acceptors, 0);
}


void listeners_drain(host *h) {
  for (listener *l = net_of(h)->listeners; l != NULL; l = l->next)
    if (l->served && !l->closed)
      drain(l);
}


const char listener_mark = 0;


static listener_box *check(lua_State *L) {
  listener_box *b = host_marked(L, 1, sizeof *b, &listener_mark);
  return b != NULL ? b : luaL_checkudata(L, 1, LISTENER_CLASS);
}


listener *listener_test(lua_State *L, int index) {
  const listener_box *b = luaL_testudata(L, index, LISTENER_CLASS);
  return b != NULL ? b->listener : NULL;
}


void listener_close(listener *l) {
  if (l->box != NULL) {
    trace_listener(l, TRACE_CLOSED);
    l->box->listener = NULL;
  }
  l->box = NULL;
  l->closed = true;
  wait_wake_all(&l->acceptors, -ECANCELED);
  l->backend->close_listener(l);
}


int listener_push(lua_State *L, listener *l, const char *where) {
  l->where = memory_text(where, strlen(where));
  listener_box *b = host_box(L, LISTENER_CLASS, sizeof *b, LISTENER_VALUES);
  if (b == NULL) {
    listener_close(l);
    return lua_error(L);
  }
  *b = (listener_box){l, l->serial, host_mark(&listener_mark)};
  l->box = b;
  if (l->host->tested)
    sched_note_birth(l->host, l->serial);
  trace_listener(l, TRACE_LISTEN);
  return 1;
}


static int fail_here(lua_State *L, listener *l, int status, const char *op) {
  return fail(L, status, op, l != NULL ? l->where : NULL);
}


/*
** listener:accept() : stream | nil, error
*/

/* On its stack. */
enum { LISTENER = 1, STREAM };

static int accept_k(lua_State *L, int status, lua_KContext ctx);


static bool lacks_resources(int status) {
  return status == -EMFILE || status == -ENFILE || status == -ENOBUFS ||
         status == -ENOMEM || status == -EPERM;
}


/* What lingers is worth less than a connection. */
static int take_one(listener *l, stream **s, datagram **d) {
  int status = l->backend->accept(l, s, d);
  if (status == -EMFILE && closing_spare(l->host))
    status = l->backend->accept(l, s, d);
  return status;
}


static void pause_accepting(listener *l) {
  const host *h = l->host;
  l->rearm = h->world->now(h->outside) + l->backoff;
  l->backoff *= 2;
  if (l->backoff > LONGEST_PAUSE)
    l->backoff = LONGEST_PAUSE;
  if (l->watched)
    l->backend->rest(l);
  l->watched = false;
}


static bool is_paused(const listener *l) {
  const host *h = l->host;
  return l->rearm > 0 && h->world->now(h->outside) < l->rearm;
}


/* Have it watched, or the deadline be the end of its pause, if that is earlier. */
static int prepare(listener *l, uint64_t *deadline) {
  int status = 0;
  if (is_paused(l))
    *deadline = l->rearm < *deadline ? l->rearm : *deadline;
  else if (!l->watched)
    status = l->backend->watch(l);
  l->watched = status == 0 && !is_paused(l);
  return status;
}


static int await_connection(lua_State *L, listener *l) {
  waiting how = {"accept", NEVER, l->outside};
  int status = prepare(l, &how.deadline);
  if (status < 0)
    return fail_here(L, l, status, "accept");
  return wait_park(L, &l->acceptors, &how, 0, accept_k);
}


static void push_accepted(lua_State *L, listener *l, stream *s, datagram *d) {
  if (s != NULL)
    s->hidden = l->hidden;
  else
    d->hidden = l->hidden;
  if (s != NULL && l->cover != NULL && !l->bare)
    s = l->cover->over(l->cover, s);
  trace_accept(l, s, d);
  if (s != NULL)
    stream_fill(lua_touserdata(L, STREAM), s);
  else
    datagram_push(L, d);
}


static int try_accept(lua_State *L, listener *l) {
  stream *s;
  datagram *d;
  if (is_paused(l))
    return await_connection(L, l);
  int status = take_one(l, &s, &d);
  if (status == 0) {
    l->rearm = 0;
    l->backoff = FIRST_PAUSE;
    l->accepted++;
    push_accepted(L, l, s, d);
    return 1;
  }
  if (status == -EAGAIN)
    return l->drains ? fail_here(L, l, -ECANCELED, "accept")
                     : await_connection(L, l);
  trace_accept_error(l, status);
  if (lacks_resources(status))
    pause_accepting(l);
  return fail_here(L, l, status, "accept");
}


static listener *listener_here(lua_State *L) {
  return ((listener_box *)lua_touserdata(L, LISTENER))->listener;
}


static int accept_k(lua_State *L, int status, lua_KContext ctx) {
  listener *l = listener_here(L);
  int result = status == LUA_YIELD ? wait_to_take(L) : 0;
  (void)ctx;
  if (l == NULL)
    return fail_here(L, NULL, -ECANCELED, "accept");
  if (result < 0 && result != -ETIMEDOUT) /* that ends a pause */
    return fail_here(L, l, result, "accept");
  return try_accept(L, l);
}


static int l_accept(lua_State *L) {
  const listener_box *b = check(L);
  wait_enter(L, "accept");
  if (b->listener == NULL)
    return fail_here(L, NULL, -EBADF, "accept");
  lua_settop(L, LISTENER);
  stream_push_closed(L); /* a finalizer may run, and close the listener */
  if (wait_spent(L))
    return wait_yield(L, 0, accept_k);
  return accept_k(L, LUA_OK, 0);
}


/*
** listener:wait(timeout?) : "r" | nil, error
*/

enum { LIMIT = 2 };

static int wait_k(lua_State *L, int status, lua_KContext ctx);


static bool is_late(const listener *l, uint64_t deadline) {
  const host *h = l->host;
  return h->world->now(h->outside) >= deadline;
}


static int try_wait(lua_State *L, listener *l) {
  waiting how = {"wait", ready_deadline(L, LIMIT), l->outside};
  if (!is_paused(l) && l->backend->acceptable(l))
    return ready_push(L, READABLE);
  int status = prepare(l, &how.deadline);
  if (status < 0)
    return fail_here(L, l, status, "wait");
  return wait_park(L, &l->acceptors, &how, 0, wait_k);
}


/* A pause may have ended, or the whole wait. */
static int wait_k(lua_State *L, int status, lua_KContext ctx) {
  listener *l = listener_here(L);
  int result = wait_status(L);
  (void)status, (void)ctx;
  if (l == NULL)
    return fail_here(L, NULL, -ECANCELED, "wait");
  if (result < 0 &&
      (result != -ETIMEDOUT || is_late(l, ready_deadline(L, LIMIT))))
    return fail_here(L, l, result, "wait");
  return try_wait(L, l);
}


static int l_wait(lua_State *L) {
  const listener_box *b = check(L);
  ready_limit(L, LIMIT, 0);
  wait_enter(L, "wait");
  if (b->listener == NULL)
    return fail_here(L, NULL, -EBADF, "wait");
  if (wait_spent(L))
    return wait_yield(L, 0, wait_k);
  return try_wait(L, b->listener);
}


/*
** rouse(listener, scope): the listener's end shall end the scope's wait, too.
** A server that has as many connections as it may waits for one to end, not in
** accept.
*/

int rouse_lua(lua_State *L) {
  check(L);
  lua_settop(L, 2);
  if (lua_getiuservalue(L, 1, LISTENER_SCOPES) != LUA_TTABLE) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k"); /* scopes end */
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, LISTENER_SCOPES);
  }
  lua_pushvalue(L, 2);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  return 0;
}


static void rouse_all(lua_State *L) {
  if (lua_getiuservalue(L, 1, LISTENER_SCOPES) == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
      scope_rouse(L, -2);
  lua_pop(L, 1);
}


/*
** drains(listener): it is served.  When the program drains, accept gives what has
** come, and then ECANCELED.
*/

int drains_lua(lua_State *L) {
  listener *l = check(L)->listener;
  if (l == NULL)
    return 0;
  l->served = true;
  if (sched_drains(l->host))
    drain(l);
  return 0;
}


/*
** listener:close() : true
*/

static int l_close(lua_State *L) {
  listener_box *b = check(L);
  listener *l = b->listener;
  lua_settop(L, 1);
  if (l != NULL)
    listener_close(l);
  rouse_all(L);
  lua_pushboolean(L, true);
  return 1;
}


static sockspec about(void *body) {
  const listener *l = body;
  if (l == NULL)
    return (sockspec){.family = AF_INET, .type = SOCK_STREAM};
  return (sockspec){.family = l->addr.u.any.sa_family,
                    .type = SOCK_STREAM,
                    .protocol = l->protocol};
}


static int set_one(void *body, const sockopt *o) {
  listener *l = body;
  return l->backend->set_listener(l, o);
}


static int get_one(void *body, sockopt *o) {
  listener *l = body;
  return l->backend->get_listener(l, o);
}


static int failed(lua_State *L, void *body, int status, const char *op) {
  return fail_here(L, body, status, op);
}


static const optioned options = {about, set_one, get_one, failed, 0};


static int l_set(lua_State *L) {
  return property_set(L, (void *const *)check(L), &options);
}


static int l_get(lua_State *L) {
  return property_get(L, (void *const *)check(L), &options);
}


/*
** Fields
*/

static void push_address(lua_State *L, void *body) {
  const listener *l = body;
  property_address(L, 0, &l->addr);
}


static void push_port(lua_State *L, void *body) {
  const listener *l = body;
  int64_t port = address_port(&l->addr);
  if (port >= 0)
    lua_pushinteger(L, port);
  else
    lua_pushnil(L);
}


static void push_endpoint(lua_State *L, void *body) {
  const listener *l = body;
  lua_pushstring(L, l->where);
}


static void push_fd(lua_State *L, void *body) {
  listener *l = body;
  property_fd(L, l->backend->fd_of_listener(l));
}


static void push_tls(lua_State *L, void *body) {
  const listener *l = body;
  lua_pushboolean(L, l->cover != NULL);
}


static const property fields[] = {
    {"address", push_address}, {"port", push_port}, {"endpoint", push_endpoint},
    {"fd", push_fd},           {"tls", push_tls},   {NULL, NULL},
};


static int l_tostring(lua_State *L) {
  listener_box *b = check(L);
  lua_pushfstring(L, "listener %d (%s)", (int)b->serial,
                  b->listener != NULL ? b->listener->where : "closed");
  return 1;
}


static const luaL_Reg methods[] = {
    {"accept", l_accept}, {"wait", l_wait}, {"close", l_close},
    {"set", l_set},       {"get", l_get},   {NULL, NULL},
};

static const luaL_Reg *const all_methods[] = {methods, NULL};

static const socket_class class = {
    .name = LISTENER_CLASS,
    .close = l_close,
    .text = l_tostring,
    .fields = fields,
    .methods = all_methods,
};


void listener_open(lua_State *L) {
  property_class(L, &class);
}
