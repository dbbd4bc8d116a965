#include "worker/channel.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "sched/wait.h"
#include "sched/world.h"
#include "worker/message.h"
#include "worker/worker.h"

#define CLASS "neap.WorkerChannel"

enum { CAPACITY = 64, MOST = 1 << 20 };

enum outcome { DONE, CLOSED, FULL, EMPTY };

/* Its two sides: who waits for a message, who for room. */
enum { RECV, SEND, SIDES };

typedef struct side {
  waitq tasks;        /* of this host */
  struct box *next;   /* in the channel's list; under the lock */
  bool waits, called; /* under the lock */
} side;

typedef struct box {
  channel *channel; /* NULL: collected */
  host *host;
  message *taken;            /* from the channel, not decoded yet */
  struct box *newer, *older; /* of this host */
  side sides[SIDES];
} box;

struct channel {
  /* Under the registry's lock. */
  unsigned refs;   /* in boxes and messages */
  unsigned queued; /* of these, in messages that are in a channel */
  channel *next;   /* in the registry */

  /* While channel_drop looks, under the same lock. */
  enum { UNSEEN, SUSPECT, ALIVE } state;
  unsigned inner; /* references by suspects */
  channel *next_suspect, *next_alive;

  char *name; /* NULL: it has none */
  pthread_mutex_t lock;
  unsigned capacity, count;
  bool closed;
  message *first, *last;
  box *waiting[SIDES]; /* oldest first */
};

/* The process's: channels with a name, and all counts of references. */
static struct {
  pthread_mutex_t lock;
  channel *first;
  unsigned count; /* with those that have no name */
} registry = {PTHREAD_MUTEX_INITIALIZER, NULL, 0};


/*
** The registry
*/

static channel *make(const char *name, unsigned capacity) {
  channel *c = memory_new(sizeof *c);
  pthread_mutex_init(&c->lock, NULL);
  c->capacity = capacity;
  registry.count++;
  if (name != NULL) {
    c->name = memory_text(name, strlen(name));
    c->next = registry.first;
    registry.first = c;
  }
  return c;
}


/* The one of that name, or a new one; the caller gets a reference. */
static channel *find(const char *name, unsigned capacity) {
  channel *c = NULL;
  pthread_mutex_lock(&registry.lock);
  if (name != NULL)
    for (c = registry.first; c != NULL && strcmp(c->name, name) != 0;)
      c = c->next;
  if (c == NULL)
    c = make(name, capacity);
  c->refs++;
  pthread_mutex_unlock(&registry.lock);
  return c;
}


channel *channel_hold(channel *c) {
  pthread_mutex_lock(&registry.lock);
  c->refs++;
  pthread_mutex_unlock(&registry.lock);
  return c;
}


static void unregister(channel *c) {
  channel **at = &registry.first;
  while (*at != NULL && *at != c)
    at = &(*at)->next;
  if (*at == c)
    *at = c->next;
}


/*
** The end of channels, under the registry's lock
**
** A channel that only messages in channels refer to may be out of reach, as one
** that is in itself.  When it has lost its last other reference, it is looked at
** with all that it leads to and that nobody holds either: the *suspects*.  One
** that has more references than suspects hold is alive, and so is what it leads
** to; the others go.  (That is trial deletion: Bacon and Rajan, "Concurrent Cycle
** Collection in Reference Counted Systems", 2001.)
**
** Nobody has an end of a suspect, or gets one meanwhile, so that their queues
** rest, and need no lock of theirs.  A message is counted as queued before it is,
** and until it has been taken: what is in it then has a reference more than is
** found, and stays.
*/

static bool is_held(const channel *c) {
  return c->refs > c->queued || (c->name != NULL && c->count > 0);
}


/* Visit what is in a channel, as often as it is. */
static void each_inside(const channel *c, void (*visit)(channel *, void *),
                        void *arg) {
  for (const message *m = c->first; m != NULL; m = m->next)
    for (unsigned i = 0; i < m->channel_count; i++)
      visit(m->channels[i], arg);
}


/* The argument is the end of the list. */
static void suspect(channel *c, void *arg) {
  channel ***end = arg;
  if (is_held(c))
    return;
  c->inner++;
  if (c->state != UNSEEN)
    return;
  c->state = SUSPECT;
  **end = c;
  *end = &c->next_suspect;
}


static void revive(channel *c, void *arg) {
  channel ***end = arg;
  if (c->state != SUSPECT)
    return;
  c->state = ALIVE;
  **end = c;
  *end = &c->next_alive;
}


static channel *suspects_of(channel *c) {
  channel **end = &c->next_suspect;
  c->state = SUSPECT;
  for (const channel *s = c; s != NULL; s = s->next_suspect)
    each_inside(s, suspect, &end);
  return c;
}


static void revive_all(channel *suspects) {
  channel *first = NULL, **end = &first;
  for (channel *s = suspects; s != NULL; s = s->next_suspect)
    if (s->refs > s->inner)
      revive(s, &end);
  for (const channel *s = first; s != NULL; s = s->next_alive)
    each_inside(s, revive, &end);
}


/* The dead ones of them, in a list by `next_suspect`. */
static channel *sort_out(channel *suspects) {
  channel *dead = NULL, *next;
  for (channel *s = suspects; s != NULL; s = next) {
    next = s->next_suspect;
    s->next_suspect = NULL;
    if (s->state == SUSPECT) {
      s->next_suspect = dead;
      dead = s;
    }
    s->state = UNSEEN;
    s->inner = 0;
    s->next_alive = NULL;
  }
  return dead;
}


static void forsake(channel *c, void *arg) {
  (void)arg;
  c->refs--;
  c->queued--;
}


/* Nothing knows it any more, and it knows no channel. */
static void cut(channel *c) {
  each_inside(c, forsake, NULL);
  for (message *m = c->first; m != NULL; m = m->next)
    m->channel_count = 0;
  if (c->name != NULL)
    unregister(c);
  registry.count--;
}


static channel *bury(channel *c) {
  channel *suspects = suspects_of(c);
  revive_all(suspects);
  channel *dead = sort_out(suspects);
  for (channel *d = dead; d != NULL; d = d->next_suspect)
    cut(d);
  return dead;
}


static void free_channel(channel *c) {
  while (c->first != NULL) {
    message *m = c->first;
    c->first = m->next;
    message_free(m);
  }
  pthread_mutex_destroy(&c->lock);
  free(c->name);
  free(c);
}


/* With a name, what it holds waits for others. */
void channel_drop(channel *c) {
  channel *dead, *next;
  pthread_mutex_lock(&registry.lock);
  c->refs--;
  assert(c->refs >= c->queued);
  dead = is_held(c) ? NULL : bury(c);
  pthread_mutex_unlock(&registry.lock);
  for (; dead != NULL; dead = next) {
    next = dead->next_suspect;
    free_channel(dead);
  }
}


/* What is in a message goes into a channel with it (by 1), or does not (-1). */
static void count_queued(const message *m, int by) {
  if (m->channel_count == 0)
    return;
  pthread_mutex_lock(&registry.lock);
  for (unsigned i = 0; i < m->channel_count; i++)
    m->channels[i]->queued += (unsigned)by;
  pthread_mutex_unlock(&registry.lock);
}


/*
** Boxes: the ends of this host
*/

static box *box_check(lua_State *L) {
  box *b = luaL_checkudata(L, 1, CLASS);
  luaL_argcheck(L, b->channel != NULL, 1, "this channel was collected");
  return b;
}


channel *channel_test(lua_State *L, int index) {
  const box *b = luaL_testudata(L, index, CLASS);
  return b != NULL ? b->channel : NULL;
}


static void link_box(box *b) {
  struct workshop *w = workshop_of(b->host);
  b->older = w->channels;
  if (b->older != NULL)
    b->older->newer = b;
  w->channels = b;
}


static void unlink_box(box *b) {
  if (b->older != NULL)
    b->older->newer = b->newer;
  if (b->newer != NULL)
    b->newer->older = b->older;
  else
    workshop_of(b->host)->channels = b->older;
}


/*
** Waiting and calling, under the channel's lock
*/

static void join_waiting(box *b, int which) {
  box **at = &b->channel->waiting[which];
  if (b->sides[which].waits)
    return;
  while (*at != NULL)
    at = &(*at)->sides[which].next;
  *at = b;
  b->sides[which].next = NULL;
  b->sides[which].waits = true;
}


static void leave_waiting(box *b, int which) {
  box **at = &b->channel->waiting[which];
  if (!b->sides[which].waits)
    return;
  while (*at != b)
    at = &(*at)->sides[which].next;
  *at = b->sides[which].next;
  b->sides[which].waits = false;
}


static bool is_possible(const channel *c, int which) {
  return c->closed || (which == RECV ? c->count > 0 : c->count < c->capacity);
}


/* Call the oldest of those who wait for what is possible now. */
static void call(channel *c, int which) {
  box *b = c->waiting[which];
  if (b == NULL || !is_possible(c, which))
    return;
  leave_waiting(b, which);
  b->sides[which].called = true;
  b->host->world->ring(b->host->outside);
}


/* Is the host's end called?  Then one of its tasks is to be woken, or all when
 * the channel is closed. */
static bool take_call(box *b, int which, bool *closed) {
  pthread_mutex_lock(&b->channel->lock);
  bool called = b->sides[which].called;
  b->sides[which].called = false;
  *closed = b->channel->closed;
  pthread_mutex_unlock(&b->channel->lock);
  return called;
}


/* Others of this host may wait on the same side: their end joins again. */
static void go_on(box *b) {
  for (int which = 0; which < SIDES; which++)
    if (!wait_idle(&b->sides[which].tasks))
      join_waiting(b, which);
  call(b->channel, RECV);
  call(b->channel, SEND);
}


/* Whoever was called goes away: the next one may want what there is. */
static void pass_on(box *b) {
  pthread_mutex_lock(&b->channel->lock);
  go_on(b);
  pthread_mutex_unlock(&b->channel->lock);
}


void channels_rang(host *h) {
  bool closed;
  for (box *b = workshop_of(h)->channels; b != NULL; b = b->older) {
    for (int which = 0; which < SIDES; which++) {
      waitq *q = &b->sides[which].tasks;
      if (!take_call(b, which, &closed))
        continue;
      if (closed)
        wait_wake_all(q, 0);
      else if (!wait_wake(q, 0))
        pass_on(b);
    }
  }
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
static void give_up(lua_State *L, box *b) {
  pass_on(b);
  wait_raise(L);
}


static enum outcome put(box *b, message *m) {
  channel *c = b->channel;
  enum outcome outcome = DONE;
  count_queued(m, 1);
  pthread_mutex_lock(&c->lock);
  if (c->closed)
    outcome = CLOSED;
  else if (c->count == c->capacity)
    outcome = FULL;
  if (outcome == DONE) {
    if (c->first == NULL)
      c->first = m;
    else
      c->last->next = m;
    c->last = m;
    c->count++;
    go_on(b);
  } else if (outcome == FULL) {
    join_waiting(b, SEND);
  }
  pthread_mutex_unlock(&c->lock);
  if (outcome != DONE)
    count_queued(m, -1);
  return outcome;
}


static enum outcome take(box *b) {
  channel *c = b->channel;
  enum outcome outcome = DONE;
  if (b->taken != NULL)
    return DONE;
  pthread_mutex_lock(&c->lock);
  if (c->count == 0)
    outcome = c->closed ? CLOSED : EMPTY;
  if (outcome == DONE) {
    b->taken = c->first;
    c->first = b->taken->next;
    b->taken->next = NULL;
    c->count--;
    go_on(b);
  } else if (outcome == EMPTY) {
    join_waiting(b, RECV);
  }
  pthread_mutex_unlock(&c->lock);
  if (outcome == DONE)
    count_queued(b->taken, -1);
  return outcome;
}


static int await(lua_State *L, box *b, int which, lua_KFunction k) {
  static const char *const ops[] = {"channel recv", "channel send"};
  waiting how = {ops[which], NEVER, true};
  return wait_park(L, &b->sides[which].tasks, &how, 0, k);
}


/*
** {== channel:send(value) : true | nil when it is closed
*/

/* What is to be sent, on the stack of a task that waits for room. */
#define PARCEL "neap.parcel"

static int parcel_gc(lua_State *L) {
  message **m = luaL_checkudata(L, 1, PARCEL);
  message_free(*m);
  *m = NULL;
  return 0;
}

static int sent(lua_State *L, bool is) {
  if (is)
    lua_pushboolean(L, true);
  else
    lua_pushnil(L);
  return 1;
}

/* The parcel is at 2. */
static int send_k(lua_State *L, int status, lua_KContext ctx) {
  box *b = box_check(L);
  message **m = lua_touserdata(L, 2);
  (void)ctx;
  if (is_cancelled(L, status))
    give_up(L, b);
  enum outcome outcome = put(b, *m);
  if (outcome == FULL)
    return await(L, b, SEND, send_k);
  if (outcome == DONE)
    *m = NULL;
  return sent(L, outcome == DONE);
}

static int send_later(lua_State *L, message *m) {
  message **parcel = host_box(L, PARCEL, sizeof *parcel, 0);
  if (parcel == NULL) {
    message_free(m);
    return lua_error(L);
  }
  *parcel = m;
  lua_replace(L, 2);
  if (wait_spent(L))
    return wait_yield(L, 0, send_k);
  return send_k(L, LUA_OK, 0);
}

static int l_send(lua_State *L) {
  box *b = box_check(L);
  luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a value expected, got nil");
  lua_settop(L, 2);
  wait_enter_put(L, "channel send");
  message *m = message_encode(L, 2);
  if (wait_spent(L))
    return send_later(L, m);
  switch (put(b, m)) {
  case DONE:
    return sent(L, true);
  case CLOSED:
    message_free(m);
    return sent(L, false);
  default:
    return send_later(L, m);
  }
}

/* ==} */


/*
** {== channel:recv() : value | nil when it is closed and empty
*/

/* A message that could not be decoded for lack of memory is not lost. */
static int recv_k(lua_State *L, int status, lua_KContext ctx) {
  box *b = box_check(L);
  (void)ctx;
  if (is_cancelled(L, status) || (status == LUA_YIELD && wait_interrupted(L)))
    give_up(L, b);
  enum outcome outcome = take(b);
  if (outcome == EMPTY)
    return await(L, b, RECV, recv_k);
  if (outcome == CLOSED)
    return sent(L, false);
  int n = message_decode(L, b->taken);
  message_free(b->taken);
  b->taken = NULL;
  return n;
}

static int l_recv(lua_State *L) {
  box_check(L);
  lua_settop(L, 1);
  wait_enter(L, "channel recv");
  if (wait_spent(L))
    return wait_yield(L, 0, recv_k);
  return recv_k(L, LUA_OK, 0);
}

/* each() : recv, channel, nil; what a `for` calls as recv(channel, value) */
static int l_each(lua_State *L) {
  box_check(L);
  lua_pushcfunction(L, l_recv);
  lua_pushvalue(L, 1);
  return 2;
}

/* ==} */


/*
** {== Its life
*/

static int l_close(lua_State *L) {
  channel *c = box_check(L)->channel;
  pthread_mutex_lock(&c->lock);
  c->closed = true;
  for (int which = 0; which < SIDES; which++)
    while (c->waiting[which] != NULL)
      call(c, which);
  pthread_mutex_unlock(&c->lock);
  return 0;
}

/* Nobody waits any more in a box that the collector has found. */
static int l_gc(lua_State *L) {
  box *b = luaL_checkudata(L, 1, CLASS);
  channel *c = b->channel;
  if (c == NULL)
    return 0;
  pthread_mutex_lock(&c->lock);
  for (int which = 0; which < SIDES; which++) {
    leave_waiting(b, which);
    if (b->sides[which].called)
      call(c, which);
  }
  pthread_mutex_unlock(&c->lock);
  unlink_box(b);
  message_free(b->taken);
  channel_drop(c);
  b->channel = NULL;
  return 0;
}

static unsigned count(channel *c, bool *closed) {
  pthread_mutex_lock(&c->lock);
  unsigned n = c->count;
  *closed = c->closed;
  pthread_mutex_unlock(&c->lock);
  return n;
}

static int l_len(lua_State *L) {
  bool closed;
  lua_pushinteger(L, count(box_check(L)->channel, &closed));
  return 1;
}

static int l_index(lua_State *L) {
  const box *b = box_check(L);
  const char *key = luaL_checkstring(L, 2);
  bool closed;
  if (strcmp(key, "closed") == 0) {
    count(b->channel, &closed);
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
  const channel *c = box_check(L)->channel;
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
  channel *c = find(name, (unsigned)n);
  channel_push(L, c);
  if (!lua_isnoneornil(L, 2) && n != c->capacity)
    return luaL_error(L, "channel '%s' has a capacity of %d", name,
                      (int)c->capacity);
  return 1;
}

/*
** {== channels() : how many there are in the process
*/

int channel_census(lua_State *L) {
  pthread_mutex_lock(&registry.lock);
  lua_Integer n = registry.count;
  pthread_mutex_unlock(&registry.lock);
  lua_pushinteger(L, n);
  return 1;
}

/* ==} */


/* Who gets a channel in a message may not have required the module. */
void channel_push(lua_State *L, channel *c) {
  channel_open(L);
  lua_pop(L, 1);
  box *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL) {
    channel_drop(c);
    lua_error(L);
  }
  memset(b, 0, sizeof *b);
  b->host = host_of(L);
  int status = workers_bell(b->host);
  if (status < 0) {
    channel_drop(c);
    error_push(L, status, "channel", NULL);
    lua_error(L);
  }
  b->channel = c;
  link_box(b);
}

static const luaL_Reg metamethods[] = {
    {"__gc", l_gc}, {"__close", l_close},       {"__len", l_len},
    {"__eq", l_eq}, {"__tostring", l_tostring}, {NULL, NULL},
};

static const luaL_Reg methods[] = {{"send", l_send},
                                   {"recv", l_recv},
                                   {"each", l_each},
                                   {"close", l_close},
                                   {NULL, NULL}};

static const luaL_Reg parcel_metamethods[] = {{"__gc", parcel_gc},
                                              {NULL, NULL}};

void channel_open(lua_State *L) {
  luaL_checkstack(L, LUA_MINSTACK, "channel");
  if (!luaL_newmetatable(L, CLASS))
    return;
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  luaL_newmetatable(L, PARCEL);
  luaL_setfuncs(L, parcel_metamethods, 0);
  lua_pop(L, 1);
}

/* ==} */
