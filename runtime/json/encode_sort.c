#include <lauxlib.h>
#include <stdlib.h>

#include "json/encode.h"


static int compare(const void *one, const void *other) {
  const field *a = one, *b = other;
  int order = memcmp(a->name, b->name, a->n < b->n ? a->n : b->n);
  return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}


/* All keys are strings, or it raises. */
static lua_Integer count(encoder *e, frame *f) {
  lua_State *L = e->w.L;
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, f->slot) != 0; lua_pop(L, 1), n++)
    if (lua_type(L, -2) != LUA_TSTRING)
      encode_refuse_key(e, f, -2);
  return n;
}


/* At most n, for a finalizer may have added some.  The table on top keeps them. */
static lua_Integer list(lua_State *L, const frame *f, field *fields,
                        lua_Integer n) {
  int keep = lua_gettop(L);
  lua_Integer i = 0;
  for (lua_pushnil(L); lua_next(L, f->slot) != 0; lua_pop(L, 1)) {
    if (i == n || lua_type(L, -2) != LUA_TSTRING)
      continue;
    fields[i].name = lua_tolstring(L, -2, &fields[i].n);
    lua_pushvalue(L, -2);
    lua_rawseti(L, keep, ++i);
  }
  return i;
}


void encode_sort(encoder *e, frame *f) {
  lua_State *L = e->w.L;
  lua_settop(L, f->slot);
  lua_Integer n = count(e, f);
  field *fields = lua_newuserdatauv(L, (size_t)n * sizeof *fields, 1);
  lua_createtable(L, (int)(n < 1 << 24 ? n : 1 << 24), 0);
  f->n = list(L, f, fields, n);
  lua_setiuservalue(L, f->slot + 1, 1);
  qsort(fields, (size_t)f->n, sizeof *fields, compare);
  f->way = SORTED;
}
