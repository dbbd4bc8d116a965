/*
** What to spawn, out of a script's table.
**
** All that can be wrong with the table raises here.  Copies of the strings
** that a child is made of lie in a table on the stack until it has started, so
** there is nothing to free.  Metamethods of the table are not used.
*/

#include <stdio.h>
#include <string.h>

#include "net/stream_methods.h"
#include "sys/process.h"

/* Where things lie on the stack of spawn. */
enum { OPTIONS = 1, KEPT };

const char *const spawn_io_names[3] = {"stdin", "stdout", "stderr"};


static int bad(lua_State *L, const char *what, const char *expected) {
  return luaL_argerror(L, OPTIONS,
                       lua_pushfstring(L, "%s: %s expected", what, expected));
}


/* Pop memory that must live until the child has started. */
static void keep(lua_State *L) {
  lua_rawseti(L, KEPT, (lua_Integer)lua_rawlen(L, KEPT) + 1);
}


/* Pop a string or number, and give a copy of its text, as execve wants it. */
static char *keep_text(lua_State *L, const char *what) {
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (text == NULL)
    bad(L, what, "a string");
  if (strlen(text) != length)
    bad(L, what, "a string without zeros");
  char *copy = memcpy(lua_newuserdatauv(L, length + 1, 0), text, length + 1);
  keep(L);
  lua_pop(L, 1);
  return copy;
}


/* A list of n pointers and a NULL. */
static char **keep_list(lua_State *L, size_t n) {
  char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
  list[n] = NULL;
  keep(L);
  return list;
}


static bool is_option(const char *name) {
  static const char *const known[] = {"stdin", "stdout",   "stderr", "cwd",
                                      "env",   "detached", "uid",    "gid"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(name, known[i]) == 0)
      return true;
  return false;
}


static void check_keys(lua_State *L) {
  lua_Unsigned n = lua_rawlen(L, OPTIONS);
  for (lua_pushnil(L); lua_next(L, OPTIONS) != 0; lua_pop(L, 1)) {
    if (lua_isinteger(L, -2)) {
      if ((lua_Unsigned)lua_tointeger(L, -2) - 1 >= n)
        bad(L, "arguments", "a list without holes");
    } else if (lua_type(L, -2) != LUA_TSTRING ||
               !is_option(lua_tostring(L, -2))) {
      const char *name = luaL_tolstring(L, -2, NULL);
      luaL_argerror(L, OPTIONS,
                    lua_pushfstring(L, "unknown option '%s'", name));
    }
  }
}


static char **parse_args(lua_State *L) {
  size_t n = lua_rawlen(L, OPTIONS);
  if (n == 0)
    bad(L, "command", "a string at index 1");
  char **args = keep_list(L, n);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, OPTIONS, (lua_Integer)i + 1);
    args[i] = keep_text(L, i == 0 ? "command" : "argument");
  }
  if (args[0][0] == '\0')
    bad(L, "command", "a name");
  return args;
}


/* The name at -2 and the value at -1 as "name=value", in their place. */
static void join(lua_State *L) {
  if (lua_type(L, -2) != LUA_TSTRING || lua_rawlen(L, -2) == 0 ||
      strchr(lua_tostring(L, -2), '=') != NULL)
    bad(L, "env", "a name without '=' for each variable");
  if (!lua_isstring(L, -1))
    bad(L, lua_tostring(L, -2), "a string");
  lua_pushvalue(L, -2);
  lua_pushliteral(L, "=");
  lua_rotate(L, -3, -1);
  lua_concat(L, 3);
}


static char **parse_env(lua_State *L) {
  size_t n = 0;
  lua_pushliteral(L, "env");
  int type = lua_rawget(L, OPTIONS);
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return NULL;
  }
  if (type != LUA_TTABLE)
    bad(L, "env", "a table");
  int env = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, env) != 0; lua_pop(L, 1))
    n++;
  char **list = keep_list(L, n);
  lua_pushnil(L);
  for (size_t i = 0; i < n && lua_next(L, env) != 0; i++) {
    join(L);
    list[i] = keep_text(L, "env");
  }
  lua_settop(L, env - 1);
  return list;
}


static const char *parse_cwd(lua_State *L) {
  lua_pushliteral(L, "cwd");
  if (lua_rawget(L, OPTIONS) != LUA_TNIL)
    return keep_text(L, "cwd");
  lua_pop(L, 1);
  return NULL;
}


static int64_t parse_id(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  int64_t id = -1;
  if (lua_rawget(L, OPTIONS) != LUA_TNIL) {
    int is;
    id = lua_tointegerx(L, -1, &is);
    if (!is || id < 0 || id >= UINT32_MAX)
      bad(L, name, "a number");
  }
  lua_pop(L, 1);
  return id;
}


static bool parse_flag(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  int type = lua_rawget(L, OPTIONS);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    bad(L, name, "a boolean");
  bool set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return set;
}


/* The descriptor of the file or stream on top; -1: it is none. */
static int descriptor_of(lua_State *L) {
  luaL_Stream *file = luaL_testudata(L, -1, LUA_FILEHANDLE);
  if (file != NULL) {
    if (file->closef == NULL)
      return -1;
    fflush(file->f);
    return fileno(file->f);
  }
  if (lua_type(L, -1) != LUA_TUSERDATA || !luaL_getmetafield(L, -1, "__index"))
    return -1;
  lua_pop(L, 1);
  stream_share(L, -1);
  lua_getfield(L, -1, "fd");
  int is;
  lua_Integer fd = lua_tointegerx(L, -1, &is);
  lua_pop(L, 1);
  return is && fd >= 0 && fd <= INT32_MAX ? (int)fd : -1;
}


static void parse_io(lua_State *L, spawnspec *spec, int i) {
  static const char *const words[] = {"null", "inherit", "pipe"};
  static const int kinds[] = {SPAWN_NULL, SPAWN_INHERIT, SPAWN_PIPE};
  const char *expected =
      i == 2 ? "\"inherit\", \"null\", \"pipe\", \"stdout\", an open file or "
               "stream"
             : "\"inherit\", \"null\", \"pipe\", an open file or stream";
  lua_pushstring(L, spawn_io_names[i]);
  int type = lua_rawget(L, OPTIONS);
  if (type == LUA_TSTRING) {
    const char *word = lua_tostring(L, -1);
    int k = 0;
    while (k < 3 && strcmp(word, words[k]) != 0)
      k++;
    spec->merge = i == 2 && k == 3 && strcmp(word, "stdout") == 0;
    if (k == 3 && !spec->merge)
      bad(L, spawn_io_names[i], expected);
    spec->io[i].kind = k < 3 ? kinds[k] : SPAWN_NULL;
  } else if (type == LUA_TNIL) {
    spec->io[i].kind = i == 0 ? SPAWN_NULL : SPAWN_INHERIT;
  } else {
    spec->io[i].kind = SPAWN_FD;
    spec->io[i].fd = descriptor_of(L);
    if (spec->io[i].fd < 0)
      bad(L, spawn_io_names[i], expected);
  }
  lua_pop(L, 1);
}


spawnspec spawnspec_check(lua_State *L) {
  spawnspec spec = {0};
  luaL_checktype(L, OPTIONS, LUA_TTABLE);
  lua_settop(L, OPTIONS);
  lua_newtable(L);
  check_keys(L);
  spec.argv = parse_args(L);
  spec.env = parse_env(L);
  spec.cwd = parse_cwd(L);
  spec.uid = parse_id(L, "uid");
  spec.gid = parse_id(L, "gid");
  spec.detached = parse_flag(L, "detached");
  for (int i = 0; i < 3; i++)
    parse_io(L, &spec, i);
  return spec;
}
