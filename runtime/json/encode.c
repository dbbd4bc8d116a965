/*
** Encoding: tables are walked without calling what a script has written, so nothing of
** the script's runs in between but finalizers.  Nesting takes no C stack.
**
** On the stack each table that has begun has its last key, or the list of its keys,
** behind it.
*/

#include "json/encode.h"

#include <lauxlib.h>
#include <math.h>

#include "host/arguments.h"
#include "json/json.h"


/*
** What is refused
*/

static int refuse_number(encoder *e, double value) {
  return encode_refuse(e, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}


/* A value's type, or its class. */
static int refuse_value(encoder *e, int index) {
  lua_State *L = e->w.L;
  const char *name = luaL_typename(L, index);
  if (lua_isnil(L, index))
    return encode_refuse(e, name);
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
    name = lua_tostring(L, -1);
  lua_pushfstring(L, "a %s", name);
  return encode_refuse(e, lua_tostring(L, -1));
}


/*
** Layout
*/

static void new_line(encoder *e) {
  if (e->indent == NULL)
    return;
  writer_char(&e->w, '\n');
  for (int i = 0; i < e->depth; i++)
    writer_put(&e->w, e->indent, e->indent_size);
}


static bool is_array(const frame *f) {
  return f->way == ITEMS || f->way == INDEXED;
}


/*
** Values
*/

static void put_string(encoder *e, int index) {
  size_t n;
  const char *text = lua_tolstring(e->w.L, index, &n);
  if (!writer_string(&e->w, text, n))
    encode_refuse(e, "a string that is no UTF-8");
}


static void put_number(encoder *e, int index) {
  if (lua_isinteger(e->w.L, index)) {
    writer_integer(&e->w, lua_tointeger(e->w.L, index));
    return;
  }
  double value = lua_tonumber(e->w.L, index);
  if (!isfinite(value))
    refuse_number(e, value);
  writer_float(&e->w, value);
}


/* Is the metatable on top, which is popped, that of arrays?  One whose __pairs says that
 * there is something else in the table than there is, is refused. */
static bool is_marked(encoder *e) {
  lua_State *L = e->w.L;
  bool is = lua_rawequal(L, -1, lua_upvalueindex(1));
  if (!is) {
    lua_pushliteral(L, "__pairs");
    if (lua_rawget(L, -2) != LUA_TNIL)
      encode_refuse(e, "a table with __pairs (encode a copy)");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return is;
}


/* The table on top. */
static void begin_table(encoder *e) {
  lua_State *L = e->w.L;
  enum { SLOTS = 16 };
  if (e->depth == e->most)
    encode_refuse(e, "what is nested too deeply (is it in itself?)");
  luaL_checkstack(L, SLOTS, "json.encode");
  bool marked = lua_getmetatable(L, -1) && is_marked(e);
  e->frames[e->depth++] =
      (frame){.way = marked ? ITEMS : BEGINS, .slot = lua_gettop(L)};
  lua_pushnil(L);
}


/* The value on top, which is popped, unless it is a table that begins. */
static void put_value(encoder *e) {
  lua_State *L = e->w.L;
  switch (lua_type(L, -1)) {
  case LUA_TSTRING:
    put_string(e, -1);
    break;
  case LUA_TNUMBER:
    put_number(e, -1);
    break;
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, -1))
      writer_put(&e->w, "true", 4);
    else
      writer_put(&e->w, "false", 5);
    break;
  case LUA_TTABLE:
    begin_table(e);
    return;
  default:
    if (lua_type(L, -1) != LUA_TLIGHTUSERDATA || lua_touserdata(L, -1) != NULL)
      refuse_value(e, -1);
    writer_put(&e->w, "null", 4);
  }
  lua_pop(L, 1);
}


/*
** Tables
*/

/* An array whose items lua_next does not find in their order: each has to be there. */
static void go_by_index(encoder *e, frame *f) {
  lua_State *L = e->w.L;
  lua_Integer n = 0, last = 0;
  lua_settop(L, f->slot);
  for (lua_pushnil(L); lua_next(L, f->slot) != 0; lua_pop(L, 1), n++) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1)
      encode_refuse_key(e, f, -2);
    if (lua_tointeger(L, -2) > last)
      last = lua_tointeger(L, -2);
  }
  if (n < last) {
    f->i = 0;
    encode_refuse(e, "an array with holes (json.null fills them)");
  }
  f->way = INDEXED;
  f->n = n;
  lua_pushnil(L);
}


/* The field that the frame is at. */
static const field *field_at(lua_State *L, const frame *f) {
  return (const field *)lua_touserdata(L, f->slot + 1) + f->i - 1;
}


/* Push the next value, above what the frame keeps; false: there is none. */
static bool next_value(lua_State *L, frame *f) {
  bool by_next = f->way != INDEXED && f->way != SORTED;
  if (by_next ? lua_next(L, f->slot) == 0 : f->i == f->n)
    return false;
  f->i++;
  if (f->way == INDEXED) {
    lua_rawgeti(L, f->slot, f->i);
  } else if (f->way == SORTED) {
    lua_pushlstring(L, field_at(L, f)->name, field_at(L, f)->n);
    lua_rawget(L, f->slot);
  }
  return true;
}


/* At the first key: is it an array or an object? */
static void begin_values(encoder *e, frame *f) {
  lua_State *L = e->w.L;
  if (f->way == BEGINS && lua_isinteger(L, f->slot + 1))
    f->way = ITEMS;
  if (f->way == BEGINS && e->sort) {
    encode_sort(e, f);
    f->i = 0;
    if (!next_value(L, f))
      encode_refuse(e, "a table that changes meanwhile");
  } else if (f->way == BEGINS) {
    f->way = FIELDS;
  }
  writer_char(&e->w, f->way == ITEMS ? '[' : '{');
}


/* An item is the next one, or becomes that. */
static void check_item(encoder *e, frame *f) {
  lua_State *L = e->w.L;
  if (f->way == ITEMS && (!lua_isinteger(L, f->slot + 1) ||
                          lua_tointeger(L, f->slot + 1) != f->i)) {
    go_by_index(e, f);
    f->i--;
    next_value(L, f);
  }
}


static void put_key(encoder *e, frame *f) {
  lua_State *L = e->w.L;
  size_t n;
  const char *name;
  if (f->way == SORTED) {
    name = field_at(L, f)->name;
    n = field_at(L, f)->n;
  } else {
    if (lua_type(L, f->slot + 1) != LUA_TSTRING)
      encode_refuse_key(e, f, f->slot + 1);
    name = lua_tolstring(L, f->slot + 1, &n);
  }
  if (!writer_string(&e->w, name, n))
    encode_refuse(e, "a key that is no UTF-8");
  writer_put(&e->w, ": ", e->indent != NULL ? 2 : 1);
}


static void end_table(encoder *e, frame *f) {
  e->depth--;
  if (f->i == 0)
    writer_put(&e->w, f->way == ITEMS ? "[]" : "{}", 2);
  else {
    new_line(e);
    writer_char(&e->w, is_array(f) ? ']' : '}');
  }
  lua_settop(e->w.L, f->slot - 1);
}


/* The next value of the innermost table, or its end. */
static void step(encoder *e) {
  frame *f = &e->frames[e->depth - 1];
  if (!next_value(e->w.L, f)) {
    end_table(e, f);
    return;
  }
  if (f->i == 1)
    begin_values(e, f);
  else
    writer_char(&e->w, ',');
  new_line(e);
  if (is_array(f))
    check_item(e, f);
  else
    put_key(e, f);
  put_value(e);
}


/*
** encode(value, {depth=, indent=, max=, replace=, sort=}) : text
*/

/* Blanks and tabs, or how many blanks. */
static void read_indent(lua_State *L, encoder *e) {
  enum { MOST = 16 };
  static const char blanks[MOST + 1] = "                ";
  lua_pushliteral(L, "indent");
  if (lua_rawget(L, 2) == LUA_TNUMBER) {
    e->indent_size = (size_t)option_integer(L, 2, "indent", 0, MOST, 0);
    e->indent = blanks;
  } else {
    e->indent = option_string(L, 2, "indent", &e->indent_size);
    if (e->indent != NULL && strspn(e->indent, " \t") != e->indent_size)
      luaL_argerror(L, 2, "option 'indent': blanks or tabs expected");
  }
}


/* Of the table at 2. */
static void read_options(lua_State *L, encoder *e) {
  static const char *const names[] = {"depth",   "indent", "max",
                                      "replace", "sort",   NULL};
  if (!options_check(L, 2, names))
    return;
  e->most = (int)option_integer(L, 2, "depth", 0, JSON_DEPTH_MOST, JSON_DEPTH);
  e->w.max =
      (size_t)option_integer(L, 2, "max", 0, LUA_MAXINTEGER, LUA_MAXINTEGER);
  e->w.replaces = option_flag(L, 2, "replace", false);
  e->sort = option_flag(L, 2, "sort", false);
  if (e->most > JSON_DEPTH)
    e->frames = lua_newuserdatauv(L, (size_t)e->most * sizeof *e->frames, 0);
  read_indent(L, e);
}


int json_encode(lua_State *L) {
  frame frames[JSON_DEPTH];
  encoder e;
  luaL_checkany(L, 1);
  lua_settop(L, 2);
  writer_open(&e.w, L);
  e.frames = frames;
  e.depth = 0;
  e.most = JSON_DEPTH;
  e.indent = NULL;
  e.indent_size = 0;
  e.sort = false;
  read_options(L, &e);
  lua_pushvalue(L, 1);
  put_value(&e);
  while (e.depth > 0)
    step(&e);
  writer_push(&e.w);
  return 1;
}
