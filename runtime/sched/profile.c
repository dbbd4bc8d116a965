#include "sched/profile.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/harmless.h"
#include "host/memory.h"
#include "sched/sched.h"
#include "sched/stacks.h"

/* Samples in a second of processor time: a prime, so that what repeats itself in round
 * times is not hit in one place.  The kernel's own ticks may be fewer; then each sample
 * weighs as many as it stands for. */
enum { RATE = 997 };

typedef struct profile {
  stacks *all;
  volatile size_t due; /* weight of what is to be taken */
  volatile size_t
      outside;        /* of what was no Lua's: the loop, other parts of neap */
  const char *path;   /* where the whole program's goes; NULL */
  unsigned count;     /* samples */
  size_t every, left; /* of allocations: bytes from one to the next */
  lua_Alloc alloc;    /* the allocator that was there; NULL: by time */
  void *about;        /* and what it is given */
  char text[STACKS_LENGTH];
} profile;


/* A lost update is a sample that is lost. */
void profile_sample(host *h, size_t weight) {
  profile *p = h->profile;
  if (p == NULL)
    return;
  if (h->running == NULL) {
    p->outside += weight;
    return;
  }
  p->due += weight;
  preempt_look_closely(h->running);
}


bool profile_is_due(const host *h) {
  return h->profile != NULL && h->profile->due > 0;
}


void profile_take(lua_State *L) {
  profile *p = host_of(L)->profile;
  size_t weight = p->due, n = stacks_read(L, p->text, sizeof p->text);
  p->due = 0;
  p->count++;
  stacks_add(p->all, p->text, n, weight);
}


/*
** By allocations
*/

/* Where p is NULL, old says what kind of value is made. */
static void *alloc(void *about, void *p, size_t old, size_t size) {
  host *h = about;
  profile *now = h->profile;
  void *q = now->alloc(now->about, p, old, size);
  size_t before = p != NULL ? old : 0;
  if (size <= before || q == NULL)
    return q;
  size_t more = size - before;
  if (more < now->left) {
    now->left -= more;
    return q;
  }
  profile_sample(h, now->every - now->left + more);
  now->left = now->every;
  return q;
}


/*
** Beginning and end
*/

static int begin(host *h, size_t bytes) {
  if (h->profile != NULL)
    return -EBUSY;
  if (bytes == 0 && h->world->sample == NULL)
    return -EOPNOTSUPP;
  profile *p = memory_new(sizeof *p);
  p->all = memory_sure(stacks_new());
  h->profile = p;
  if (bytes == 0) {
    int status = h->world->sample(h->outside, RATE);
    if (status < 0)
      profile_close(h);
    return status;
  }
  p->every = p->left = bytes;
  p->alloc = lua_getallocf(h->L, &p->about);
  lua_setallocf(h->L, alloc, h);
  return 0;
}


/* No sample more. */
static void halt(host *h) {
  profile *p = h->profile;
  if (p->alloc != NULL)
    lua_setallocf(h->L, p->alloc, p->about);
  else if (h->world->sample != NULL)
    h->world->sample(h->outside, 0);
  p->alloc = NULL;
}


static void release(profile *p) {
  stacks_free(p->all);
  free(p);
}


/* It is the caller's from now on: what a finalizer ends or begins while the text is made
 * is another one. */
static profile *take(host *h) {
  profile *p = h->profile;
  halt(h);
  h->profile = NULL;
  return p;
}


void profile_close(host *h) {
  profile *p = h->profile;
  if (p == NULL)
    return;
  if (h->L != NULL)
    halt(h);
  h->profile = NULL;
  release(p);
}


int profile_whole(host *h, const char *path) {
  int status = begin(h, 0);
  if (status == 0)
    h->profile->path = path;
  return status;
}


/* finish(path, text) of neap.repl.profile */
static int finish(lua_State *L) {
  const profile *p = lua_touserdata(L, 1);
  host_require(L, "neap.repl.profile");
  lua_getfield(L, -1, "finish");
  lua_pushstring(L, p->path);
  stacks_push(L, p->all);
  if (p->outside > 0) {
    lua_pushfstring(L, "(neap) %I\n", (LUAI_UACINT)p->outside);
    lua_concat(L, 2);
  }
  lua_call(L, 2, 0);
  return 0;
}


/* By os.exit it is called inside of the task that does. */
void profile_over(host *h) {
  lua_State *L = h->running != NULL ? h->running : h->L;
  if (h->profile == NULL || h->profile->path == NULL || L == NULL)
    return;
  profile *p = take(h);
  int top = lua_gettop(L);
  lua_pushcfunction(L, finish);
  lua_pushlightuserdata(L, p);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    fputs("neap: --profile: ", stderr);
    harmless_text(stderr, luaL_tolstring(L, -1, NULL));
    fputc('\n', stderr);
  }
  lua_settop(L, top);
  release(p);
}


/*
** neap.profile.core
**
** start() : true | nil, error          by processor time
** start(bytes) : true | nil, error     by allocations, one sample for so many
** stop() : text, outside, count | nil  lines of stack and weight; the weight of what
**                                      was no Lua's; how many samples there were
*/

static int l_start(lua_State *L) {
  lua_Integer bytes = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, bytes >= 0 && bytes <= INT32_MAX, 1, "a size expected");
  int status = begin(host_of(L), (size_t)bytes);
  if (status < 0)
    return fail(L, status, "profile", NULL);
  lua_pushboolean(L, true);
  return 1;
}


static int push_result(lua_State *L) {
  const profile *p = lua_touserdata(L, 1);
  stacks_push(L, p->all);
  lua_pushinteger(L, (lua_Integer)p->outside);
  lua_pushinteger(L, (lua_Integer)p->count);
  return 3;
}


static int l_stop(lua_State *L) {
  host *h = host_of(L);
  if (h->profile == NULL || h->profile->path != NULL)
    return 0;
  profile *p = take(h);
  lua_pushcfunction(L, push_result);
  lua_pushlightuserdata(L, p);
  int status = lua_pcall(L, 1, 3, 0);
  release(p);
  return status == LUA_OK ? 3 : lua_error(L);
}


static const luaL_Reg functions[] = {
    {"start", l_start},
    {"stop", l_stop},
    {NULL, NULL},
};


int luaopen_neap_profile_core(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
