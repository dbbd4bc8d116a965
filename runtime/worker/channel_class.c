/*
** Channels as Lua has them: each host's box of one.
*/

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "host/class.h"
#include "host/error.h"
#include "sched/world.h"
#include "worker/channel_parts.h"
#include "worker/worker.h"
#include "worker/workshop.h"

#define CLASS "neap.WorkerChannel"

enum { CAPACITY = 64, MOST = 1 << 20 };


/*
** Boxes: the ends of this host
*/

static channel_end *end_at(lua_State *L, int index) {
  channel_end *b = luaL_checkudata(L, index, CLASS);
  luaL_argcheck(L, b->channel != NULL, 1, "this channel was collected");
  return b;
}


static channel_end *end_check(lua_State *L) {
  return end_at(L, 1);
}


channel *channel_test(lua_State *L, int index) {
  const channel_end *b = luaL_testudata(L, index, CLASS);
  return b != NULL ? b->channel : NULL;
}


static void link_end(channel_end *b) {
  struct workshop *w = workshop_of(b->host);
  b->older = w->channels;
  if (b->older != NULL)
    b->older->newer = b;
  w->channels = b;
}


static void unlink_end(channel_end *b) {
  if (b->older != NULL)
    b->older->newer = b->newer;
  if (b->newer != NULL)
    b->newer->older = b->older;
  else
    workshop_of(b->host)->channels = b->older;
}


/*
** Sending and receiving
*/

/* Has a cancellation ended the wait that a task comes back from? */
static bool is_cancelled(lua_State *L, int status) {
  bool cancelled = false;
  if (status == LUA_YIELD)
    wait_peek(L, &cancelled);
  return cancelled;
}


/* A task that is cancelled may have been called. */
static void give_up(lua_State *L, channel_end *b) {
  channel_pass_on(b);
  wait_raise(L);
}


static const waiting waits[] = {{"channel recv", NEVER, true},
                                {"channel send", NEVER, true}};


static int await(lua_State *L, channel_end *b, int which, lua_KContext ctx,
                 lua_KFunction k) {
  return wait_park(L, &b->sides[which].tasks, &waits[which], ctx, k);
}


/* Push nil, and what it was closed with, if with anything; how many are they?  That is
 * never changed. */
static int push_end(lua_State *L, const channel_end *b) {
  const message *cause = b->channel->cause;
  lua_pushnil(L);
  return cause == NULL ? 1 : 1 + message_decode(L, cause);
}


/* Push nil and an error: for now it cannot be done. */
static int push_again(lua_State *L, int which, const char *text) {
  lua_pushnil(L);
  error_push_message(L, -EAGAIN, waits[which].op, NULL, text);
  return 2;
}


/*
** {== channel:send(value) : true | nil, what it was closed with
*/

/* What is to be sent, on the stack of a task that waits for room. */
#define HELD "neap.held"

static int held_gc(lua_State *L) {
  message **m = luaL_checkudata(L, 1, HELD);
  message_free(*m);
  *m = NULL;
  return 0;
}

static int sent(lua_State *L, const channel_end *b, bool is) {
  if (!is)
    return push_end(L, b);
  lua_pushboolean(L, true);
  return 1;
}

/* The held message is at 2. */
static int send_k(lua_State *L, int status, lua_KContext ctx) {
  channel_end *b = end_check(L);
  message **m = lua_touserdata(L, 2);
  (void)ctx;
  if (is_cancelled(L, status))
    give_up(L, b);
  enum outcome outcome = channel_put(b, *m, true);
  if (outcome == FULL)
    return await(L, b, SEND, 0, send_k);
  if (outcome == DONE)
    *m = NULL;
  return sent(L, b, outcome == DONE);
}

/* Push it, held. */
static message **hold(lua_State *L, message *m) {
  message **held = host_box(L, HELD, sizeof *held, 0);
  if (held == NULL) {
    message_free(m);
    lua_error(L);
    return NULL;
  }
  *held = m;
  return held;
}

static int send_later(lua_State *L, message *m) {
  hold(L, m);
  lua_replace(L, 2);
  if (wait_spent(L))
    return wait_yield(L, 0, send_k);
  return send_k(L, LUA_OK, 0);
}

/* The channel at 1, and what is to be sent at 2. */
static channel_end *check_sending(lua_State *L) {
  channel_end *b = end_check(L);
  luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a value expected, got nil");
  lua_settop(L, 2);
  return b;
}

static int l_send(lua_State *L) {
  channel_end *b = check_sending(L);
  wait_enter_put(L, "channel send");
  message *m = message_encode(L, 2);
  if (wait_spent(L))
    return send_later(L, m);
  switch (channel_put(b, m, true)) {
  case DONE:
    return sent(L, b, true);
  case CLOSED:
    message_free(m);
    return sent(L, b, false);
  default:
    return send_later(L, m);
  }
}

/* try_send(value) : true | nil, error */
static int l_try_send(lua_State *L) {
  channel_end *b = check_sending(L);
  message *m = message_encode(L, 2);
  enum outcome outcome = channel_put(b, m, false);
  if (outcome != DONE)
    message_free(m);
  if (outcome == FULL)
    return push_again(L, SEND, "the channel is full");
  return sent(L, b, outcome == DONE);
}

/* Its message, encoded anew once it was sent. */
static message **message_of_case(lua_State *L) {
  lua_getfield(L, 1, "held");
  message **held = luaL_checkudata(L, -1, HELD);
  if (*held == NULL) {
    lua_getfield(L, 1, "value");
    message *m = message_encode(L, lua_gettop(L));
    message_free(*held); /* a finalizer may have made one */
    *held = m;
  }
  return held;
}

/* attempt(case, code?): see wait_push_case */
static int attempt_send(lua_State *L) {
  lua_settop(L, 2);
  lua_getfield(L, 1, "of");
  message **m = message_of_case(L);
  channel_end *b = end_at(L, 3);
  enum outcome outcome = channel_put(b, *m, true);
  lua_pushboolean(L, outcome != FULL);
  if (outcome == FULL)
    return 1;
  if (outcome == DONE)
    *m = NULL;
  return 1 + sent(L, b, outcome == DONE);
}

/* sending(value) : Case */
static int l_sending(lua_State *L) {
  channel_end *b = check_sending(L);
  hold(L, message_encode(L, 2));
  wait_push_case(L, &b->sides[SEND].tasks, &waits[SEND], 1, attempt_send);
  lua_insert(L, 3);
  lua_setfield(L, 3, "held");
  lua_pushvalue(L, 2);
  lua_setfield(L, 3, "value");
  return 1;
}

/* ==} */


/*
** {== channel:recv() : value | nil, what it was closed with
*/

/* As the context of recv_k: a `for` wants it, which is to raise that. */
enum { EACH = 1 };

static int recv_k(lua_State *L, int status, lua_KContext ctx) {
  channel_end *b = end_check(L);
  if (is_cancelled(L, status) || (status == LUA_YIELD && wait_interrupted(L)))
    give_up(L, b);
  enum outcome outcome = channel_take(b, true);
  if (outcome == EMPTY)
    return await(L, b, RECV, ctx, recv_k);
  if (outcome == DONE)
    return message_take(L, &b->taken);
  int n = push_end(L, b);
  return n > 1 && ctx == EACH ? lua_error(L) : n;
}

static int receive(lua_State *L, lua_KContext ctx) {
  end_check(L);
  lua_settop(L, 1);
  wait_enter(L, "channel recv");
  if (wait_spent(L))
    return wait_yield(L, ctx, recv_k);
  return recv_k(L, LUA_OK, ctx);
}

static int l_recv(lua_State *L) {
  return receive(L, 0);
}

static int l_next(lua_State *L) {
  return receive(L, EACH);
}

/* try_recv() : value | nil, error */
static int l_try_recv(lua_State *L) {
  channel_end *b = end_check(L);
  enum outcome outcome = channel_take(b, false);
  if (outcome == EMPTY)
    return push_again(L, RECV, "the channel is empty");
  return outcome == DONE ? message_take(L, &b->taken) : push_end(L, b);
}

/* attempt(case, code?): see wait_push_case */
static int attempt_recv(lua_State *L) {
  lua_settop(L, 2);
  lua_getfield(L, 1, "of");
  channel_end *b = end_at(L, 3);
  if (!lua_isnil(L, 2) && wait_interrupted(L))
    give_up(L, b);
  enum outcome outcome = channel_take(b, true);
  lua_pushboolean(L, outcome != EMPTY);
  if (outcome == EMPTY)
    return 1;
  return 1 + (outcome == DONE ? message_take(L, &b->taken) : push_end(L, b));
}

/* receiving() : Case */
static int l_receiving(lua_State *L) {
  channel_end *b = end_check(L);
  wait_push_case(L, &b->sides[RECV].tasks, &waits[RECV], 1, attempt_recv);
  return 1;
}

/* each() : next, channel, nil; what a `for` calls as next(channel, value) */
static int l_each(lua_State *L) {
  end_check(L);
  lua_pushcfunction(L, l_next);
  lua_pushvalue(L, 1);
  return 2;
}

/* ==} */


/*
** {== Its life
*/

static int l_close(lua_State *L) {
  channel_end *b = end_check(L);
  lua_settop(L, 2);
  message *cause = lua_isnil(L, 2) ? NULL : message_encode(L, 2);
  if (cause != NULL && cause->channel_count > 0) {
    message_free(cause);
    return luaL_argerror(L, 2, "an error without channels expected");
  }
  channel_close(b->channel, cause);
  return 0;
}

/* Of a <close> variable, whatever error ends its block. */
static int l_leave(lua_State *L) {
  channel_close(end_check(L)->channel, NULL);
  return 0;
}

/* Nobody waits any more in a box that the collector has found. */
static int l_gc(lua_State *L) {
  channel_end *b = luaL_checkudata(L, 1, CLASS);
  channel *c = b->channel;
  if (c == NULL)
    return 0;
  channel_leave(b);
  unlink_end(b);
  for (message *m = b->taken, *next; m != NULL; m = next) {
    next = m->next;
    message_free(m);
  }
  channel_drop(c);
  b->channel = NULL;
  return 0;
}

static int l_len(lua_State *L) {
  bool closed;
  lua_pushinteger(L, channel_length(end_check(L)->channel, &closed));
  return 1;
}

static int l_index(lua_State *L) {
  const channel_end *b = end_check(L);
  const char *key = luaL_checkstring(L, 2);
  bool closed;
  if (strcmp(key, "closed") == 0) {
    channel_length(b->channel, &closed);
    lua_pushboolean(L, closed);
  } else if (strcmp(key, "capacity") == 0) {
    lua_pushinteger(L, b->channel->capacity);
  } else if (strcmp(key, "name") == 0) {
    lua_pushstring(L, b->channel->name);
  } else {
    lua_getfield(L, lua_upvalueindex(1), key);
  }
  return 1;
}

static int l_tostring(lua_State *L) {
  const channel *c = end_check(L)->channel;
  lua_pushfstring(L, "channel%s%s of workers", c->name != NULL ? " " : "",
                  c->name != NULL ? c->name : "");
  return 1;
}

static int l_eq(lua_State *L) {
  const channel *a = channel_test(L, 1), *b = channel_test(L, 2);
  lua_pushboolean(L, a != NULL && a == b);
  return 1;
}

/* ==} */


/* Who gets a channel in a message may not have required the module.  The box is
 * empty until all that may raise is done. */
static channel_end *new_box(lua_State *L) {
  channel_open(L);
  lua_pop(L, 1);
  channel_end *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL)
    lua_error(L);
  memset(b, 0, sizeof *b);
  b->host = host_of(L);
  int status = workers_bell(b->host);
  if (status < 0) {
    error_push(L, status, "channel", NULL);
    lua_error(L);
  }
  return b;
}

/* With a reference that is the box's from now on. */
static void fill(channel_end *b, channel *c) {
  b->channel = c;
  link_end(b);
}

/*
** {== channel(name?, capacity?) : Channel
*/

int channel_lua(lua_State *L) {
  const char *name = luaL_optstring(L, 1, NULL);
  lua_Integer n = luaL_optinteger(L, 2, CAPACITY);
  luaL_argcheck(L, n >= 1 && n <= MOST, 2,
                "a capacity from 1 to 1048576 expected");
  luaL_argcheck(L, name == NULL || strlen(name) == lua_rawlen(L, 1), 1,
                "a name without zero bytes expected");
  channel_end *b = new_box(L);
  channel *c = channel_find(name, (unsigned)n);
  fill(b, c);
  if (!lua_isnoneornil(L, 2) && n != c->capacity)
    return luaL_error(L, "channel '%s' has a capacity of %d", name,
                      (int)c->capacity);
  return 1;
}

/* ==} */


void channel_push(lua_State *L, channel *c) {
  channel_end *b = new_box(L);
  fill(b, channel_hold(c));
}

static const luaL_Reg metamethods[] = {
    {"__gc", l_gc}, {"__close", l_leave},       {"__len", l_len},
    {"__eq", l_eq}, {"__tostring", l_tostring}, {NULL, NULL},
};

static const luaL_Reg methods[] = {{"send", l_send},
                                   {"recv", l_recv},
                                   {"try_send", l_try_send},
                                   {"try_recv", l_try_recv},
                                   {"sending", l_sending},
                                   {"receiving", l_receiving},
                                   {"each", l_each},
                                   {"close", l_close},
                                   {NULL, NULL}};

static const luaL_Reg held_metamethods[] = {{"__gc", held_gc}, {NULL, NULL}};

void channel_open(lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, "channel");
  if (luaL_getmetatable(L, CLASS) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  class_open(L, HELD, held_metamethods, NULL, NULL);
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_getmetatable(L, CLASS);
}

/* ==} */
