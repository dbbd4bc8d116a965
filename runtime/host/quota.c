#include "host/quota.h"

enum { PART = 8, RESERVE = 1 << 20 };


static bool has_room(const quota *q, size_t more) {
  size_t left = q->used < q->limit ? q->limit - q->used : 0;
  return more <= left && (left - more >= q->reserve || q->spends(q->who));
}


/* The lua_Alloc of a quota: what shrinks never fails.  Where p is NULL, old says what
 * kind of value is made. */
static void *alloc(void *of, void *p, size_t old, size_t size) {
  quota *q = of;
  size_t before = p != NULL ? old : 0;
  if (size > before && !has_room(q, size - before))
    return NULL;
  void *now = q->alloc(q->about, p, old, size);
  if (now != NULL || size == 0)
    q->used += size - before;
  return now;
}


void quota_begin(quota *q, lua_State *L, size_t limit) {
  q->used =
      (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  q->limit = limit;
  q->reserve = 0;
  q->alloc = lua_getallocf(L, &q->about);
  lua_setallocf(L, alloc, q);
}


static quota *quota_of(lua_State *L) {
  void *about;
  return lua_getallocf(L, &about) == alloc ? about : NULL;
}


size_t quota_limit(lua_State *L) {
  const quota *q = quota_of(L);
  return q != NULL ? q->limit : 0;
}


void quota_reserve(lua_State *L, bool (*spends)(const void *who),
                   const void *who) {
  quota *q = quota_of(L);
  if (q == NULL)
    return;
  q->spends = spends;
  q->who = who;
  q->reserve = spends == NULL              ? 0
               : q->limit / PART < RESERVE ? q->limit / PART
                                           : RESERVE;
}
