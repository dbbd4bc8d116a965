/*
** Code from files, as text only, and the modules that are built in.
**
** The globals, and what is in the standard libraries, are the script's, who may
** replace any of it at any time.  So neap's own modules, whenever they are
** loaded, have other globals: copies, made before the script runs.
**
** loadfile without a mode, dofile, and require's search for Lua files refuse
** bytecode, which Lua does not verify.  `load`, and loadfile with a mode, stay
** as Lua documents them.
*/

#include "host/load.h"

#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard.h"
#include "host/carried.h"
#include "host/coroutine.h"
#include "host/embedded.h"
#include "host/host.h"
#include "host/restrict.h"
#include "host/traceback.h"

/* Keys of the registry: the globals of neap's own code, once there is such; a list
 * of what is kept for them; and what is `require` there. */
static const char own_globals, own_values, own_require;

/* In the registry: C modules by name. */
#define MODULES "neap.modules"

/* What the names of the files of annotations begin with. */
#define META "neap.meta."


/* Lua names the file where a text is wrong, but not one whose kind is refused. */
static int name_refused(lua_State *L, int status, const char *path) {
  static const char refusal[] = "attempt to load a ";
  if (status != LUA_ERRSYNTAX || path == NULL ||
      strncmp(lua_tostring(L, -1), refusal, sizeof refusal - 1) != 0)
    return status;
  lua_pushfstring(L, "%s: %s", path, lua_tostring(L, -1));
  lua_remove(L, -2);
  return status;
}


int host_load_file(lua_State *L, const char *path) {
  if (path != NULL && strcmp(path, "-") == 0)
    path = NULL;
  bool free = path == NULL || path == host_of(L)->script;
  int status = guard_stands() && !free ? restrict_load(L, path)
                                       : luaL_loadfilex(L, path, "t");
  return name_refused(L, status, path);
}


/* Of a script's own asking. */
static int load_file(lua_State *L, const char *path, const char *mode) {
  int status = guard_stands() && path != NULL ? restrict_load(L, path)
                                              : luaL_loadfilex(L, path, mode);
  return name_refused(L, status, path);
}


static void add_folder(lua_State *L, const char *script) {
  const char *slash = strrchr(script, '/');
  if (slash != NULL)
    lua_pushlstring(L, script, (size_t)(slash - script));
  else
    lua_pushliteral(L, ".");
  const char *folder = lua_tostring(L, -1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder,
                  lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 4);
}


/* What is next to the file that it is a link to comes behind what is next to it. */
void host_add_folders(lua_State *L, const char *script) {
  char real[PATH_MAX];
  if (readlink(script, real, 1) >= 0 && realpath(script, real) != NULL)
    add_folder(L, real);
  add_folder(L, script);
}


/*
** loadfile(path?, mode?, env?)
*/

static int l_loadfile(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  const char *mode = luaL_optstring(L, 2, "t");
  bool env = !lua_isnone(L, 3);
  if (load_file(L, path, guard_stands() ? "t" : mode) != LUA_OK) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (env) {
    lua_pushvalue(L, 3);
    if (lua_setupvalue(L, -2, 1) == NULL)
      lua_pop(L, 1);
  }
  return 1;
}


/*
** dofile(path?)
*/

static int dofile_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L) - 1;
}


static int l_dofile(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  if (load_file(L, path, "t") != LUA_OK)
    return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, dofile_k);
  return dofile_k(L, 0, 0);
}


static const luaL_Reg functions[] = {
    {"loadfile", l_loadfile}, {"dofile", l_dofile}, {NULL, NULL}};


void host_module(lua_State *L, const char *name, lua_CFunction open) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, MODULES);
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}


/* While developing, NEAP_LUA names the folder that holds neap/.  Leaves the
 * path on the stack. */
static FILE *open_in_folder(lua_State *L, const char *name, const char **path) {
  const char *folder = getenv("NEAP_LUA");
  if (folder == NULL || folder[0] == '\0')
    return NULL;
  *path = luaL_gsub(L, name, ".", "/");
  *path = lua_pushfstring(L, "%s/%s.lua", folder, *path);
  return fopen(*path, "re");
}


static bool load_from_folder(lua_State *L, const char *name) {
  const char *path;
  FILE *f = open_in_folder(L, name, &path);
  if (f == NULL)
    return false;
  fclose(f);
  if (luaL_loadfilex(L, path, "t") != LUA_OK)
    lua_error(L);
  return true;
}


static const struct embedded_module *embedded(const char *name) {
  const struct embedded_module *m = embedded_modules;
  while (m->name != NULL && strcmp(m->name, name) != 0)
    m++;
  return m->name != NULL ? m : NULL;
}


static bool load_embedded(lua_State *L, const char *name) {
  const struct embedded_module *m = embedded(name);
  if (m == NULL)
    return false;
  if (luaL_loadbufferx(L, (const char *)m->code, m->code_size, name, "b") != 0)
    lua_error(L);
  return true;
}


/* Annotations are no module: to be read, not to be run. */
static bool is_meta(const char *name) {
  return strncmp(name, META, sizeof META - 1) == 0;
}


static void push_file(lua_State *L, FILE *f) {
  luaL_Buffer b;
  size_t n;
  luaL_buffinit(L, &b);
  while ((n = fread(luaL_prepbuffer(&b), 1, LUAL_BUFFERSIZE, f)) > 0)
    luaL_addsize(&b, n);
  fclose(f);
  luaL_pushresult(&b);
}


int load_source(lua_State *L) {
  const char *path, *name = luaL_checkstring(L, 1);
  const struct embedded_module *m = embedded(name);
  FILE *f = open_in_folder(L, name, &path);
  if (f != NULL)
    push_file(L, f);
  else if (m != NULL)
    lua_pushlstring(L, (const char *)m->text, m->size);
  else
    lua_pushnil(L);
  return 1;
}


int load_modules(lua_State *L) {
  lua_Integer n = 0;
  lua_newtable(L);
  for (const struct embedded_module *m = embedded_modules; m->name; m++) {
    if (is_meta(m->name))
      continue;
    lua_pushstring(L, m->name);
    lua_rawseti(L, -2, ++n);
  }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, MODULES);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, -5, ++n);
  }
  lua_pop(L, 1);
  return 1;
}


/*
** The globals of neap's own code
**
** They are made when the first of it is loaded, and a library when it is first
** used: Lua's own open functions make them anew, whatever the script did to its.
** What can't be had twice is kept from the start on.
*/

/* A library, and what is kept of it. */
static const char *const kept[][10] = {
    {"_G", "package", "pcall", "print", "xpcall"},
    {"math", "floor", "huge", "max", "maxinteger", "min", "tointeger", "type"},
    {"io", "open", "read", "stderr", "stdout", "type"},
    {"os", "clock", "exit", "getenv", "remove", "tmpname"},
    {"coroutine", "running", "status"}};

enum {
  KEPT = sizeof kept / sizeof *kept,
  GLOBALS = 40, /* about so many there are */
  FIELDS = 8    /* and of a library that is kept */
};


int host_seal(lua_State *L) {
  lua_createtable(L, KEPT * FIELDS, 0);
  for (int i = 0, n = 0; i < KEPT; i++) {
    lua_getglobal(L, kept[i][0]);
    for (const char *const *name = kept[i] + 1; *name != NULL; name++) {
      lua_getfield(L, -1, *name);
      lua_rawseti(L, -3, ++n);
    }
    lua_pop(L, 1);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &own_values);
  if (guard_stands())
    restrict_environment(L);
  return 0;
}


/* Open a library when it is first used; what has not been kept is no good. */
static int l_missing(lua_State *L);


/* Set in the table on top the values from number n on. */
static int put_values(lua_State *L, const char *const *names, int n) {
  int list = lua_absindex(L, -2);
  for (; *names != NULL; names++) {
    lua_rawgeti(L, list, n++);
    lua_setfield(L, -2, *names);
  }
  return n;
}


/* Set in the table on top what host_seal has kept. */
static void put_kept(lua_State *L) {
  int own = lua_gettop(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &own_values) != LUA_TTABLE) {
    lua_pop(L, 1);
    host_seal(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &own_values);
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_missing);
  lua_setfield(L, -2, "__index");
  int missing = lua_gettop(L);
  for (int i = 0, n = 1; i < KEPT; i++) {
    lua_pushvalue(L, missing - 1);
    if (i == 0)
      lua_pushvalue(L, own);
    else
      lua_createtable(L, 0, FIELDS);
    n = put_values(L, kept[i] + 1, n);
    lua_pushvalue(L, missing);
    lua_setmetatable(L, -2);
    if (i > 0)
      lua_setfield(L, own, kept[i][0]);
    lua_settop(L, missing);
  }
  lua_settop(L, own);
}


/* The methods of strings stay those of the script's library. */
static int open_string(lua_State *L) {
  lua_pushliteral(L, "");
  if (lua_getmetatable(L, -1) == 0)
    lua_pushnil(L);
  lua_pushcfunction(L, luaopen_string);
  int status = lua_pcall(L, 0, 1, 0);
  lua_insert(L, -3);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  return status == LUA_OK ? 1 : lua_error(L);
}


static int open_debug(lua_State *L) {
  luaopen_debug(L);
  traceback_set(L);
  return 1;
}


static const luaL_Reg libraries[] = {{LUA_STRLIBNAME, open_string},
                                     {LUA_TABLIBNAME, luaopen_table},
                                     {LUA_UTF8LIBNAME, luaopen_utf8},
                                     {LUA_DBLIBNAME, open_debug},
                                     {NULL, NULL}};


static int l_missing(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  const luaL_Reg *library = libraries;
  while (library->name != NULL && strcmp(library->name, name) != 0)
    library++;
  if (library->name == NULL)
    return luaL_error(L, "neap's own code has no '%s' (load.c)", name);
  lua_pushcfunction(L, library->func);
  lua_call(L, 0, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, 1, name);
  return 1;
}


/* luaopen_base fills the globals, whichever they are just then. */
static void open_base(lua_State *L) {
  lua_pushglobaltable(L);
  lua_pushvalue(L, -2);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushcfunction(L, luaopen_base);
  int status = lua_pcall(L, 0, 0, 0);
  lua_pushvalue(L, status == LUA_OK ? -1 : -2);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  if (status != LUA_OK)
    lua_error(L);
  lua_setfield(L, -2, "_G");
}


/* What is loaded stays known; the rest of package is the script's, as it is. */
static void put_package(lua_State *L) {
  lua_createtable(L, 0, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_setfield(L, -2, "loaded");
  lua_createtable(L, 0, 1);
  lua_getfield(L, -3, "package");
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "package");
}


static void build(lua_State *L) {
  lua_createtable(L, 0, GLOBALS);
  open_base(L);
  luaL_setfuncs(L, functions, 0);
  put_kept(L);
  put_package(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &own_require);
  lua_setfield(L, -2, "require");
}


static void push_own_globals(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &own_globals) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  build(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &own_globals);
}


void host_own(lua_State *L) {
  push_own_globals(L);
  lua_setupvalue(L, -2, 1);
}


void host_global(lua_State *L, const char *name) {
  push_own_globals(L);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}


void host_require(lua_State *L, const char *name) {
  host_global(L, "require");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}


/*
** builtin(name, own?) : loader, where | nil.  own: neap's own code asks
*/

static int l_builtin(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (guard_stands() && !lua_toboolean(L, 2) && restrict_keeps(name))
    return 0;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, MODULES);
  if (lua_getfield(L, -1, name) != LUA_TFUNCTION) {
    if (is_meta(name) || !(load_from_folder(L, name) || load_embedded(L, name)))
      return carried_module(L, name) ? 2 : 0;
    host_own(L);
  }
  lua_pushliteral(L, ":builtin:");
  return 2;
}


void load_open(lua_State *L) {
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  if (!load_embedded(L, "neap.require"))
    luaL_error(L, "the library is not built in");
  lua_pushcfunction(L, l_builtin);
  lua_call(L, 1, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &own_require);
}
