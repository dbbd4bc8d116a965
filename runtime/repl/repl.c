/*
** neap.repl.core: the terminal, files for this user alone, and knocking at
** other processes, as lua/neap/repl/ uses them.
*/

#include "repl/repl.h"

#include "host/error.h"
#include "host/fields.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/process.h"
#include "sys/system.h"
#include "sys/terminal.h"


static const terminals *terminals_of(lua_State *L) {
  return sys_check(L, "terminals")->terminals;
}


static int result(lua_State *L, int status, const char *op, const char *where) {
  if (status < 0)
    return fail(L, status, op, where);
  lua_pushboolean(L, true);
  return 1;
}


/* is_terminal(fd) : boolean */
static int l_is_terminal(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  lua_pushboolean(L, terminals_of(L)->is_terminal(host_of(L), fd));
  return 1;
}


/* size() : columns, rows | nil, error */
static int l_size(lua_State *L) {
  int columns = 0, rows = 0;
  int status = terminals_of(L)->size(host_of(L), 1, &columns, &rows);
  if (status < 0)
    return fail(L, status, "size", "stdout");
  lua_pushinteger(L, columns);
  lua_pushinteger(L, rows);
  return 2;
}


/* mode("keys"|"found") : true | nil, error */
static int l_mode(lua_State *L) {
  static const char *const names[] = {"found", "keys", NULL};
  int mode = luaL_checkoption(L, 1, NULL, names);
  int status = terminals_of(L)->mode(host_of(L), (enum terminal_mode)mode);
  return result(L, status, "mode", "stdin");
}


/* folder(base, below) : path | nil, error */
static int l_folder(lua_State *L) {
  const char *base = luaL_checkstring(L, 1);
  const char *path = lua_pushfstring(L, "%s/%s", base, luaL_checkstring(L, 2));
  int status = terminals_of(L)->folder(host_of(L), base, path);
  return status < 0 ? fail(L, status, "mkdir", path) : 1;
}


/* is_private(folder, uid) : true | nil, error */
static int l_is_private(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  unsigned uid = (unsigned)luaL_checkinteger(L, 2);
  return result(L, terminals_of(L)->is_private(host_of(L), path, uid), "check",
                path);
}


/* tail(path, most) : the last bytes | nil, error */
static int l_tail(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_Buffer b;
  luaL_argcheck(L, most > 0 && most < INT32_MAX, 2, "a size expected");
  char *bytes = luaL_buffinitsize(L, &b, (size_t)most);
  ssize_t n = terminals_of(L)->tail(host_of(L), path, bytes, (size_t)most);
  if (n < 0)
    return fail(L, (int)n, "open", path);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}


/* append(path, text, limit) : true | nil, error */
static int l_append(lua_State *L) {
  size_t n;
  const char *path = luaL_checkstring(L, 1);
  const char *text = luaL_checklstring(L, 2, &n);
  lua_Integer limit = luaL_checkinteger(L, 3);
  luaL_argcheck(L, limit > 0 && limit < INT32_MAX, 3, "a size expected");
  int status =
      terminals_of(L)->append(host_of(L), path, text, n, (size_t)limit);
  return result(L, status, "append", path);
}


/* sweep(folder) */
static int l_sweep(lua_State *L) {
  terminals_of(L)->sweep(host_of(L), luaL_checkstring(L, 1));
  return 0;
}


/* knock(pid, "attach"|"interrupt"|"where", tag?) : true | nil, error */
static int l_knock(lua_State *L) {
  static const char *const names[] = {"attach", "interrupt", "where", NULL};
  int pid = (int)luaL_checkinteger(L, 1);
  int what = luaL_checkoption(L, 2, NULL, names);
  unsigned tag = (unsigned)luaL_optinteger(L, 3, 0);
  int status = terminals_of(L)->knock(host_of(L), pid, (enum knock)what, tag);
  const char *where = lua_pushfstring(L, "process %d", pid);
  return result(L, status, "attach", where);
}


/* note(pid, tag, label) : text | nil: there is none (yet) */
static int l_note(lua_State *L) {
  enum { NOTE = 64 * 1024 };
  luaL_Buffer b;
  int pid = (int)luaL_checkinteger(L, 1);
  unsigned tag = (unsigned)luaL_checkinteger(L, 2);
  const char *label = luaL_checkstring(L, 3);
  char *text = luaL_buffinitsize(L, &b, NOTE);
  ssize_t n = terminals_of(L)->note(host_of(L), pid, tag, label, text, NOTE);
  if (n <= 0)
    return 0;
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}


/* root(pid) : path, below which the process's files are; "" if that is our own */
static int l_root(lua_State *L) {
  char path[64];
  int pid = (int)luaL_checkinteger(L, 1);
  terminals_of(L)->root(host_of(L), pid, path, sizeof path);
  lua_pushstring(L, path);
  return 1;
}


/* guard(fd, on) : true | nil, error */
static int l_guard(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  bool on = lua_toboolean(L, 2);
  return result(L, terminals_of(L)->guard(host_of(L), fd, on), "guard", NULL);
}


/* alive(pid) : boolean */
static int l_alive(lua_State *L) {
  int pid = (int)luaL_checkinteger(L, 1);
  lua_pushboolean(L, terminals_of(L)->alive(host_of(L), pid));
  return 1;
}


/* uid() : integer */
static int l_uid(lua_State *L) {
  lua_pushinteger(L, terminals_of(L)->uid(host_of(L)));
  return 1;
}


/* pid() : integer */
static int l_pid(lua_State *L) {
  host *h = host_of(L);
  lua_pushinteger(L, h->world->sys->processes->self(h));
  return 1;
}


static const luaL_Reg functions[] = {
    {"is_terminal", l_is_terminal},
    {"size", l_size},
    {"mode", l_mode},
    {"folder", l_folder},
    {"is_private", l_is_private},
    {"tail", l_tail},
    {"append", l_append},
    {"sweep", l_sweep},
    {"knock", l_knock},
    {"note", l_note},
    {"root", l_root},
    {"guard", l_guard},
    {"alive", l_alive},
    {"uid", l_uid},
    {"pid", l_pid},
    {"console", console_open},
    {NULL, NULL},
};


static int open_core(lua_State *L) {
  console_class(L);
  luaL_newlib(L, functions);
  set_text(L, "version", NEAP_VERSION);
  return 1;
}


int repl_open(lua_State *L) {
  host_module(L, "neap.repl.core", open_core);
  return 0;
}


/* require("neap.repl.attach").summoned() */
int repl_summoned(lua_State *L) {
  host_require(L, "neap.repl.attach");
  lua_getfield(L, -1, "summoned");
  lua_call(L, 0, 0);
  return 0;
}
