/*
** Queues as Lua has them, of which lua/neap/task.lua makes what tasks meet at; and the
** choice among several, of which task.select is made.
**
** A case of task.select is a table: its `queue` is where it waits, and its function
** `attempt` tries what it is for.  C makes one for a queue of its own, too.
*/

#include "host/class.h"
#include "sched/sched.h"

#define QUEUE "neap.queue"
#define CASE "neap.Case"

/* User value: what keeps its memory; Lua's, its own `op`. */
enum { KEEPS = 1 };

typedef struct queue {
  waitq own; /* of one that Lua made */
  waitq *q;
  waiting how;
} queue;


static queue *push_queue(lua_State *L, const waiting *how, int keeps) {
  queue *q = lua_newuserdatauv(L, sizeof *q, KEEPS);
  *q = (queue){.q = &q->own, .how = *how};
  lua_pushvalue(L, keeps);
  lua_setiuservalue(L, -2, KEEPS);
  luaL_setmetatable(L, QUEUE);
  return q;
}


/*
** queue(op) : Queue, the bare thing that tasks wait in
*/

int queue_new(lua_State *L) {
  const waiting how = {luaL_checkstring(L, 1), NEVER, false};
  push_queue(L, &how, 1);
  return 1;
}


static queue *queue_check(lua_State *L) {
  return luaL_checkudata(L, 1, QUEUE);
}


static int wait_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_pushinteger(L, wait_status(L));
  return 1;
}


/* q:wait(): returns when woken, and only then, the number that whoever woke it
 * gave; raises when interrupted */
static int l_wait(lua_State *L) {
  const queue *q = queue_check(L);
  wait_enter(L, q->how.op);
  return wait_park(L, q->q, &q->how, 0, wait_k);
}


static int code(lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, n >= 0 && n < INT32_MAX, 2, "a small number expected");
  return (int)n;
}


static int l_wake(lua_State *L) {
  lua_pushboolean(L, wait_wake(queue_check(L)->q, code(L)));
  return 1;
}


static int l_wake_all(lua_State *L) {
  lua_pushinteger(L, wait_wake_all(queue_check(L)->q, code(L)));
  return 1;
}


static int l_idle(lua_State *L) {
  lua_pushboolean(L, wait_idle(queue_check(L)->q));
  return 1;
}


/*
** choose(cases) : which of them woke this task, the number that it gave
*/

/* Push the queue of case i of the list at 1. */
static queue *push_queue_of(lua_State *L, int i) {
  lua_rawgeti(L, 1, i);
  luaL_checktype(L, -1, LUA_TTABLE);
  lua_pushliteral(L, "queue");
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return luaL_checkudata(L, -1, QUEUE);
}


static int choose_k(lua_State *L, int status, lua_KContext ctx) {
  const choice *c = lua_touserdata(L, 2);
  (void)status, (void)ctx;
  status = wait_status(L);
  lua_pushinteger(L, c->chosen + 1);
  lua_pushinteger(L, status);
  return 2;
}


static choice *push_choice(lua_State *L, int count) {
  choice *c =
      lua_newuserdatauv(L, sizeof *c + (size_t)count * sizeof(alternative), 0);
  *c = (choice){.count = count};
  for (int i = 0; i < count; i++)
    c->all[i] = (alternative){.choice = c};
  return c;
}


/* The queues lie on the stack while the task is in them, whatever becomes of the
 * cases. */
int queue_choose(lua_State *L) {
  waiting how = {"select", NEVER, false};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  int n = (int)luaL_len(L, 1);
  luaL_argcheck(L, n >= 1, 1, "cases expected");
  luaL_checkstack(L, n + LUA_MINSTACK, "too many cases");
  choice *c = push_choice(L, n);
  for (int i = 0; i < n; i++) {
    const queue *q = push_queue_of(L, i + 1);
    c->all[i].in = q->q;
    how.outside |= q->how.outside;
  }
  wait_enter(L, how.op);
  return wait_park_choice(L, c, &how, 0, choose_k);
}


void wait_push_case(lua_State *L, waitq *q, const waiting *how, int of,
                    lua_CFunction attempt) {
  of = lua_absindex(L, of);
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, of);
  lua_setfield(L, -2, "of");
  push_queue(L, how, of)->q = q;
  lua_setfield(L, -2, "queue");
  lua_pushcfunction(L, attempt);
  lua_setfield(L, -2, "attempt");
  luaL_setmetatable(L, CASE);
}


void queue_push_case_class(lua_State *L) {
  luaL_getmetatable(L, CASE);
}


static const luaL_Reg methods[] = {{"wait", l_wait},
                                   {"wake", l_wake},
                                   {"wake_all", l_wake_all},
                                   {"idle", l_idle},
                                   {NULL, NULL}};

static const luaL_Reg none[] = {{NULL, NULL}};


void queue_open(lua_State *L) {
  class_open(L, QUEUE, none, methods, NULL);
  class_open(L, CASE, none, NULL, NULL);
}
