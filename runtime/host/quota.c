#include "host/quota.h"


/* The lua_Alloc of a quota: what shrinks never fails.  Where p is NULL, old says what
 * kind of value is made. */
static void *alloc(void *of, void *p, size_t old, size_t size) {
  quota *q = of;
  size_t before = p != NULL ? old : 0;
  size_t left = q->used < q->limit ? q->limit - q->used : 0;
  if (size > before && size - before > left)
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
  q->alloc = lua_getallocf(L, &q->about);
  lua_setallocf(L, alloc, q);
}


size_t quota_limit(lua_State *L) {
  void *about;
  if (lua_getallocf(L, &about) != alloc)
    return 0;
  const quota *q = about;
  return q->limit;
}
