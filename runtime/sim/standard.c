#include "sim/standard.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <linux/magic.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "host/host.h"

static int refuse(lua_State *L, const char *what) {
  errno = ENOSYS;
  return luaL_fileresult(L, 0, what);
}


/* Go on as the function before, upvalue 3, with its upvalues, 1 and 2: by a plain call,
 * so that its errors tell the name by which the script has called. */
static int original(lua_State *L) {
  return lua_tocfunction(L, lua_upvalueindex(3))(L);
}


/*
** os
*/

void sim_push_environment(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, HOST_ENVIRONMENT);
}


static int l_getenv(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  sim_push_environment(L);
  lua_insert(L, 1);
  lua_rawget(L, 1);
  return 1;
}


static int l_change(lua_State *L) {
  return refuse(L, luaL_checkstring(L, 1));
}


static int l_tmpname(lua_State *L) {
  return luaL_error(L, "unable to generate a unique filename: %s",
                    strerrordesc_np(ENOSYS));
}


static int l_execute(lua_State *L) {
  if (!lua_isnoneornil(L, 1))
    return original(L);
  lua_pushboolean(L, false);
  return 1;
}


static int l_setlocale(lua_State *L) {
  static const char *const names[] = {"C", "POSIX", ""};
  const char *name = luaL_optstring(L, 1, "C");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i]) == 0) {
      lua_pushliteral(L, "C");
      return 1;
    }
  }
  luaL_pushfail(L);
  return 1;
}


/* As that of UTC, which a "!" asks for. */
static int l_date(lua_State *L) {
  const char *format = luaL_optstring(L, 1, "%c");
  if (lua_isnone(L, 1))
    lua_settop(L, 1);
  lua_pushfstring(L, "%s%s", format[0] == '!' ? "" : "!", format);
  lua_replace(L, 1);
  return original(L);
}


/* A field of os.time's table: `none` where it may be missing, which INT_MIN may not.
 * What it is less is what struct tm counts from. */
static int field(lua_State *L, const char *name, int none, int less) {
  int is_integer;
  int type = lua_getfield(L, 1, name);
  lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  lua_pop(L, 1);
  if (!is_integer && type != LUA_TNIL)
    return luaL_error(L, "field '%s' is not an integer", name);
  if (!is_integer && none == INT_MIN)
    return luaL_error(L, "field '%s' missing in date table", name);
  if (!is_integer)
    return none;
  if (value > INT_MAX || value < (lua_Integer)INT_MIN + less)
    return luaL_error(L, "field '%s' is out-of-bound", name);
  return (int)value - less;
}


static void set(lua_State *L, const char *name, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, 1, name);
}


static int l_time(lua_State *L) {
  if (lua_isnoneornil(L, 1))
    return original(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct tm t = {0};
  t.tm_year = field(L, "year", INT_MIN, 1900);
  t.tm_mon = field(L, "month", INT_MIN, 1);
  t.tm_mday = field(L, "day", INT_MIN, 0);
  t.tm_hour = field(L, "hour", 12, 0);
  t.tm_min = field(L, "min", 0, 0);
  t.tm_sec = field(L, "sec", 0, 0);
  time_t seconds = timegm(&t);
  set(L, "year", t.tm_year + 1900);
  set(L, "month", t.tm_mon + 1);
  set(L, "day", t.tm_mday);
  set(L, "hour", t.tm_hour);
  set(L, "min", t.tm_min);
  set(L, "sec", t.tm_sec);
  set(L, "yday", t.tm_yday + 1);
  set(L, "wday", t.tm_wday + 1);
  lua_pushboolean(L, false);
  lua_setfield(L, 1, "isdst");
  lua_pushinteger(L, (lua_Integer)seconds);
  return 1;
}


/*
** io
*/

/* What is no device (/dev/urandom), nothing that the kernel makes up (/proc), and not what
 * says whom this machine asks for names, which are not the network's. */
static bool is_ordinary(const char *path) {
  struct stat st;
  struct statfs fs;
  if (strcmp(path, "/etc/resolv.conf") == 0)
    return false;
  if (stat(path, &st) != 0)
    return true; /* and cannot be opened */
  return (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
         statfs(path, &fs) == 0 && fs.f_type != PROC_SUPER_MAGIC &&
         fs.f_type != SYSFS_MAGIC;
}


static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const char *mode = luaL_optstring(L, 2, "r");
  if (strpbrk(mode, "wa+") != NULL || !is_ordinary(path))
    return refuse(L, path);
  return original(L);
}


/* io.input, io.lines: those of a name read. */
static int l_read_from(lua_State *L) {
  const char *path = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;
  if (path != NULL && !is_ordinary(path))
    return luaL_error(L, "%s: %s", path, strerrordesc_np(ENOSYS));
  return original(L);
}


static int l_write_to(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING)
    return luaL_error(L, "%s: %s", lua_tostring(L, 1), strerrordesc_np(ENOSYS));
  return original(L);
}


static int l_tmpfile(lua_State *L) {
  return refuse(L, "tmpfile");
}


static int close_input(lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  fclose(s->f);
  lua_pushboolean(L, true);
  return 1;
}


static void empty_input(lua_State *L) {
  lua_getglobal(L, LUA_IOLIBNAME);
  lua_getfield(L, -1, "stdin");
  luaL_Stream *s = luaL_checkudata(L, -1, LUA_FILEHANDLE);
  FILE *nothing = fopencookie(NULL, "r", (cookie_io_functions_t){NULL});
  if (nothing == NULL)
    luaL_error(L, "stdin: %s", strerrordesc_np(errno));
  s->f = nothing;
  s->closef = close_input;
  lua_pop(L, 2);
}


/*
** All
*/

static const struct {
  const char *library, *name;
  lua_CFunction f;
} functions[] = {
    {LUA_OSLIBNAME, "getenv", l_getenv},
    {LUA_OSLIBNAME, "remove", l_change},
    {LUA_OSLIBNAME, "rename", l_change},
    {LUA_OSLIBNAME, "tmpname", l_tmpname},
    {LUA_OSLIBNAME, "execute", l_execute},
    {LUA_OSLIBNAME, "setlocale", l_setlocale},
    {LUA_OSLIBNAME, "date", l_date},
    {LUA_OSLIBNAME, "time", l_time},
    {LUA_IOLIBNAME, "open", l_open},
    {LUA_IOLIBNAME, "input", l_read_from},
    {LUA_IOLIBNAME, "lines", l_read_from},
    {LUA_IOLIBNAME, "output", l_write_to},
    {LUA_IOLIBNAME, "tmpfile", l_tmpfile},
};


/* Wrap the field of the table on top. */
static void wrap(lua_State *L, const char *name, lua_CFunction f) {
  lua_getfield(L, -1, name);
  for (int i = 1; i <= 2; i++)
    if (lua_getupvalue(L, -i, i) == NULL)
      lua_pushnil(L);
  lua_rotate(L, -3, -1);
  lua_pushcclosure(L, f, 3);
  lua_setfield(L, -2, name);
}


int sim_standard_open(lua_State *L) {
  if (!host_replays(host_of(L)))
    return 0;
  lua_newtable(L);
  lua_setfield(L, LUA_REGISTRYINDEX, HOST_ENVIRONMENT);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_getglobal(L, functions[i].library);
    wrap(L, functions[i].name, functions[i].f);
    lua_pop(L, 1);
  }
  empty_input(L);
  return 0;
}
