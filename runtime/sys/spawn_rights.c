#include "sys/spawn_rights.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sys/spawn_option.h"

enum { MOST_GROUPS = 65536 };


static int64_t parse_id(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  int64_t id = -1;
  if (lua_rawget(L, OPTIONS) != LUA_TNIL) {
    int is;
    id = lua_tointegerx(L, -1, &is);
    if (!is || id < 0 || id >= UINT32_MAX)
      spawn_bad(L, name, "a number");
  }
  lua_pop(L, 1);
  return id;
}


/*
** rlimits = {nofile = 256, core = 0, as = {soft, hard}}
*/

static const spawn_limit limits[] = {
    {.name = "rlimits.as", .resource = RLIMIT_AS},
    {.name = "rlimits.core", .resource = RLIMIT_CORE},
    {.name = "rlimits.cpu", .resource = RLIMIT_CPU},
    {.name = "rlimits.data", .resource = RLIMIT_DATA},
    {.name = "rlimits.fsize", .resource = RLIMIT_FSIZE},
    {.name = "rlimits.memlock", .resource = RLIMIT_MEMLOCK},
    {.name = "rlimits.nice", .resource = RLIMIT_NICE},
    {.name = "rlimits.nofile", .resource = RLIMIT_NOFILE},
    {.name = "rlimits.nproc", .resource = RLIMIT_NPROC},
    {.name = "rlimits.rtprio", .resource = RLIMIT_RTPRIO},
    {.name = "rlimits.sigpending", .resource = RLIMIT_SIGPENDING},
    {.name = "rlimits.stack", .resource = RLIMIT_STACK},
};


static const spawn_limit *find_limit(lua_State *L, int index) {
  const char *name =
      lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    if (strcmp(name, strchr(limits[i].name, '.') + 1) == 0)
      return &limits[i];
  spawn_unknown(L, "rlimits.", index);
  return NULL;
}


/* The number on top; math.huge is no limit. */
static uint64_t take_limit(lua_State *L, const char *name) {
  int is;
  lua_Integer n = lua_tointegerx(L, -1, &is);
  bool none = lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == HUGE_VAL;
  if (!none && (lua_type(L, -1) != LUA_TNUMBER || !is || n < 0))
    spawn_bad(L, name, "a number, math.huge, or {soft, hard}");
  lua_pop(L, 1);
  return none ? UINT64_MAX : (uint64_t)n;
}


/* Its name is at -2, its value at -1. */
static spawn_limit take_limits(lua_State *L) {
  spawn_limit l = *find_limit(L, -2);
  bool pair = lua_type(L, -1) == LUA_TTABLE;
  for (int i = 1; i <= 2; i++) {
    if (pair)
      lua_rawgeti(L, -1, i);
    else
      lua_pushvalue(L, -1);
    *(i == 1 ? &l.soft : &l.hard) = take_limit(L, l.name);
  }
  if (l.soft > l.hard)
    spawn_bad(L, l.name, "a soft limit that is no higher than the hard one");
  return l;
}


static void parse_limits(lua_State *L, spawnspec *spec) {
  if (!spawn_table(L, "rlimits", "a table, rlimits = {nofile = 256},"))
    return;
  size_t n = spawn_count(L);
  spec->limits = spawn_room(L, n, sizeof *spec->limits);
  lua_pushnil(L);
  for (size_t i = 0; i < n && lua_next(L, -2) != 0; i++, lua_pop(L, 1))
    spec->limits[spec->limit_count++] = take_limits(L);
  lua_settop(L, KEPT);
}


/*
** Who it is: groups = {id, ...}, umask = "022"
*/

static void parse_groups(lua_State *L, spawnspec *spec) {
  static const char expected[] = "a list of numbers";
  spec->group_count = -1;
  if (!spawn_table(L, "groups", expected))
    return;
  size_t n = lua_rawlen(L, -1);
  if (n != spawn_count(L) || n > MOST_GROUPS)
    spawn_bad(L, "groups", expected);
  spec->groups = spawn_room(L, n, sizeof *spec->groups);
  for (size_t i = 0; i < n; i++) {
    int is;
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    lua_Integer id = lua_tointegerx(L, -1, &is);
    if (lua_type(L, -1) != LUA_TNUMBER || !is || id < 0 || id >= UINT32_MAX)
      spawn_bad(L, "groups", expected);
    spec->groups[i] = (unsigned)id;
    lua_pop(L, 1);
  }
  spec->group_count = (int)n;
  lua_settop(L, KEPT);
}


/* A number would be read as decimal: Lua has no other one that begins with 0. */
static int parse_umask(lua_State *L) {
  lua_pushliteral(L, "umask");
  int type = lua_rawget(L, OPTIONS), mask = -1;
  if (type != LUA_TNIL) {
    const char *text = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
    size_t n = strspn(text, "01234567");
    if (n == 0 || n > 4 || text[n] != '\0' || strtol(text, NULL, 8) > 0777)
      spawn_bad(L, "umask", "a string of octal digits, \"022\",");
    mask = (int)strtol(text, NULL, 8);
  }
  lua_pop(L, 1);
  return mask;
}


void spawn_rights_check(lua_State *L, spawnspec *spec) {
  spec->uid = parse_id(L, "uid");
  spec->gid = parse_id(L, "gid");
  parse_groups(L, spec);
  spec->umask = parse_umask(L);
  parse_limits(L, spec);
}
