/*
** os.execute and io.popen, as Lua's own but for signals: what ends the program
** ends a wait for a command, too.  As there, such a wait holds up all tasks:
** neap.process is for who does not want that.
*/

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard/guard.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/process.h"
#include "sys/system.h"

/* A file of io, behind which is a command. */
typedef struct command {
  luaL_Stream stream;
  int pid;
  bool late; /* begun when the program was to end already: part of its end */
} command;


static const processes *table_of(lua_State *L) {
  return sys_check(L, "processes")->processes;
}


/* got: a pid, or a negative errno. */
static int push_result(lua_State *L, int got, int status) {
  errno = got < 0 ? -got : 0;
  return got < 0 ? luaL_fileresult(L, 0, NULL) : luaL_execresult(L, status);
}


/* As luaL_fileresult tells. */
static int refuse(lua_State *L, const char *text) {
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: %s", text, guard_words(guard_run()));
  lua_pushinteger(L, EACCES);
  return 3;
}


/*
** os.execute(command?) : true | nil, "exit" | "signal", code
*/

static int l_execute(lua_State *L) {
  const char *text = luaL_optstring(L, 1, NULL);
  host *h = host_of(L);
  int status = 0;
  if (text == NULL) {
    lua_pushboolean(L, guard_run() == 0 && system(NULL));
    return 1;
  }
  if (guard_run() < 0)
    return refuse(L, text);
  int got = table_of(L)->shell(h, text);
  if (got >= 0)
    got = table_of(L)->reap(h, got, false, &status);
  return push_result(L, got, status);
}


/*
** io.popen(command, mode?) : file | nil, message, errno
*/

/* What ends the program need not end the command: that goes on alone, as when a
 * signal kills who started it. */
static int close_command(lua_State *L) {
  command *c = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  host *h = host_of(L);
  int status = 0;
  int lost = fclose(c->stream.f) != 0 ? -errno : 0;
  bool hurry = !c->late && sched_is_interrupted(h) && !sched_is_shielded(h);
  int got = table_of(L)->reap(h, c->pid, hurry, &status);
  bool well = got >= 0 && status == 0;
  return push_result(L, well && lost < 0 ? lost : got, status);
}


static bool is_mode(const char *mode) {
  return (mode[0] == 'r' || mode[0] == 'w') && mode[1] == '\0';
}


static int l_popen(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  const char *mode = luaL_optstring(L, 2, "r");
  host *h = host_of(L);
  luaL_argcheck(L, is_mode(mode), 2, "invalid mode");
  if (guard_run() < 0)
    return refuse(L, text);
  command *c = host_box(L, LUA_FILEHANDLE, sizeof *c, 0);
  if (c == NULL)
    return lua_error(L);
  *c = (command){.late = sched_is_interrupted(h)};
  fflush(NULL);
  c->pid = table_of(L)->open(h, text, mode[0] == 'w', &c->stream.f);
  if (c->pid < 0) {
    errno = -c->pid;
    return luaL_fileresult(L, 0, text);
  }
  c->stream.closef = close_command;
  return 1;
}


static void replace(lua_State *L, const char *library, const char *name,
                    lua_CFunction f) {
  lua_getglobal(L, library);
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}


void shell_replace(lua_State *L) {
  replace(L, "os", "execute", l_execute);
  replace(L, "io", "popen", l_popen);
}
