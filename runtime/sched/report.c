/*
** What the scheduler says on stderr: errors that nobody handled, with where
** they began and where the task was spawned; and deadlocks.
*/

#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "host/harmless.h"
#include "sched/sched.h"

/* Key of the registry: a weak table, Task -> name. */
static const char names;


void report_open(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names);
}


void report_push_names(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names);
}


void report_set_name(lua_State *L, int t, int name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names);
  lua_pushvalue(L, t);
  lua_pushvalue(L, name);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}


bool report_push_name(lua_State *L, int t) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names);
  lua_pushvalue(L, t);
  bool found = lua_rawget(L, -2) == LUA_TSTRING;
  lua_remove(L, -2);
  return found;
}


/* Push the name of a task whose Task is not at hand, or "". */
static void push_name(lua_State *L, const task *t) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (lua_touserdata(L, -2) == t) {
      lua_pushfstring(L, " \"%s\"", lua_tostring(L, -1));
      lua_replace(L, -4);
      lua_pop(L, 2);
      return;
    }
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}


/* Push "task 3 "name" spawned at file.lua:7". */
void report_push_task(lua_State *L, const task *t) {
  const struct sched *s = host_of(L)->sched;
  push_name(L, t);
  const char *name = lua_tostring(L, -1);
  if (t->site != 0)
    lua_pushfstring(L, "task %d%s spawned at %s:%d", (int)t->serial, name,
                    s->sites[t->site], t->line);
  else
    lua_pushfstring(L, "task %d%s", (int)t->serial, name);
  lua_remove(L, -2);
}


static int l_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}


/* Push the text of the error at index: of any type, and never fail. */
static void push_text(lua_State *L, int err) {
  int top = lua_gettop(L);
  err = lua_absindex(L, err);
  bool has_text = lua_isstring(L, err) ||
                  luaL_getmetafield(L, err, "__tostring") != LUA_TNIL;
  lua_settop(L, top);
  lua_pushcfunction(L, l_text);
  lua_pushvalue(L, err);
  if (!has_text || lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_settop(L, top);
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, err));
  }
}


/* The first line of a traceback that is the script's: malloc'ed, or NULL. */
static char *place_in(const char *trace) {
  for (const char *line = trace; (line = strstr(line, "\n\t")) != NULL;) {
    line += 2;
    const char *stop = strstr(line, ": in ");
    bool ours =
        line[0] == '[' || line[0] == '(' || strncmp(line, "neap.", 5) == 0;
    if (!ours && stop != NULL && strcspn(line, "\n") > (size_t)(stop - line))
      return strndup(line, (size_t)(stop - line));
  }
  return NULL;
}


static void print(lua_State *L, int err, int origin) {
  origin = lua_absindex(L, origin);
  host *h = host_of(L);
  size_t n;
  push_text(L, err);
  const char *text = lua_tolstring(L, -1, &n);
  if (h->told == NULL)
    h->told_at = place_in(lua_tostring(L, origin));
  host_tell(h, text, n);
  harmless_text(stderr, lua_tostring(L, origin));
  fputc('\n', stderr);
  fflush(stderr);
  lua_pop(L, 1);
}


/* Any text, as a part of a line. */
static void print_part(const char *text, size_t n) {
  harmless_print(stderr, text, n, HARMLESS_LINE);
}


/* A connection that broke is no mistake of the script, and any client can
 * break as many as it likes: one line for each. */
static void print_line(lua_State *L, int err, const task *t) {
  size_t n;
  push_text(L, err);
  report_push_task(L, t);
  fflush(stdout);
  fprintf(stderr, "%s: ", host_of(L)->label);
  const char *text = lua_tolstring(L, -2, &n);
  print_part(text, n);
  fputs(" (", stderr);
  text = lua_tolstring(L, -1, &n);
  print_part(text, n);
  fputs(")\n", stderr);
}


/* Push what tells of an error behind the trace of another one. */
void report_push_other(lua_State *L, int err, int origin) {
  origin = lua_absindex(L, origin);
  push_text(L, err);
  lua_pushfstring(L, "\nand: %s\n%s", lua_tostring(L, -1),
                  lua_tostring(L, origin));
  lua_remove(L, -2);
}


void report_helpless(host *h) {
  fprintf(stderr, "%s: not enough memory\n", h->label);
  sched_interrupt(h, h->exit_status != 0 ? h->exit_status : 1,
                  "not enough memory");
}


/* Nobody is left to raise this error in: it ends the program. */
void report_lost(lua_State *L, host *h, int err, int origin) {
  print(L, err, origin);
  if (h->exit_status == 0)
    h->exit_status = 1;
  scope_cancel(h->sched->root);
}


/* The error on top ended the task: tell it, or keep it for the scope's owner.
 * Leaves the error. */
void report_failure(lua_State *L, task *t) {
  host *h = host_of(L);
  int err = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  traceback_take(L, err);
  lua_pushliteral(L, "\n");
  report_push_task(L, t);
  lua_concat(L, 3);
  bool side = t->scope == h->sched->side;
  bool root = t->scope == h->sched->root || t->scope->home != 0 || side;
  bool test = root && !side && !t->served && h->sched->homes.count > 0;
  bool told = t->served || side || h->sched->lenient || test;
  if (root && !told && h->exit_status == 0)
    h->exit_status = 1;
  bool broke = t->served && error_is(L, err);
  if (broke && !scope_takes(L, t->scope, err))
    print_line(L, err, t);
  if (!broke && ((root && !test) || t->served))
    print(L, err, lua_gettop(L));
  if (!t->served && !(root && told))
    scope_blame(L, t->scope, err);
  if (test)
    home_blame(L, h->sched, err);
  lua_settop(L, err);
}


/* Where the script waits; false, and nothing is pushed, outside of it. */
bool report_push_place(lua_State *L, lua_State *co) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sl", &ar);
    if (ar.currentline > 0 && strncmp(ar.source, "=neap.", 6) != 0) {
      lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
      return true;
    }
  }
  return false;
}


static void tell_of(lua_State *L, const task *t, const char *what) {
  size_t n;
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  report_push_task(L, t);
  if (!report_push_place(L, L) && !report_push_place(L, t->co))
    lua_pushliteral(L, "?");
  fflush(stdout);
  lua_pushfstring(L, "%s: %s (%s)", lua_tostring(L, -1), what,
                  lua_tostring(L, -2));
  const char *line = lua_tolstring(L, -1, &n);
  fprintf(stderr, "%s: ", host_of(L)->label);
  print_part(line, n);
  fputc('\n', stderr);
  lua_settop(L, top);
}


void report_swallower(lua_State *L, const task *t) {
  tell_of(L, t, "goes on though it was told to end: now pcall passes that on");
}


void report_overrun(lua_State *L, const task *t) {
  tell_of(L, t, "computes without end");
}


/* Push "task 3 waits for recv at file.lua:9". */
static void push_waiting(lua_State *L, const task *t) {
  report_push_task(L, t);
  lua_pushfstring(L, " waits for %s", t->op);
  if (report_push_place(L, t->parked)) {
    lua_pushliteral(L, " at ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
  lua_concat(L, 2);
}


static void print_waiting(lua_State *L, const task *t) {
  size_t n;
  if (t->parked == NULL)
    return;
  push_waiting(L, t);
  const char *line = lua_tolstring(L, -1, &n);
  fputs("  ", stderr);
  print_part(line, n);
  fputc('\n', stderr);
  lua_pop(L, 1);
}


static void print_scope(lua_State *L, const scope *s) {
  for (const task *t = s->youngest; t != NULL; t = t->elder) {
    print_waiting(L, t);
    for (const cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older)
      if (f->kind == SCOPE || f->kind == ENDING)
        print_scope(L, (const scope *)f);
  }
}


static int l_print_all(lua_State *L) {
  const struct sched *s = host_of(L)->sched;
  print_scope(L, s->root);
  for (unsigned i = 0; i < s->homes.count; i++)
    print_scope(L, s->homes.all[i]);
  return 0;
}


static void print_all(host *h) {
  lua_pushcfunction(h->L, l_print_all);
  host_call(h, 0, 0);
  lua_settop(h->L, 0);
}


/* No task is ready, none has a deadline, and the world can wake none. */
void report_deadlock(struct sched *s) {
  host *h = s->host;
  fflush(stdout);
  fprintf(stderr, "%s: deadlock: %u task%s, and nothing can wake %s\n",
          h->label, s->live, s->live == 1 ? " waits" : "s wait",
          s->live == 1 ? "it" : "them");
  print_all(h);
  s->deadlocked = true;
  sched_interrupt(h, 1, "deadlock");
}


void report_waiting(struct sched *s) {
  host *h = s->host;
  fflush(stdout);
  fprintf(stderr, "%s: these tasks wait:\n", h->label);
  print_all(h);
}


static int l_eldest(lua_State *L) {
  const task *eldest = NULL;
  for (const task *t = host_of(L)->sched->root->youngest; t; t = t->elder)
    eldest = t->parked != NULL ? t : eldest;
  if (eldest == NULL)
    return 0;
  push_waiting(L, eldest);
  return 1;
}


char *report_eldest(struct sched *s) {
  lua_State *L = s->host->L;
  char *line = NULL;
  lua_pushcfunction(L, l_eldest);
  if (host_call(s->host, 0, 1) && lua_isstring(L, -1))
    line = strdup(lua_tostring(L, -1));
  lua_settop(L, 0);
  return line;
}
