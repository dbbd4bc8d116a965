#include "sim/program.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "host/memory.h"
#include "sched/task.h"
#include "sim/standard.h"


static char *text_at(lua_State *L, int index) {
  size_t n;
  const char *text = lua_tolstring(L, index, &n);
  return memory_text(text, n);
}


static void read_arguments(lua_State *L, int index, program *p) {
  int n = lua_istable(L, index) ? (int)lua_rawlen(L, index) : 0;
  p->args = memory_grow(NULL, ((size_t)n + 1) * sizeof *p->args);
  for (int i = 1; i <= n; i++) {
    if (lua_rawgeti(L, index, i) == LUA_TSTRING) /* there may be holes */
      p->args[p->nargs++] = text_at(L, -1);
    lua_pop(L, 1);
  }
}


static void read_environment(lua_State *L, int index, program *p) {
  size_t n = 0;
  if (!lua_istable(L, index))
    return;
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1))
    n++;
  p->env = memory_grow(NULL, (2 * n + 1) * sizeof *p->env);
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
    p->env[p->nenv++] = text_at(L, -2);
    p->env[p->nenv++] = text_at(L, -1);
  }
}


/* The key below the top is what it is to be. */
static bool is_key(lua_State *L, bool of_list) {
  return of_list ? lua_isinteger(L, -2) : lua_type(L, -2) == LUA_TSTRING;
}


/* Strings only: what is not is told before anything is had. */
static void check_strings(lua_State *L, int index, bool is_list,
                          const char *what) {
  if (lua_isnoneornil(L, index))
    return;
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1))
    if (lua_type(L, -1) != LUA_TSTRING || !is_key(L, is_list))
      luaL_error(L, "%s: a table of strings expected, got %s in it", what,
                 luaL_typename(L, is_key(L, is_list) ? -1 : -2));
}


program *program_read(lua_State *L, int index) {
  luaL_checkstring(L, index);
  check_strings(L, index + 2, true, "args");
  check_strings(L, index + 3, false, "env");
  luaL_checkstack(L, 4, NULL);
  program *p = memory_new(sizeof *p);
  p->name = text_at(L, index);
  if (lua_isstring(L, index + 1)) {
    p->code = text_at(L, index + 1);
    p->code_size = lua_rawlen(L, index + 1);
  }
  read_arguments(L, index + 2, p);
  read_environment(L, index + 3, p);
  return p;
}


void program_free(program *p) {
  for (int i = 0; i < p->nargs; i++)
    free(p->args[i]);
  for (int i = 0; i < p->nenv; i++)
    free(p->env[i]);
  free(p->args);
  free(p->env);
  free(p->name);
  free(p->code);
  free(p);
}


/*
** In the node's own host
*/

static void set_environment(lua_State *L, const program *p) {
  sim_push_environment(L);
  for (int i = 0; i < p->nenv; i += 2) {
    lua_pushstring(L, p->env[i + 1]);
    lua_setfield(L, -2, p->env[i]);
  }
  lua_pop(L, 1);
}


static void set_arg(lua_State *L, const program *p) {
  lua_createtable(L, p->nargs, 1);
  lua_pushstring(L, p->name);
  lua_rawseti(L, -2, 0);
  for (int i = 0; i < p->nargs; i++) {
    lua_pushstring(L, p->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "arg");
}


static void push_function(lua_State *L, const program *p) {
  if (p->module) {
    host_require(L, p->name);
    return;
  }
  int status = p->code == NULL
                   ? host_load_file(L, p->name)
                   : luaL_loadbufferx(L, p->code, p->code_size, p->name, NULL);
  if (status != LUA_OK)
    lua_error(L);
  if (p->code == NULL)
    host_add_folders(L, p->name);
}


int program_start(lua_State *L) {
  const program *p = lua_touserdata(L, 1);
  set_environment(L, p);
  set_arg(L, p);
  if (p->directs)
    host_require(L, "neap.sim.director");
  push_function(L, p);
  luaL_checkstack(L, p->nargs, "too many arguments");
  for (int i = 0; i < p->nargs; i++)
    lua_pushstring(L, p->args[i]);
  host_of(L)->begun = true;
  task_spawn(L, NULL, p->nargs + p->directs);
  lua_pushliteral(L, "main");
  lua_setfield(L, -2, "name");
  return 0;
}
