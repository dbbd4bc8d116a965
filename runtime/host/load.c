/*
** Code from files, as text only, and the modules that are built in.
**
** loadfile without a mode, dofile, and require's search for Lua files refuse
** bytecode, which Lua does not verify.  `load`, and loadfile with a mode, stay
** as Lua documents them.
*/

#include "host/load.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/embedded.h"
#include "host/host.h"

/* In the registry: C modules by name. */
#define MODULES "neap.modules"

/* What the names of the files of annotations begin with. */
#define META "neap.meta."


int host_load_file(lua_State *L, const char *path) {
  if (path != NULL && strcmp(path, "-") == 0)
    path = NULL;
  return luaL_loadfilex(L, path, "t");
}


/*
** loadfile(path?, mode?, env?)
*/

static int l_loadfile(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  const char *mode = luaL_optstring(L, 2, "t");
  bool env = !lua_isnone(L, 3);
  if (luaL_loadfilex(L, path, mode) != LUA_OK) {
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
  if (luaL_loadfilex(L, path, "t") != LUA_OK)
    return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, dofile_k);
  return dofile_k(L, 0, 0);
}


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
  if (host_load_file(L, path) != LUA_OK)
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
** builtin(name) : loader, where | nil
*/

static int l_builtin(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, MODULES);
  bool found =
      lua_getfield(L, -1, name) == LUA_TFUNCTION ||
      (!is_meta(name) && (load_from_folder(L, name) || load_embedded(L, name)));
  if (!found)
    return 0;
  lua_pushliteral(L, ":builtin:");
  return 2;
}


static const luaL_Reg functions[] = {
    {"loadfile", l_loadfile}, {"dofile", l_dofile}, {NULL, NULL}};


void load_open(lua_State *L) {
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  if (!load_embedded(L, "neap.require"))
    luaL_error(L, "the library is not built in");
  lua_pushcfunction(L, l_builtin);
  lua_call(L, 1, 0);
}
