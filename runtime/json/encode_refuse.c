#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "host/quote.h"
#include "json/encode.h"

typedef struct path {
  char text[256];
  size_t n;
} path;


/* What does not fit is left out, and `...` is there. */
static void add(path *p, const char *step) {
  enum { ENDING = sizeof "..." };
  size_t n = strlen(step);
  if (p->n + n + ENDING > sizeof p->text)
    step = "...", n = 3;
  if (p->n + n >= sizeof p->text ||
      (p->n > 3 && p->text[p->n - 1] == '.' && p->text[p->n - 2] == '.'))
    return;
  memcpy(p->text + p->n, step, n + 1);
  p->n += n;
}


static bool is_name(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    bool letter = s[i] == '_' || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z');
    if (!letter && (i == 0 || s[i] < '0' || s[i] > '9'))
      return false;
  }
  return n > 0 && n < QUOTE;
}


static void add_field(path *p, const char *name, size_t n) {
  char quoted[QUOTE], step[QUOTE + 8];
  quote(quoted, name, n);
  snprintf(step, sizeof step, is_name(name, n) ? ".%s" : "[\"%s\"]", quoted);
  add(p, step);
}


static void add_item(path *p, lua_Integer i) {
  char step[32];
  snprintf(step, sizeof step, "[%lld]", (long long)i);
  add(p, step);
}


/* Where the frame is. */
static void add_frame(lua_State *L, path *p, const frame *f) {
  if (f->i == 0)
    return;
  if (f->way == ITEMS || f->way == INDEXED) {
    add_item(p, f->i);
  } else if (f->way == FIELDS) {
    size_t n;
    const char *name = lua_tolstring(L, f->slot + 1, &n);
    add_field(p, name, n);
  } else if (f->way == SORTED) {
    const field *at = (const field *)lua_touserdata(L, f->slot + 1) + f->i - 1;
    add_field(p, at->name, at->n);
  }
}


int encode_refuse(encoder *e, const char *what) {
  lua_State *L = e->w.L;
  path p = {.n = 0};
  for (int i = 0; i < e->depth; i++)
    add_frame(L, &p, &e->frames[i]);
  return luaL_error(L, "encode: cannot encode %s%s%s", what,
                    p.n > 0 ? " at " : "", p.text);
}


int encode_refuse_key(encoder *e, frame *f, int key) {
  lua_State *L = e->w.L;
  f->i = 0; /* it is the table that is wrong */
  if (f->way == FIELDS || f->way == BEGINS || f->way == SORTED)
    lua_pushfstring(L, "a table with a key that is no string (a %s)",
                    luaL_typename(L, key));
  else
    lua_pushfstring(L, "an array with a key that is no index (a %s)",
                    luaL_typename(L, key));
  return encode_refuse(e, lua_tostring(L, -1));
}
