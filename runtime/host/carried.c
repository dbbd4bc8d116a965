#include "host/carried.h"

#include <lauxlib.h>
#include <string.h>

/* In the file of the executable `neap build` finds these words, and writes behind
 * them where the files are, from the lowest byte on. */
enum { NUMBER = 8 };
static const volatile struct {
  char words[24];
  unsigned char at[NUMBER], size[NUMBER];
} mark = {"neap carries a program: ", {0}, {0}};

/* How they end: who copies or strips the executable may lose some. */
static const char end[] = "neap ends here.\n";

static const char *carried; /* NULL: nothing is */
static size_t carried_size; /* without the end */
static const char *executable;


static uint64_t number(const volatile unsigned char *bytes) {
  uint64_t n = 0;
  for (int i = NUMBER - 1; i >= 0; i--)
    n = n << 8 | bytes[i];
  return n;
}


bool carried_place(uint64_t *at, uint64_t *size) {
  *at = number(mark.at);
  *size = number(mark.size);
  return *at != 0 && mark.words[0] != '\0';
}


bool carried_set(const char *bytes, size_t size, const char *path) {
  size_t tail = sizeof end - 1;
  if (size < tail || memcmp(bytes + size - tail, end, tail) != 0)
    return false;
  carried = bytes;
  carried_size = size - tail;
  executable = path;
  return true;
}


const char *carried_by(void) {
  return executable;
}


/* Take a number and as many bytes; NULL: there are not so many. */
static const char *take(size_t *at, size_t *size) {
  if (carried_size - *at < NUMBER)
    return NULL;
  uint64_t n = number((const unsigned char *)carried + *at);
  if (n > carried_size - *at - NUMBER)
    return NULL;
  const char *bytes = carried + *at + NUMBER;
  *at += NUMBER + (size_t)n;
  *size = (size_t)n;
  return bytes;
}


bool carried_next(size_t *at, carried_file *file) {
  if (carried == NULL)
    return false;
  file->path = take(at, &file->length);
  file->bytes = file->path == NULL ? NULL : take(at, &file->size);
  return file->bytes != NULL;
}


bool carried_find(const char *path, carried_file *file) {
  size_t n = strlen(path);
  for (size_t at = 0; carried_next(&at, file);)
    if (file->length == n && n > 0 && memcmp(file->path, path, n) == 0)
      return true;
  return false;
}


int carried_load(lua_State *L, const carried_file *file) {
  lua_pushliteral(L, "@");
  lua_pushlstring(L, file->path, file->length);
  lua_concat(L, 2);
  int status =
      luaL_loadbufferx(L, file->bytes, file->size, lua_tostring(L, -1), "t");
  lua_remove(L, -2);
  return status;
}


bool carried_module(lua_State *L, const char *name) {
  static const char *const forms[] = {"%s.lua", "%s/init.lua"};
  carried_file file;
  if (carried == NULL)
    return false;
  int top = lua_gettop(L);
  const char *path = luaL_gsub(L, name, ".", "/");
  for (int i = 0; i < 2; i++) {
    const char *tried = lua_pushfstring(L, forms[i], path);
    if (!carried_find(tried, &file))
      continue;
    if (carried_load(L, &file) != LUA_OK)
      luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name,
                 tried, lua_tostring(L, -1));
    lua_insert(L, top + 1);
    lua_settop(L, top + 1);
    lua_pushlstring(L, file.path, file.length);
    return true;
  }
  lua_settop(L, top);
  return false;
}


int carried_lua(lua_State *L) {
  carried_file file;
  if (lua_isnoneornil(L, 1))
    lua_pushboolean(L, carried != NULL);
  else if (carried_find(luaL_checkstring(L, 1), &file))
    lua_pushlstring(L, file.bytes, file.size);
  else
    lua_pushnil(L);
  return 1;
}
