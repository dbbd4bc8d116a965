/*
** What to spawn, out of a script's table.
**
** All that can be wrong with the table raises here.  Copies of the strings
** that a child is made of lie in a table on the stack until it has started, so
** there is nothing to free.  Metamethods of the table are not used.
*/

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/stream_methods.h"
#include "sched/world.h"
#include "sys/process.h"
#include "sys/spawn_option.h"
#include "sys/spawn_rights.h"

/* Until it is killed, a child that was told to end has so long, s. */
enum { GRACE = 5 };

enum { MOST_ROWS = 65535 };

const char *const spawn_io_names[3] = {"stdin", "stdout", "stderr"};


/* A list of n pointers and a NULL. */
static char **keep_list(lua_State *L, size_t n) {
  char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
  list[n] = NULL;
  spawn_keep(L);
  return list;
}


/* Pop a string or number, and give a copy of its text, as execve wants it. */
static char *keep_text(lua_State *L, const char *what) {
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (text == NULL)
    spawn_bad(L, what, "a string");
  if (strlen(text) != length)
    spawn_bad(L, what, "a string without zeros");
  char *copy = memcpy(lua_newuserdatauv(L, length + 1, 0), text, length + 1);
  spawn_keep(L);
  lua_pop(L, 1);
  return copy;
}


static bool is_option(const char *name) {
  static const char *const known[] = {"stdin",   "stdout",   "stderr", "cwd",
                                      "env",     "detached", "uid",    "gid",
                                      "groups",  "umask",    "group",  "grace",
                                      "rlimits", "fds",      "pty"};
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
        spawn_bad(L, "arguments", "a list without holes");
    } else if (lua_type(L, -2) != LUA_TSTRING ||
               !is_option(lua_tostring(L, -2))) {
      spawn_unknown(L, "", -2);
    }
  }
}


static char **parse_args(lua_State *L) {
  size_t n = lua_rawlen(L, OPTIONS);
  if (n == 0)
    spawn_bad(L, "command", "a string at index 1");
  char **args = keep_list(L, n);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, OPTIONS, (lua_Integer)i + 1);
    args[i] = keep_text(L, i == 0 ? "command" : "argument");
  }
  if (args[0][0] == '\0')
    spawn_bad(L, "command", "a name");
  return args;
}


/* The name at -2 and the value at -1 as "name=value", in their place. */
static void join(lua_State *L) {
  if (lua_type(L, -2) != LUA_TSTRING || lua_rawlen(L, -2) == 0 ||
      strchr(lua_tostring(L, -2), '=') != NULL)
    spawn_bad(L, "env", "a name without '=' for each variable");
  if (!lua_isstring(L, -1))
    spawn_bad(L, lua_tostring(L, -2), "a string");
  lua_pushvalue(L, -2);
  lua_pushliteral(L, "=");
  lua_rotate(L, -3, -1);
  lua_concat(L, 3);
}


static char **parse_env(lua_State *L) {
  size_t n = 0, i = 0;
  lua_pushliteral(L, "env");
  int type = lua_rawget(L, OPTIONS);
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return NULL;
  }
  if (type != LUA_TTABLE)
    spawn_bad(L, "env", "a table");
  int env = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, env) != 0; lua_pop(L, 1))
    n++;
  char **list = keep_list(L, n);
  lua_pushnil(L);
  for (; i < n && lua_next(L, env) != 0; i++) {
    join(L);
    list[i] = keep_text(L, "env");
  }
  list[i] = NULL; /* a finalizer may have made them fewer */
  lua_settop(L, env - 1);
  return list;
}


/*
** Where the program is
*/

static const char *path_of(char **env) {
  for (char **e = env != NULL ? env : environ; *e != NULL; e++)
    if (strncmp(*e, "PATH=", 5) == 0)
      return *e + 5;
  return "/bin:/usr/bin";
}


static size_t count_parts(const char *path) {
  size_t n = 1;
  for (; *path != '\0'; path++)
    n += *path == ':';
  return n;
}


/* A name in a folder; the empty one is where it runs. */
static char *join_path(lua_State *L, const char *folder, size_t n,
                       const char *name) {
  size_t size = strlen(name);
  char *text = spawn_room(L, n + size + 2, 1);
  memcpy(text, folder, n);
  if (n > 0)
    text[n++] = '/';
  memcpy(text + n, name, size + 1);
  return text;
}


/* By its own PATH, where it has one. */
static char **find_program(lua_State *L, const spawnspec *spec) {
  const char *name = spec->argv[0];
  const char *folder = strchr(name, '/') != NULL ? "" : path_of(spec->env);
  size_t n = count_parts(folder);
  char **list = keep_list(L, n);
  for (size_t i = 0; i < n; i++) {
    size_t size = strcspn(folder, ":");
    list[i] = join_path(L, folder, size, name);
    folder += size + 1;
  }
  return list;
}


static char **as_script(lua_State *L, char **argv) {
  static char shell[] = "/bin/sh";
  size_t n = 0;
  while (argv[n] != NULL)
    n++;
  char **list = keep_list(L, n + 1);
  list[0] = shell;
  list[1] = argv[0];
  memcpy(list + 2, argv + 1, (n - 1) * sizeof *list);
  return list;
}


static const char *parse_cwd(lua_State *L) {
  lua_pushliteral(L, "cwd");
  if (lua_rawget(L, OPTIONS) != LUA_TNIL)
    return keep_text(L, "cwd");
  lua_pop(L, 1);
  return NULL;
}


static bool parse_flag(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  int type = lua_rawget(L, OPTIONS);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    spawn_bad(L, name, "a boolean");
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


static void take_io(lua_State *L, spawnspec *spec, int i) {
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
      spawn_bad(L, spawn_io_names[i], expected);
    spec->io[i].kind = k < 3 ? kinds[k] : SPAWN_NULL;
  } else if (type == LUA_TNIL) {
    spec->io[i].kind = spec->pty ? SPAWN_PTY
                       : i == 0  ? SPAWN_NULL
                                 : SPAWN_INHERIT;
  } else {
    spec->io[i].kind = SPAWN_FD;
    spec->io[i].fd = descriptor_of(L);
    if (spec->io[i].fd < 0)
      spawn_bad(L, spawn_io_names[i], expected);
  }
  lua_pop(L, 1);
}


/*
** fds = {[3] = listener, ...}
*/

static int by_number(const void *a, const void *b) {
  return ((const spawn_fd *)a)->as - ((const spawn_fd *)b)->as;
}


static spawn_fd take_fd(lua_State *L) {
  int is;
  lua_Integer as = lua_tointegerx(L, -2, &is);
  if (lua_type(L, -2) != LUA_TNUMBER || !is || as < 3 || as >= INT_MAX)
    spawn_bad(L, "fds", "descriptors from 3 on, fds = {[3] = listener},");
  int from = descriptor_of(L);
  if (from < 0)
    spawn_bad(L, lua_pushfstring(L, "fds[%d]", (int)as),
              "an open file, stream, listener or message socket");
  bool flows = luaL_testudata(L, -1, STREAM_CLASS) != NULL ||
               luaL_testudata(L, -1, LUA_FILEHANDLE) != NULL;
  return (spawn_fd){(int)as, from, flows};
}


/* Room for them. */
static void parse_fds(lua_State *L, spawnspec *spec) {
  if (!spawn_table(L, "fds", "a table, fds = {[3] = listener},"))
    return;
  spec->fd_count = (unsigned)spawn_count(L);
  spec->fds = spawn_room(L, spec->fd_count, sizeof *spec->fds);
  lua_pop(L, 1);
}


static void take_fds(lua_State *L, spawnspec *spec) {
  unsigned room = spec->fd_count;
  spec->fd_count = 0;
  if (room == 0 || !spawn_table(L, "fds", "a table"))
    return;
  lua_pushnil(L);
  for (; spec->fd_count < room && lua_next(L, -2) != 0; lua_pop(L, 1))
    spec->fds[spec->fd_count++] = take_fd(L);
  lua_pop(L, spec->fd_count < room ? 1 : 2);
  qsort(spec->fds, spec->fd_count, sizeof *spec->fds, by_number);
}


/*
** How it ends: group = true, grace = seconds; and pty = true or {rows, columns}
*/

static int parse_group(lua_State *L, const spawnspec *spec) {
  bool alone = spec->detached || spec->pty;
  lua_pushliteral(L, "group");
  int type = lua_rawget(L, OPTIONS);
  bool set = lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    spawn_bad(L, "group", "a boolean");
  if (type != LUA_TNIL && !set && alone)
    spawn_bad(L, "group", "with detached and pty no group = false");
  lua_pop(L, 1);
  return set || alone       ? GROUP_YES
         : type == LUA_TNIL ? GROUP_UNLESS_TERMINAL
                            : GROUP_NO;
}


static uint64_t parse_grace(lua_State *L) {
  lua_pushliteral(L, "grace");
  int type = lua_rawget(L, OPTIONS);
  lua_Number s = type == LUA_TNIL ? GRACE : lua_tonumber(L, -1);
  if ((type != LUA_TNIL && type != LUA_TNUMBER) || !(s >= 0))
    spawn_bad(L, "grace", "a number of seconds");
  lua_pop(L, 1);
  return s < 1e9 ? (uint64_t)(s * 1e9) : NEVER;
}


static unsigned short take_size(lua_State *L, const char *name, int usual) {
  int is = true;
  lua_pushstring(L, name);
  lua_Integer n = usual;
  if (lua_rawget(L, -2) != LUA_TNIL)
    n = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &is) : 0;
  if (!is || n < 1 || n > MOST_ROWS)
    spawn_bad(L, lua_pushfstring(L, "pty.%s", name), "a number");
  lua_pop(L, 1);
  return (unsigned short)n;
}


static void check_sizes(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    const char *name =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(name, "rows") == 0 || strcmp(name, "columns") == 0)
      continue;
    spawn_unknown(L, "pty.", -2);
  }
}


static void parse_pty(lua_State *L, spawnspec *spec) {
  enum { ROWS = 24, COLUMNS = 80 };
  lua_pushliteral(L, "pty");
  int type = lua_rawget(L, OPTIONS);
  spec->pty = lua_toboolean(L, -1);
  spec->rows = ROWS;
  spec->columns = COLUMNS;
  if (type == LUA_TTABLE) {
    check_sizes(L);
    spec->rows = take_size(L, "rows", ROWS);
    spec->columns = take_size(L, "columns", COLUMNS);
  } else if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
    spawn_bad(L, "pty", "true or {rows = 24, columns = 80}");
  }
  if (spec->pty && spec->detached)
    spawn_bad(L, "pty", "no detached beside it, for that has no terminal,");
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
  spec.paths = find_program(L, &spec);
  spec.script = as_script(L, spec.argv);
  spec.cwd = parse_cwd(L);
  spawn_rights_check(L, &spec);
  spec.detached = parse_flag(L, "detached");
  parse_pty(L, &spec);
  spec.group = parse_group(L, &spec);
  spec.grace = parse_grace(L);
  parse_fds(L, &spec);
  return spec;
}


void spawnspec_take(lua_State *L, spawnspec *spec) {
  for (int i = 0; i < 3; i++)
    take_io(L, spec, i);
  take_fds(L, spec);
}
