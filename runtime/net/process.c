/*
** neap.process.core: children, as Lua objects.
**
** A Process is a box (process.h) with three user values, the streams of its
** pipes.  All that can be wrong with a script's table raises before anything
** is acquired; what the system refuses is returned.  Copies of the strings that
** a child is made of are kept in a table on the stack until it has started.
*/

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "host/memory.h"
#include "net/net.h"
#include "net/process.h"
#include "net/stream.h"
#include "sched/world.h"

#define CLASS "neap.Process"

/* Where things lie on the stack of spawn. */
enum { OPTIONS = 1, KEPT, BOX };

static const char *const io_names[] = {"stdin", "stdout", "stderr"};


static const processes *table_of(lua_State *L) {
  const world *w = host_of(L)->world;
  if (w->net == NULL || w->net->processes == NULL)
    luaL_error(L, "there are no processes in the %s world", w->name);
  return w->net->processes;
}


static process *check(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}


/*
** What to spawn
*/

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
  lua_pushstring(L, io_names[i]);
  int type = lua_rawget(L, OPTIONS);
  if (type == LUA_TSTRING) {
    const char *word = lua_tostring(L, -1);
    int k = 0;
    while (k < 3 && strcmp(word, words[k]) != 0)
      k++;
    spec->merge = i == 2 && k == 3 && strcmp(word, "stdout") == 0;
    if (k == 3 && !spec->merge)
      bad(L, io_names[i], expected);
    spec->io[i].kind = k < 3 ? kinds[k] : SPAWN_NULL;
  } else if (type == LUA_TNIL) {
    spec->io[i].kind = i == 0 ? SPAWN_NULL : SPAWN_INHERIT;
  } else {
    spec->io[i].kind = SPAWN_FD;
    spec->io[i].fd = descriptor_of(L);
    if (spec->io[i].fd < 0)
      bad(L, io_names[i], expected);
  }
  lua_pop(L, 1);
}


static spawnspec parse(lua_State *L) {
  spawnspec spec = {0};
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


/*
** core.spawn{command, argument..., stdin=, ...} : Process | nil, err
*/

/* Hand the streams of the pipes over to Lua, as user values of the box. */
static void push_streams(lua_State *L, process *p, const char *command) {
  for (int i = 0; i < 3; i++) {
    stream *s = p->io[i];
    if (s == NULL)
      continue;
    if (s->where == NULL) {
      const char *where = lua_pushfstring(L, "%s of %s", io_names[i], command);
      s->where = memory_text(where, strlen(where));
      lua_pop(L, 1);
    }
    stream_push(L, s);
    p->io[i] = NULL;
    lua_setiuservalue(L, BOX, i + 1);
  }
}


static int l_spawn(lua_State *L) {
  const processes *table = table_of(L);
  luaL_checktype(L, OPTIONS, LUA_TTABLE);
  lua_settop(L, OPTIONS);
  lua_newtable(L);
  spawnspec spec = parse(L);
  process *p = lua_newuserdatauv(L, sizeof *p, 3);
  *p = (process){.host = host_of(L), .detached = spec.detached};
  luaL_setmetatable(L, CLASS);
  int status = table->spawn(p->host, &spec, p);
  if (status < 0)
    return fail(L, status, "spawn", spec.culprit);
  push_streams(L, p, spec.argv[0]);
  return 1;
}


/*
** process:wait() : code, signal | nil, err
*/

static void push_code(lua_State *L, const process *p) {
  if (p->ended)
    lua_pushinteger(L, p->code);
  else
    lua_pushnil(L);
}


static void push_signal(lua_State *L, const process *p) {
  if (p->signal == 0)
    lua_pushnil(L);
  else if (!signal_push(L, p->signal))
    lua_pushfstring(L, "signal %d", p->signal);
}


static int wait_k(lua_State *L, int yielded, lua_KContext ctx) {
  static const waiting how = {"wait for a child", NEVER, true};
  process *p = lua_touserdata(L, 1);
  int status = yielded == LUA_YIELD ? wait_status(L) : 0;
  if (p->ended) {
    push_code(L, p);
    push_signal(L, p);
    return 2;
  }
  if (p->child == NULL)
    status = -ECHILD;
  if (status < 0)
    return fail(L, status, "wait", NULL);
  return wait_park(L, &p->waiters, &how, ctx, wait_k);
}


static int l_wait(lua_State *L) {
  check(L);
  wait_enter(L, "wait for a child");
  return wait_k(L, LUA_OK, 0);
}


/*
** process:kill(signal?) : true | nil, err
*/

static int l_kill(lua_State *L) {
  process *p = check(L);
  int n = lua_isnoneornil(L, 2) ? SIGTERM : signal_check(L, 2);
  int status = table_of(L)->kill(p, n);
  if (status < 0)
    return fail(L, status, "kill", NULL);
  lua_pushboolean(L, true);
  return 1;
}


/*
** process:close() : true
*/

static void close_stream(lua_State *L, int i) {
  if (lua_getiuservalue(L, 1, i) != LUA_TNIL) {
    lua_getfield(L, -1, "close");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
  } else {
    lua_pop(L, 1);
  }
}


static int l_close(lua_State *L) {
  process *p = check(L);
  if (p->child != NULL && !p->detached)
    table_of(L)->kill(p, SIGTERM);
  for (int i = 1; i <= 3; i++)
    close_stream(L, i);
  lua_pushboolean(L, true);
  return 1;
}


static int l_gc(lua_State *L) {
  process *p = check(L);
  table_of(L)->forget(p);
  return 0;
}


/*
** Fields
*/

static void push_pid(lua_State *L, const process *p) {
  lua_pushinteger(L, p->pid);
}


static void push_status(lua_State *L, const process *p) {
  lua_pushstring(L, !p->ended        ? "running"
                    : p->signal != 0 ? "killed"
                                     : "exited");
}


static const struct {
  const char *name;
  void (*push)(lua_State *L, const process *p);
} fields[] = {
    {"pid", push_pid},
    {"status", push_status},
    {"code", push_code},
    {"signal", push_signal},
};


static int push_field(lua_State *L, const process *p, const char *name) {
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (strcmp(name, fields[i].name) == 0) {
      fields[i].push(L, p);
      return 1;
    }
  }
  for (int i = 0; i < 3; i++)
    if (strcmp(name, io_names[i]) == 0)
      return lua_getiuservalue(L, 1, i + 1), 1;
  return 0;
}


/* Methods, the first upvalue, come first. */
static int l_index(lua_State *L) {
  process *p = check(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
    return 1;
  return lua_type(L, 2) == LUA_TSTRING ? push_field(L, p, lua_tostring(L, 2))
                                       : 0;
}


static int l_tostring(lua_State *L) {
  const process *p = check(L);
  push_status(L, p);
  lua_pushfstring(L, "process %d (%s)", p->pid, lua_tostring(L, -1));
  return 1;
}


/*
** core.env() : {[name] = value}
*/

static int l_env(lua_State *L) {
  lua_newtable(L);
  for (char **e = environ; e != NULL && *e != NULL; e++) {
    const char *equals = strchr(*e, '=');
    if (equals == NULL)
      continue;
    lua_pushlstring(L, *e, (size_t)(equals - *e));
    lua_pushstring(L, equals + 1);
    lua_rawset(L, -3);
  }
  return 1;
}


static const luaL_Reg metamethods[] = {{"__close", l_close},
                                       {"__gc", l_gc},
                                       {"__tostring", l_tostring},
                                       {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"wait", l_wait}, {"kill", l_kill}, {"close", l_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"spawn", l_spawn}, {"env", l_env}, {NULL, NULL}};


static void open_class(lua_State *L) {
  if (luaL_newmetatable(L, CLASS)) {
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}


int luaopen_neap_process_core(lua_State *L) {
  host *h = host_of(L);
  open_class(L);
  luaL_newlib(L, functions);
  if (h->world->net != NULL && h->world->net->processes != NULL) {
    lua_pushinteger(L, h->world->net->processes->self(h));
    lua_setfield(L, -2, "pid");
  }
  return 1;
}
