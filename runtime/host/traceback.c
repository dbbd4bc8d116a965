#include "host/traceback.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

static const char ours[] = "\n\tneap.require:";
static const char tail[] = "\n\t(...tail calls...)";
static const char raised[] = "\n\t[C]: in function 'error'";
static const char instead[] = "\n\t[C]: in function 'require'";


static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}


/* The end of the line whose newline is at text. */
static const char *line_end(const char *text) {
  return text + 1 + strcspn(text + 1, "\n");
}


/* Behind the lines at text that are all of one `require`; text: there are none. */
static const char *skip(const char *text) {
  const char *at = begins(text, raised) ? line_end(text) : text;
  if (!begins(at, ours))
    return text;
  while (begins(at, ours) || begins(at, tail))
    at = line_end(at);
  return at;
}


/* Replace the traceback on top. */
static void shorten(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  if (strstr(text, ours) == NULL)
    return;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  const char *end = text + strcspn(text, "\n");
  luaL_addlstring(&b, text, (size_t)(end - text));
  for (text = end; *text != '\0'; text = end) {
    end = skip(text);
    if (end != text) {
      luaL_addstring(&b, instead);
      continue;
    }
    end = line_end(text);
    luaL_addlstring(&b, text, (size_t)(end - text));
  }
  luaL_pushresult(&b);
  lua_remove(L, -2);
}


void traceback_push(lua_State *L, lua_State *of, int level) {
  luaL_traceback(L, of, NULL, level);
  shorten(L);
}


bool traceback_script(lua_State *L, int level, lua_Debug *ar) {
  for (; lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "Sl", ar);
    if (ar->currentline > 0 && !begins(ar->source, "=neap."))
      return true;
  }
  return false;
}


void traceback_error(lua_State *L, const char *words) {
  lua_Debug ar;
  if (traceback_script(L, 1, &ar))
    lua_pushfstring(L, "%s:%d: %s", ar.short_src, ar.currentline, words);
  else
    lua_pushstring(L, words);
  lua_error(L);
  abort();
}


/*
** debug.traceback(thread?, message?, level?)
*/

static int l_traceback(lua_State *L) {
  lua_State *of = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  int first = lua_isthread(L, 1) ? 2 : 1;
  bool untouched = !lua_isnoneornil(L, first) && !lua_isstring(L, first);
  if (untouched) {
    lua_pushvalue(L, first);
    return 1;
  }
  int level = (int)luaL_optinteger(L, first + 1, of == L);
  if (!lua_isnoneornil(L, first)) {
    lua_pushvalue(L, first);
    lua_pushliteral(L, "\n");
    traceback_push(L, of, level);
    lua_concat(L, 3);
  } else {
    traceback_push(L, of, level);
  }
  return 1;
}


void traceback_set(lua_State *L) {
  lua_pushcfunction(L, l_traceback);
  lua_setfield(L, -2, "traceback");
}


void traceback_open(lua_State *L) {
  lua_getglobal(L, LUA_DBLIBNAME);
  traceback_set(L);
  lua_pop(L, 1);
}
