/*
** Decoding: one pass over the text, which leaves values on Lua's stack.
**
** What is in an array or object stays there until that ends; then the table is made with
** room for just that, so that it grows by itself no more.  Of a large one parts are moved
** into the table in between.  Nesting takes no C stack.
*/

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>

#include "host/arguments.h"
#include "host/error.h"
#include "json/json.h"
#include "json/reader.h"
#include "json/text.h"

/* An array or object that has begun. */
typedef struct frame {
  int slot; /* on the stack: its table, or nil; behind it what is to go in */
  bool is_array;
  bool is_made;
  lua_Integer count; /* of an array: what is in */
} frame;

typedef struct decoder {
  reader r; /* the first member */
  frame *frames;
  int depth;
  int most;    /* of depth */
  int room;    /* the stack has, behind what it has, as far as is known */
  bool unique; /* keys are */
} decoder;


/* How much of one waits on the stack, at most: less where it is in many others. */
static int waiting(const decoder *d) {
  enum { MANY = 256, DEEP = 8, FEW = 16 };
  return d->depth <= DEEP ? MANY : FEW;
}


static void make_room(decoder *d) {
  enum { SLOTS = 64, NEEDED = 8 };
  int top = lua_gettop(d->r.L);
  if (d->room - top >= NEEDED)
    return;
  luaL_checkstack(d->r.L, SLOTS, "json.decode");
  d->room = top + SLOTS;
}


static char skip_space(reader *r) {
  const char *p = r->p;
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
    p++;
  r->p = p;
  return *p;
}


/*
** Arrays and objects
*/

static bool open(decoder *d, bool is_array) {
  if (d->depth == d->most)
    return reader_wrong(&d->r, d->r.p, "nested too deeply");
  d->r.p++;
  lua_pushnil(d->r.L);
  d->frames[d->depth++] =
      (frame){.slot = lua_gettop(d->r.L), .is_array = is_array};
  return true;
}


static void make(lua_State *L, frame *f, int n) {
  if (f->is_array)
    lua_createtable(L, n, 0);
  else
    lua_createtable(L, 0, n / 2);
  lua_replace(L, f->slot);
  f->is_made = true;
}


static void move_items(lua_State *L, frame *f, int n) {
  for (int i = n; i > 0; i--)
    lua_rawseti(L, f->slot, f->count + i);
  f->count += n;
}


/* Does the object have the key at index? */
static bool has(lua_State *L, const frame *f, int index) {
  lua_pushvalue(L, index);
  bool is = lua_rawget(L, f->slot) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}


/* In their order: of equal keys the last one's value stays. */
static bool move_fields(decoder *d, frame *f, int n) {
  lua_State *L = d->r.L;
  for (int i = f->slot + 1; i < f->slot + n; i += 2) {
    if (d->unique && has(L, f, i))
      return reader_wrong(&d->r, d->r.p, "a key is twice in this object");
    lua_pushvalue(L, i);
    lua_pushvalue(L, i + 1);
    lua_rawset(L, f->slot);
  }
  lua_settop(L, f->slot);
  return true;
}


/* What waits goes into the table. */
static bool move(decoder *d, frame *f) {
  lua_State *L = d->r.L;
  int n = lua_gettop(L) - f->slot;
  if (!f->is_made)
    make(L, f, n);
  if (!f->is_array)
    return move_fields(d, f, n);
  move_items(L, f, n);
  return true;
}


static bool close(decoder *d) {
  frame *f = &d->frames[d->depth - 1];
  if (!move(d, f))
    return false;
  if (f->is_array) {
    lua_pushvalue(d->r.L, lua_upvalueindex(1));
    lua_setmetatable(d->r.L, f->slot);
  }
  d->r.p++;
  d->depth--;
  return true;
}


/*
** Values
*/

static bool take_word(reader *r, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
    return reader_wrong(r, r->p, "a value expected");
  r->p += n;
  return true;
}


static bool take_boolean(reader *r, bool is) {
  lua_pushboolean(r->L, is);
  return take_word(r, is ? "true" : "false");
}


static bool take_null(reader *r) {
  lua_pushlightuserdata(r->L, NULL);
  return take_word(r, "null");
}


static bool take_scalar(reader *r) {
  switch (*r->p) {
  case '"':
    return reader_string(r);
  case 't':
    return take_boolean(r, true);
  case 'f':
    return take_boolean(r, false);
  case 'n':
    return take_null(r);
  default:
    if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))
      return reader_number(r);
    return reader_wrong(r, r->p, "a value expected");
  }
}


/* A key and its colon. */
static bool take_key(decoder *d) {
  reader *r = &d->r;
  if (skip_space(r) != '"')
    return reader_wrong(r, r->p, "a key expected, which is a string");
  make_room(d);
  if (!reader_string(r))
    return false;
  if (skip_space(r) != ':')
    return reader_wrong(r, r->p, "':' expected");
  r->p++;
  return true;
}


/* A scalar, or an empty array or object; with the beginnings of all that is around. */
static bool take_value(decoder *d) {
  for (;;) {
    char c = skip_space(&d->r);
    make_room(d);
    if (c != '[' && c != '{')
      return take_scalar(&d->r);
    if (!open(d, c == '['))
      return false;
    if (skip_space(&d->r) == (c == '[' ? ']' : '}'))
      return close(d);
    if (c == '{' && !take_key(d))
      return false;
  }
}


/* Behind a value that is in another one, whose end is here, or the next value. */
static bool take_separator(decoder *d) {
  frame *f = &d->frames[d->depth - 1];
  char c = skip_space(&d->r);
  if (c == (f->is_array ? ']' : '}'))
    return close(d);
  if (c != ',')
    return reader_wrong(&d->r, d->r.p,
                        f->is_array ? "',' or ']' expected"
                                    : "',' or '}' expected");
  d->r.p++;
  if (lua_gettop(d->r.L) - f->slot >= waiting(d) && !move(d, f))
    return false;
  return (f->is_array || take_key(d)) && take_value(d);
}


static bool decode(decoder *d) {
  if (!take_value(d))
    return false;
  while (d->depth > 0)
    if (!take_separator(d))
      return false;
  skip_space(&d->r);
  return d->r.p == d->r.end ||
         reader_wrong(&d->r, d->r.p, "the end expected behind the value");
}


/*
** decode(text, {depth=, max=, replace=, unique=}) : value | nil, error
*/

typedef struct place {
  lua_Integer line, column;
} place;

/* Columns count characters. */
static place find_place(const reader *r) {
  place at = {1, 1};
  for (const char *p = r->text; p < r->p; p++)
    if (*p == '\n')
      at = (place){at.line + 1, 1};
    else
      at.column += !text_continues((unsigned char)*p);
  return at;
}


static int fail_at(lua_State *L, const reader *r) {
  char text[160];
  place at = find_place(r);
  const char *why = r->p == r->end ? "the text ends too early" : r->why;
  snprintf(text, sizeof text, "line %lld, column %lld: %s", (long long)at.line,
           (long long)at.column, why);
  lua_pushnil(L);
  error_push_message(L, -EBADMSG, "decode", NULL, text);
  lua_pushinteger(L, at.line);
  lua_setfield(L, -2, "line");
  lua_pushinteger(L, at.column);
  lua_setfield(L, -2, "column");
  return 2;
}


static int fail_long(lua_State *L) {
  lua_pushnil(L);
  error_push_message(L, -EMSGSIZE, "decode", NULL,
                     "the text is longer than max");
  return 2;
}


static frame *make_frames(lua_State *L, frame *own, int most) {
  return most <= JSON_DEPTH
             ? own
             : lua_newuserdatauv(L, (size_t)most * sizeof *own, 0);
}


int json_decode(lua_State *L) {
  static const char *const names[] = {"depth", "max", "replace", "unique",
                                      NULL};
  size_t n;
  frame own[JSON_DEPTH];
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &n);
  decoder d = {.r = {L, text, text, text + n, NULL, false}, .most = JSON_DEPTH};
  lua_settop(L, 2);
  if (options_check(L, 2, names)) {
    d.most = (int)option_integer(L, 2, "depth", 0, JSON_DEPTH_MOST, JSON_DEPTH);
    d.r.replaces = option_flag(L, 2, "replace", false);
    d.unique = option_flag(L, 2, "unique", false);
    lua_Integer max =
        option_integer(L, 2, "max", 0, LUA_MAXINTEGER, LUA_MAXINTEGER);
    if (n > (lua_Unsigned)max)
      return fail_long(L);
  }
  d.frames = make_frames(L, own, d.most);
  return decode(&d) ? 1 : fail_at(L, &d.r);
}
