#include "host/host.h"

#include <errno.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/guard.h"
#include "host/arena.h"
#include "host/census.h"
#include "host/class.h"
#include "host/coroutine.h"
#include "host/error.h"
#include "host/harmless.h"
#include "host/hook.h"
#include "host/lines.h"
#include "host/load.h"
#include "host/memory.h"
#include "host/restrict.h"
#include "host/slab.h"
#include "host/traceback.h"


/* A collection begins when memory has grown to so many per cent.  Starting a
 * million tasks takes a quarter less time than with Lua's own 200
 * (bench/tasks.lua), and 10,000 idle connections cost the same. */
enum { COLLECTOR_PAUSE = 300 };

/* KiB that may be allocated before the first one: what is made at start stays,
 * and a short script ends without any. */
enum { COLLECTOR_GRACE = 256 };


/* Of the size that they will have: growing to it takes longer. */
static void open_tables(lua_State *L) {
  enum { GLOBALS = 64, LOADED = 32 };
  lua_createtable(L, 0, GLOBALS);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_createtable(L, 0, LOADED);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}


static int open_libraries(lua_State *L) {
  open_tables(L);
  lua_pushboolean(L, host_of(L)->no_environment);
  lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV"); /* for loadlib.c */
  luaL_openlibs(L);
  if (guard_stands())
    restrict_open(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  luaopen_neap_coroutine(L);
  lua_pushvalue(L, -1);
  lua_setglobal(L, LUA_COLIBNAME);
  lua_setfield(L, -2, LUA_COLIBNAME);
  luaL_requiref(L, "neap.error", luaopen_neap_error, 0);
  lua_settop(L, 0);
  hook_open(L);
  traceback_open(L); /* before neap.require, which keeps parts of debug */
  load_open(L);
  host_module(L, "neap.class.core", luaopen_neap_class_core);
  host_module(L, "neap.census.core", luaopen_neap_census_core);
  host_module(L, "neap.lines.core", luaopen_neap_lines);
  if (guard_stands())
    restrict_close(L);
  lua_gc(L, LUA_GCINC, COLLECTOR_PAUSE, 0, 0);
  return 0;
}


/* An error outside every call: abort() follows. */
static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fputs("neap: ", stderr);
  harmless_text(stderr, message != NULL ? message : "no message");
  fputc('\n', stderr);
  return 0;
}


/* A message in pieces; what begins with @ is for us. */
static void warn(void *about, const char *message, int to_be_continued) {
  host *h = about;
  if (!h->warning && !to_be_continued && message[0] == '@') {
    if (strcmp(message, "@on") == 0)
      h->warns = true;
    else if (strcmp(message, "@off") == 0)
      h->warns = false;
    return;
  }
  if (h->warns) {
    fputs(h->warning ? "" : "Lua warning: ", stderr);
    harmless_text(stderr, message);
    fputs(to_be_continued ? "" : "\n", stderr);
  }
  h->warning = to_be_continued != 0;
}


static lua_State *new_in_memory(host *h) {
  if (h->arena != NULL)
    return lua_newstate(arena_alloc, h->arena);
  h->slab = slab_new();
  return h->slab != NULL ? lua_newstate(slab_alloc, h->slab) : NULL;
}


static lua_State *new_state(host *h) {
  lua_State *L = new_in_memory(h);
  if (L == NULL)
    return NULL;
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, h);
  lua_gc(L, LUA_GCSTEP, -COLLECTOR_GRACE); /* as if so much had been freed */
  return L;
}


bool host_open(host *h) {
  if (h->label == NULL)
    h->label = "neap";
  h->L = new_state(h);
  if (h->L == NULL) {
    host_close(h);
    return false;
  }
  *(host **)lua_getextraspace(h->L) = h;
  lua_pushcfunction(h->L, open_libraries);
  if (host_call(h, 0, 0))
    return true;
  fputs("neap: ", stderr);
  harmless_text(stderr, lua_tostring(h->L, -1));
  fputc('\n', stderr);
  host_close(h);
  return false;
}


void host_close(host *h) {
  h->ended = true;
  h->running = NULL; /* no signal is to set a hook there */
  if (h->L != NULL)
    lua_close(h->L);
  lines_free(h);
  if (h->slab != NULL)
    slab_free(h->slab);
  if (h->arena != NULL)
    arena_free(h->arena);
  h->L = NULL;
  h->slab = NULL;
  h->arena = NULL;
}


int host_flush(int status) {
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout))
    return status;
  fprintf(stderr, "neap: stdout: %s\n",
          errno != 0 ? strerror(errno) : "not all of it was written");
  return status != 0 ? status : EXIT_FAILURE;
}


void host_tell(host *h, const char *text, size_t n) {
  if (h->told == NULL)
    h->told = strndup(text, n);
  fflush(stdout);
  fprintf(stderr, "%s: ", h->label);
  harmless_print(stderr, text, n, HARMLESS_LINES);
  fputc('\n', stderr);
}


static int new_userdata(lua_State *L) {
  if (host_of(L)->ended)
    return luaL_error(L, "the program has ended");
  lua_newuserdatauv(L, (size_t)lua_tointeger(L, 1), (int)lua_tointeger(L, 2));
  return 1;
}


void *host_box(lua_State *L, const char *class, size_t size, int values) {
  lua_pushcfunction(L, new_userdata);
  lua_pushinteger(L, (lua_Integer)size);
  lua_pushinteger(L, values);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK)
    return NULL;
  luaL_setmetatable(L, class);
  return lua_touserdata(L, -1);
}


int host_class(lua_State *L, const char *class) {
  luaL_getmetatable(L, class);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}


static int traced(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  lua_pushliteral(L, "\n");
  traceback_push(L, L, 1);
  lua_concat(L, 3);
  return 1;
}


bool host_call(host *h, int nargs, int nresults) {
  int handler = lua_gettop(h->L) - nargs;
  lua_pushcfunction(h->L, traced);
  lua_insert(h->L, handler);
  bool ok = lua_pcall(h->L, nargs, nresults, handler) == LUA_OK;
  lua_remove(h->L, handler);
  return ok;
}
