#include "host/restrict.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard.h"

/* Lua's own functions, which are C's, and nowhere to be found in the state. */
enum original { INPUT, OUTPUT, LOAD, TMPNAME, ORIGINALS };

static const struct {
  const char *library, *name;
} names[ORIGINALS] = {
    {LUA_IOLIBNAME, "input"},
    {LUA_IOLIBNAME, "output"},
    {LUA_GNAME, "load"},
    {LUA_OSLIBNAME, "tmpname"},
};

/* The same in all states: written as the first one is made, when there is one thread. */
static lua_CFunction originals[ORIGINALS];


static const char *words_of(int status) {
  const char *words = guard_words(status);
  return words != NULL ? words : strerror(-status);
}


static int number_of(int status) {
  return guard_words(status) != NULL ? EACCES : -status;
}


/* As luaL_fileresult tells. */
static int failed(lua_State *L, int status, const char *path) {
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: %s", path, words_of(status));
  lua_pushinteger(L, number_of(status));
  return 3;
}


static int result(lua_State *L, int status, const char *path) {
  if (status < 0)
    return failed(L, status, path);
  lua_pushboolean(L, true);
  return 1;
}


/*
** io
*/

static int close_file(lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(s->f) == 0, NULL);
}


/* Of fopen's mode; -1: it is none. */
static int flags_of(const char *mode) {
  bool plus = *mode != '\0' && mode[1] == '+';
  if (*mode == '\0' || strchr("rwa", *mode) == NULL ||
      mode[1 + plus + strspn(mode + 1 + plus, "b")] != '\0')
    return -1;
  int how = plus ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
  return how | (mode[0] == 'w'   ? O_CREAT | O_TRUNC
                : mode[0] == 'a' ? O_CREAT | O_APPEND
                                 : 0);
}


/* Push a file of io; 0 or a status. */
static int push_file(lua_State *L, const char *path, int flags,
                     const char *mode) {
  luaL_Stream *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->closef = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  int fd = guard_open(AT_FDCWD, path, flags, 0666, 0);
  if (fd < 0)
    return fd;
  fcntl(fd, F_SETFD, 0); /* as io.open's */
  s->f = fdopen(fd, mode);
  if (s->f == NULL) {
    close(fd);
    return -ENOMEM;
  }
  s->closef = close_file;
  return 0;
}


static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const char *mode = luaL_optstring(L, 2, "r");
  int flags = flags_of(mode);
  luaL_argcheck(L, flags >= 0, 2, "invalid mode");
  int status = push_file(L, path, flags, mode);
  return status < 0 ? failed(L, status, path) : 1;
}


/* A file in the place of its name at 1. */
static void open_named(lua_State *L, int flags, const char *mode) {
  const char *path = lua_tostring(L, 1);
  int status = push_file(L, path, flags, mode);
  if (status < 0)
    luaL_error(L, "%s: %s", path, words_of(status));
  lua_replace(L, 1);
}


static int l_input(lua_State *L) {
  if (lua_isstring(L, 1))
    open_named(L, O_RDONLY, "r");
  return originals[INPUT](L);
}


static int l_output(lua_State *L) {
  if (lua_isstring(L, 1))
    open_named(L, O_WRONLY | O_CREAT | O_TRUNC, "w");
  return originals[OUTPUT](L);
}


/* file:lines(...); and of a name nil, nil, file, too, which a loop closes at its
 * end. */
static int l_lines(lua_State *L) {
  bool named = !lua_isnoneornil(L, 1);
  if (named) {
    luaL_checkstring(L, 1);
    open_named(L, O_RDONLY, "r");
  } else {
    lua_settop(L, lua_gettop(L) == 0 ? 1 : lua_gettop(L));
    lua_pushcfunction(L, originals[INPUT]);
    lua_call(L, 0, 1);
    lua_replace(L, 1);
  }
  int n = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_insert(L, 1);
  lua_getfield(L, 1, "lines");
  lua_insert(L, 2);
  lua_call(L, n, 1);
  if (!named)
    return 1;
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 1);
  return 4;
}


static int l_tmpfile(lua_State *L) {
  int status = push_file(L, P_tmpdir, O_TMPFILE | O_RDWR, "w+");
  return status < 0 ? failed(L, status, P_tmpdir) : 1;
}


/*
** os
*/

static int l_remove(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  return result(L, guard_remove(path), path);
}


static int l_rename(lua_State *L) {
  const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
  return result(L, guard_rename(from, to), from);
}


static int l_tmpname(lua_State *L) {
  int fd =
      guard_open(AT_FDCWD, P_tmpdir, O_PATH | O_DIRECTORY, 0, GUARD_CHANGES);
  if (fd < 0)
    return luaL_error(L, "unable to generate a unique filename: %s",
                      words_of(fd));
  close(fd);
  return originals[TMPNAME](L);
}


static int l_getenv(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (guard_env(name)) {
    lua_pushstring(L, getenv(name));
    return 1;
  }
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: %s", name, words_of(guard_refusal(GUARD_ENV)));
  return 2;
}


/*
** Code
*/

typedef struct text {
  FILE *f;
  bool begun;
  char bytes[BUFSIZ];
} text;


/* A first line that begins with # is as if it were empty. */
static void begin(text *t) {
  static const char mark[] = "\xEF\xBB\xBF";
  int c = getc(t->f);
  for (size_t i = 0; i < sizeof mark - 1 && c == (unsigned char)mark[i]; i++)
    c = getc(t->f);
  if (c == '#')
    while (c != EOF && c != '\n')
      c = getc(t->f);
  if (c != EOF)
    ungetc(c, t->f);
  t->begun = true;
}


static const char *read_text(lua_State *L, void *about, size_t *n) {
  text *t = about;
  (void)L;
  if (!t->begun)
    begin(t);
  *n = fread(t->bytes, 1, sizeof t->bytes, t->f);
  return *n > 0 ? t->bytes : NULL;
}


int restrict_load(lua_State *L, const char *path) {
  text t = {NULL, false, ""};
  lua_pushfstring(L, "@%s", path);
  int fd = guard_open(AT_FDCWD, path, O_RDONLY, 0, GUARD_CODE);
  t.f = fd >= 0 ? fdopen(fd, "r") : NULL;
  if (t.f == NULL) {
    if (fd >= 0)
      close(fd);
    lua_pushfstring(L, "cannot open %s: %s", path,
                    words_of(fd < 0 ? fd : -ENOMEM));
    lua_remove(L, -2);
    return LUA_ERRFILE;
  }
  int status = lua_load(L, read_text, &t, lua_tostring(L, -1), "t");
  int error = ferror(t.f) ? errno : 0;
  fclose(t.f);
  lua_remove(L, -2);
  if (error == 0)
    return status;
  lua_pop(L, 1);
  lua_pushfstring(L, "cannot read %s: %s", path, strerror(error));
  return LUA_ERRFILE;
}


/* load(chunk, name, mode, env): of text, whatever the mode says */
static int l_load(lua_State *L) {
  const char *mode = luaL_optstring(L, 3, "bt");
  if (strchr(mode, 't') == NULL) {
    luaL_pushfail(L);
    lua_pushliteral(L, "bytecode is refused by --restrict");
    return 2;
  }
  if (lua_gettop(L) < 3)
    lua_settop(L, 3);
  lua_pushliteral(L, "t");
  lua_replace(L, 3);
  return originals[LOAD](L);
}


bool restrict_keeps(const char *name) {
  static const char *const kept[] = {"neap.build", "neap.repl", "neap.sim",
                                     "neap.test", "neap.worker."};
  static const char core[] = ".core";
  size_t n = strlen(name), end = sizeof core - 1;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    if (strncmp(name, kept[i], strlen(kept[i])) == 0)
      return true;
  return n > end && strcmp(name + n - end, core) == 0;
}


static int l_loadlib(lua_State *L) {
  luaL_pushfail(L);
  lua_pushliteral(L, "C modules are refused by --restrict");
  lua_pushliteral(L, "absent");
  return 3;
}


/* The next file's name of a path; false: there is none. */
static bool push_next(lua_State *L, const char **path, const char *name) {
  const char *at = *path + strspn(*path, LUA_PATH_SEP);
  size_t n = strcspn(at, LUA_PATH_SEP);
  if (n == 0)
    return false;
  lua_pushlstring(L, at, n);
  luaL_gsub(L, lua_tostring(L, -1), LUA_PATH_MARK, name);
  lua_remove(L, -2);
  *path = at + n;
  return true;
}


/*
** package.searchpath(name, path, sep?, rep?) : file | nil, message
*/

static int l_searchpath(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
  const char *sep = luaL_optstring(L, 3, "."),
             *rep = luaL_optstring(L, 4, LUA_DIRSEP);
  luaL_Buffer b;
  if (*sep != '\0' && strchr(name, *sep) != NULL)
    name = luaL_gsub(L, name, sep, rep);
  const char *before = "";
  luaL_buffinit(L, &b);
  while (push_next(L, &path, name)) {
    const char *file = lua_tostring(L, -1);
    int fd = guard_open(AT_FDCWD, file, O_RDONLY, 0, GUARD_CODE);
    if (fd >= 0) {
      close(fd);
      return 1;
    }
    lua_pushfstring(L, "%sno file '%s'", before, file);
    before = "\n\t";
    lua_remove(L, -2);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  luaL_pushfail(L);
  lua_insert(L, -2);
  return 2;
}


/*
** All
*/

static const struct {
  const char *library, *name;
  lua_CFunction f;
} functions[] = {
    {LUA_GNAME, "load", l_load},
    {LUA_IOLIBNAME, "input", l_input},
    {LUA_IOLIBNAME, "lines", l_lines},
    {LUA_IOLIBNAME, "open", l_open},
    {LUA_IOLIBNAME, "output", l_output},
    {LUA_IOLIBNAME, "tmpfile", l_tmpfile},
    {LUA_LOADLIBNAME, "loadlib", l_loadlib},
    {LUA_LOADLIBNAME, "searchpath", l_searchpath},
    {LUA_OSLIBNAME, "remove", l_remove},
    {LUA_OSLIBNAME, "rename", l_rename},
    {LUA_OSLIBNAME, "tmpname", l_tmpname},
};


static void push_library(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}


static void keep_originals(lua_State *L) {
  for (int i = 0; i < ORIGINALS && originals[i] == NULL; i++) {
    push_library(L, names[i].library);
    lua_getfield(L, -1, names[i].name);
    originals[i] = lua_tocfunction(L, -1);
    lua_pop(L, 2);
  }
}


/* Those of the searchers that look for C modules are the last two. */
static void forget_c_modules(lua_State *L) {
  push_library(L, LUA_LOADLIBNAME);
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_getfield(L, -1, "searchers");
  for (int i = 3; i <= 4; i++) {
    lua_pushnil(L);
    lua_rawseti(L, -2, i);
  }
  lua_pop(L, 2);
}


void restrict_open(lua_State *L) {
  keep_originals(L);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    push_library(L, functions[i].library);
    lua_pushcfunction(L, functions[i].f);
    lua_setfield(L, -2, functions[i].name);
    lua_pop(L, 1);
  }
  forget_c_modules(L);
}


void restrict_close(lua_State *L) {
  push_library(L, LUA_DBLIBNAME);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    bool stays = strcmp(lua_tostring(L, -2), "traceback") == 0;
    lua_pop(L, 1);
    if (stays)
      continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4); /* an existing field: the traversal goes on */
  }
  lua_pop(L, 1);
}


void restrict_environment(lua_State *L) {
  push_library(L, LUA_OSLIBNAME);
  lua_pushcfunction(L, l_getenv);
  lua_setfield(L, -2, "getenv");
  lua_pop(L, 1);
}
