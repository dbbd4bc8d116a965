#include "cli/program.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/carried.h"
#include "host/host.h"

/* What `neap -e` finds without require: neap.net as net. */
static const char *const short_names[] = {
    "net",    "task",  "time",   "signal", "process",   "stdio",
    "worker", "trace", "crypto", "dns",    "tls",       "fs",
    "json",   "url",   "http",   "zlib",   "websocket", NULL};

/* Code without these words reaches no global that it does not name. */
static const char *const roundabout[] = {"_ENV", "_G",      "debug",   "dofile",
                                         "load", "package", "require", NULL};

static const char prompt_script[] = "require('neap.repl.main').prompt(...)";

static const char always_script[] = "require('neap.repl.main').interactive()";

static const char remote_script[] = "require('neap.repl.main').remote(...)";

static const char luarc_script[] = "require('neap.repl.luarc')()";

static const char build_script[] = "require('neap.build')(...)";

static const char test_script[] =
    "os.exit(require('neap.test').main{...}, true)";

static const char luasocket_script[] = "require('neap.luasocket').install()";

static const char library_script[] =
    "local name, module = ...; _G[name] = require(module)";


static const char sim_script[] = "os.exit(require('neap.sim.main')(...), true)";


/* enter(folder) : the folder before; or nil, why.  Of the process, which simulates: so it
 * is for nobody else. */
static int l_enter(lua_State *L) {
  char before[PATH_MAX];
  const char *folder = luaL_checkstring(L, 1);
  if (getcwd(before, sizeof before) == NULL || chdir(folder) != 0)
    return luaL_fileresult(L, 0, folder);
  lua_pushstring(L, before);
  return 1;
}


static int open_enter(lua_State *L) {
  lua_pushcfunction(L, l_enter);
  return 1;
}


static void push_text(lua_State *L, const char *text, const char *name) {
  if (luaL_loadbufferx(L, text, strlen(text), name, "t") != LUA_OK)
    lua_error(L);
}


/* Of neap itself. */
static void push_own(lua_State *L, const char *text, const char *name) {
  push_text(L, text, name);
  host_own(L);
}


/*
** Code and files
*/

static bool says_any(const char *code, const char *const *words) {
  while (*words != NULL && strstr(code, *words) == NULL)
    words++;
  return *words != NULL;
}


/* Unless the script has given the name a value of its own. */
static void set_short_name(lua_State *L, const char *name) {
  if (lua_getglobal(L, name) == LUA_TNIL) {
    host_require(L, lua_pushfstring(L, "neap.%s", name));
    lua_setglobal(L, name);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}


/* The short names are for code that is the whole program.  Modules that it
 * cannot use are not loaded, which would take longer than all the rest of a
 * start. */
static void push_code(lua_State *L, const command *c, const char *code) {
  bool all = c->interactive || says_any(code, roundabout);
  for (const char *const *name = short_names; *name != NULL; name++)
    if (c->verb == VERB_CODE && (all || strstr(code, *name) != NULL))
      set_short_name(L, *name);
  push_text(L, code, "=(command line)");
}


/* C modules next to the executable are found. */
static void add_modules(lua_State *L, const char *executable) {
  const char *slash = strrchr(executable, '/');
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, "cpath");
  lua_pushlstring(L, executable,
                  slash != NULL ? (size_t)(slash - executable) : 0);
  lua_pushfstring(L, "%s/?.so;%s", lua_tostring(L, -1), lua_tostring(L, -2));
  lua_setfield(L, -4, "cpath");
  lua_pop(L, 4);
}


/* false: this executable carries no such script. */
static bool push_carried(lua_State *L, const char *path) {
  carried_file file;
  if (!carried_find(path, &file))
    return false;
  add_modules(L, carried_by());
  if (carried_load(L, &file) != LUA_OK)
    lua_error(L);
  return true;
}


void program_push_file(lua_State *L, const char *path) {
  if (push_carried(L, path))
    return;
  int status = host_load_file(L, path);
  if (status != LUA_OK) {
    host_of(L)->exit_status = status == LUA_ERRFILE ? USAGE : EXIT_FAILURE;
    lua_error(L);
  }
  if (strcmp(path, "-") != 0)
    host_add_folders(L, path);
}


/* Push what comes behind all steps; false: nothing does. */
static bool push_last(lua_State *L, const command *c) {
  switch (c->verb) {
  case VERB_CODE:
    return false;
  case VERB_PROMPT:
    push_own(L, c->interactive ? always_script : prompt_script, "=neap.repl");
    break;
  case VERB_REMOTE:
    push_own(L, remote_script, "=neap.repl");
    break;
  case VERB_LUARC:
    push_own(L, luarc_script, "=neap.repl");
    break;
  case VERB_BUILD:
    push_own(L, build_script, "=neap.build");
    break;
  case VERB_TEST:
    push_own(L, test_script, "=neap.test");
    break;
  case VERB_SIM:
    host_module(L, "neap.sim.enter.core", open_enter);
    push_own(L, sim_script, "=neap.sim");
    break;
  default:
    program_push_file(L, c->argv[c->program]);
  }
  return true;
}


/*
** The steps before
*/

/* LUA_INIT, of which the one with the version comes first: its value, or NULL. */
static const char *init(const command *c, const char **name) {
  static const char *const names[] = {"=LUA_INIT_5_4", "=LUA_INIT"};
  const char *value = NULL;
  for (int i = 0; i < 2 && value == NULL && !c->no_environment; i++) {
    *name = names[i];
    value = getenv(names[i] + 1);
  }
  bool looked_at = c->verb != VERB_REMOTE && c->verb != VERB_LUARC &&
                   c->verb != VERB_BUILD && c->started == c->argv;
  return looked_at ? value : NULL;
}


static void push_init(lua_State *L, const char *value, const char *name) {
  if (value[0] != '@')
    push_text(L, value, name);
  else if (luaL_loadfilex(L, value + 1, "t") != LUA_OK)
    lua_error(L);
}


/* [NAME=]MODULE */
static void push_library(lua_State *L, const char *value) {
  const char *equals = strchr(value, '=');
  push_text(L, library_script, "=(command line)");
  if (equals != NULL)
    lua_pushlstring(L, value, (size_t)(equals - value));
  else
    lua_pushstring(L, value);
  lua_pushstring(L, equals != NULL ? equals + 1 : value);
}


/* Is no step left there? */
static bool is_last(const command *c, int at) {
  command_step step;
  while (command_next(c, &at, &step))
    if (step.option != 'W')
      return false;
  return true;
}


/* Push the next step, or take it here; false: there is none. */
static bool push_step(lua_State *L, const command *c, int *at) {
  command_step step;
  const char *name, *value = *at == 0 ? init(c, &name) : NULL;
  if (value != NULL) {
    *at = 1;
    push_init(L, value, name);
    return true;
  }
  while (command_next(c, at, &step)) {
    if (step.option == 'W')
      lua_warning(L, "@on", 0);
    else if (step.option == 'e')
      return push_code(L, c, step.value), true;
    else if (step.option == '-')
      return push_own(L, luasocket_script, "=neap.luasocket"), true;
    else
      return push_library(L, step.value), true;
  }
  return false;
}


static int last_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L);
}


/* The stack is the program's arguments, whose number is the upvalue; at is where
 * the next step begins on the command line. */
static int steps_k(lua_State *L, int status, lua_KContext next) {
  const command *c = lua_touserdata(L, lua_upvalueindex(1));
  int nargs = (int)lua_tointeger(L, lua_upvalueindex(2));
  int at = (int)next;
  (void)status;
  while (push_step(L, c, &at)) {
    host_of(L)->begun = c->verb == VERB_CODE && is_last(c, at);
    lua_callk(L, lua_gettop(L) - nargs - 1, 0, at, steps_k);
  }
  if (!push_last(L, c))
    return 0;
  host_of(L)->begun = true;
  lua_insert(L, 1);
  lua_callk(L, nargs, LUA_MULTRET, 0, last_k);
  return lua_gettop(L);
}


static int l_steps(lua_State *L) {
  return steps_k(L, LUA_OK, 0);
}


/* What is all of the program is loaded at once, so that its mistakes are told
 * before anything runs. */
static bool push_only(lua_State *L, const command *c) {
  command_step step;
  int at = 0;
  const char *name;
  if (init(c, &name) != NULL)
    return false;
  if (!command_next(c, &at, &step))
    return push_last(L, c);
  if (c->verb != VERB_CODE || step.option != 'e' || command_next(c, &at, &step))
    return false;
  push_code(L, c, step.value);
  return true;
}


/* How many of argv are the program's own; of a word also the word, if it says
 * what to do, and the options before it, if they are for what it makes. */
static int arguments(const command *c) {
  if (c->verb == VERB_BUILD)
    return c->argc - 1;
  int n = c->argc - c->program - (c->verb != VERB_REMOTE);
  return n > 0 ? n : 0;
}


void program_push(lua_State *L, const command *c) {
  host_of(L)->begun = push_only(L, c);
  if (host_of(L)->begun)
    return;
  lua_pushlightuserdata(L, (void *)c);
  lua_pushinteger(L, arguments(c));
  lua_pushcclosure(L, l_steps, 2);
}


int program_push_arguments(lua_State *L, const command *c) {
  int script = c->program < c->argc ? c->program : 0;
  lua_createtable(L, c->argc, c->argc);
  bool carried = c->started != c->argv;
  for (int i = carried ? script : 0; i < c->argc; i++) {
    lua_pushstring(L, carried && i == script ? c->argv[0] : c->argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
  int n = arguments(c);
  luaL_checkstack(L, n, "too many arguments");
  for (int i = c->argc - n; i < c->argc; i++)
    lua_pushstring(L, c->argv[i]);
  return n;
}
