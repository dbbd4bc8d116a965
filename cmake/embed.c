/*
** What the build runs to put the Lua modules into neap, compiled:
**
**   embed OUTPUT ROOT FILE...
**
** OUTPUT is a C file with the table that host/embedded.h declares; a FILE is
** relative to ROOT, neap/net.lua.  Parsing them at each start would take most
** of it.  Names and lines stay in, for errors; the texts are there, too, for
** who asks what a function is.
*/

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void stop(const char *what, const char *about) {
  fprintf(stderr, "embed: %s: %s\n", what, about);
  exit(EXIT_FAILURE);
}


/* neap/net.lua and neap/net/init.lua: neap.net */
static const char *push_name(lua_State *L, const char *file) {
  const char *slash = strrchr(file, '/');
  size_t n = strlen(file);
  if (n < 5 || strcmp(file + n - 4, ".lua") != 0)
    stop(file, "NAME.lua expected");
  n -= 4;
  if (slash != NULL && strcmp(slash, "/init.lua") == 0)
    n = (size_t)(slash - file);
  lua_pushlstring(L, file, n);
  return luaL_gsub(L, lua_tostring(L, -1), "/", ".");
}


static void push_text(lua_State *L, const char *root, const char *file) {
  const char *path = lua_pushfstring(L, "%s/%s", root, file);
  FILE *f = fopen(path, "rb");
  luaL_Buffer text;
  if (f == NULL)
    stop(path, "cannot be opened");
  luaL_buffinit(L, &text);
  for (size_t n = 1; n > 0;) {
    char *room = luaL_prepbuffer(&text);
    n = fread(room, 1, LUAL_BUFFERSIZE, f);
    luaL_addsize(&text, n);
  }
  fclose(f);
  luaL_pushresult(&text);
}


/* Push the function that the text on top is. */
static void compile(lua_State *L, const char *file) {
  const char *text = lua_tostring(L, -1);
  size_t n = lua_rawlen(L, -1);
  const char *chunk = lua_pushfstring(L, "=%s", push_name(L, file));
  if (luaL_loadbufferx(L, text, n, chunk, "t") != LUA_OK)
    stop(file, lua_tostring(L, -1));
}


static int write_bytes(lua_State *L, const void *bytes, size_t n, void *out) {
  (void)L;
  for (size_t i = 0; i < n; i++)
    fprintf(out, "%u,", ((const unsigned char *)bytes)[i]);
  fputc('\n', out);
  return 0;
}


/* C has no empty array: a zero more. */
static void write_module(lua_State *L, FILE *out, const char *root,
                         const char *file, int i) {
  lua_settop(L, 0);
  push_text(L, root, file);
  fprintf(out, "static const unsigned char text%d[] = {\n", i);
  write_bytes(L, lua_tostring(L, -1), lua_rawlen(L, -1), out);
  fprintf(out, "0};\n\nstatic const unsigned char code%d[] = {\n", i);
  compile(L, file);
  lua_dump(L, write_bytes, out, 0);
  fputs("};\n\n", out);
}


int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (argc < 4)
    stop("usage", "embed OUTPUT ROOT FILE...");
  FILE *out = fopen(argv[1], "w");
  if (L == NULL || out == NULL)
    stop(argv[1], "cannot be written");
  fputs("#include \"host/embedded.h\"\n\n", out);
  for (int i = 3; i < argc; i++)
    write_module(L, out, argv[2], argv[i], i);
  fputs("const struct embedded_module embedded_modules[] = {\n", out);
  for (int i = 3; i < argc; i++) {
    lua_settop(L, 0);
    fprintf(out,
            "{\"%s\", code%d, sizeof code%d, text%d, sizeof text%d - 1},\n",
            push_name(L, argv[i]), i, i, i, i);
  }
  fputs("{NULL, NULL, 0, NULL, 0},\n};\n", out);
  lua_close(L);
  return fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
