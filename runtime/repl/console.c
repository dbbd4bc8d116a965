/*
** The console: what the process prints, above the prompt.
**
** While it is open, C's stdout and stderr are files of ours, so print, io,
** reports of tasks and the printf of a C module all arrive here.  The prompt
** leaves two texts: one that hides it, and one that shows it again.  What
** arrives is written between the two, at once and in its order: no Lua runs for
** it, so it works from an endless loop, too.
**
** A line that is not finished gets a newline before the prompt is shown, and is
** taken up where it ended when more of it comes.
**
** While an input runs there may be a status, in the row beneath the cursor, which
** stays where it was: what is typed is echoed there, behind what was printed.
**
** Only descriptors that are the terminal are taken: `neap 2>log` logs.
*/

#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/class.h"
#include "host/memory.h"
#include "repl/column.h"
#include "repl/repl.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/system.h"
#include "sys/terminal.h"

#define CLASS "neap.repl.console"

/* Around a status.  IND makes the row beneath, and leaves the column as it is. */
#define ERASE "\033[J"
#define DOWN "\033D\033[A\0337\n"
#define BACK "\0338"

enum { HELD = 64 }; /* most bytes of what is not whole */

typedef struct text {
  char *bytes;
  size_t n, room;
} text;

/* One of C's files, while it is ours. */
typedef struct taken {
  FILE **name;     /* stdout or stderr */
  FILE *theirs;    /* what it was; NULL: not taken */
  luaL_Stream *io; /* io.stdout or io.stderr, whose file it is, too */
} taken;

typedef struct console {
  host *host;
  pthread_mutex_t lock; /* workers print, too */
  text hide, show, out;
  text held;           /* the beginning of a character or of a sequence */
  bool beneath;        /* they are a status, beneath the cursor */
  column column;       /* of a line that is not finished */
  lua_Integer printed; /* how often something was */
  taken files[2];
} console;


static void add(text *t, const char *bytes, size_t n) {
  if (n == 0) /* then bytes may be NULL */
    return;
  if (t->n + n > t->room) {
    t->room = (t->n + n) * 2;
    t->bytes = memory_grow(t->bytes, t->room);
  }
  memcpy(t->bytes + t->n, bytes, n);
  t->n += n;
}


static void put(console *c, text *t) {
  host *h = c->host;
  h->world->sys->terminals->write(h, 1, t->bytes, t->n);
  t->n = 0;
}


/* Back to the end of the unfinished line, which stands above the prompt. */
static void add_return(text *out, unsigned at) {
  char move[32];
  int n = snprintf(move, sizeof move, "\033[A\033[%uC", at);
  add(out, move, (size_t)n);
}


/* Print what was held before, and hold what is not whole: the prompt is not to come
 * in between. */
static void add_whole(console *c, const char *bytes, size_t n) {
  size_t whole = column_feed(&c->column, bytes, n);
  if (whole == 0 && c->held.n + n <= HELD) {
    add(&c->held, bytes, n);
    return;
  }
  add(&c->out, c->held.bytes, c->held.n);
  c->held.n = 0;
  if (n - whole > HELD)
    whole = n;
  add(&c->out, bytes, whole);
  add(&c->held, bytes + whole, n - whole);
}


/* Behind a row that is full it goes on in the next one, where the prompt was. */
static void print_above(console *c, const char *bytes, size_t n) {
  add(&c->out, c->hide.bytes, c->hide.n);
  if (c->column.at >= c->column.columns)
    c->column.at = 0;
  if (c->column.at > 0)
    add_return(&c->out, c->column.at);
  add_whole(c, bytes, n);
  if (c->column.at > 0)
    add(&c->out, "\n", 1);
  add(&c->out, c->show.bytes, c->show.n);
  put(c, &c->out);
}


/* The status needs a row beneath this one, and a place to come back to: behind a row
 * that is full there is none, but the next one's beginning. */
static void add_status(console *c) {
  if (c->column.at >= c->column.columns) {
    add(&c->out, " \r", 2);
    c->column.at = 0;
  }
  add(&c->out, c->show.bytes, c->show.n);
}


static void print_plainly(console *c, const char *bytes, size_t n) {
  if (c->beneath)
    add(&c->out, c->hide.bytes, c->hide.n);
  add(&c->out, c->held.bytes, c->held.n);
  c->held.n = 0;
  add(&c->out, bytes, n);
  column_feed(&c->column, bytes, n);
  if (c->beneath)
    add_status(c);
  put(c, &c->out);
}


static ssize_t on_output(void *cookie, const char *bytes, size_t n) {
  console *c = cookie;
  pthread_mutex_lock(&c->lock);
  c->printed++;
  if (c->show.n > 0 && !c->beneath)
    print_above(c, bytes, n);
  else
    print_plainly(c, bytes, n);
  pthread_mutex_unlock(&c->lock);
  return (ssize_t)n;
}


/*
** Taking C's files
*/

/* By lines, as to a terminal: then a question without a newline appears before C
 * reads stdin.  It is flushed when the running task waits, too. */
static void take_file(lua_State *L, console *c, taken *t, const char *name) {
  host_global(L, "io");
  lua_getfield(L, -1, name);
  FILE *ours = fopencookie(c, "w", (cookie_io_functions_t){.write = on_output});
  if (ours == NULL)
    luaL_error(L, "not enough memory");
  setvbuf(ours, NULL, *t->name == stderr ? _IONBF : _IOLBF, BUFSIZ);
  t->io = luaL_testudata(L, -1, LUA_FILEHANDLE);
  lua_pushvalue(L, -1); /* it is not collected as long as we point to it */
  lua_setiuservalue(L, -4, *t->name == stderr ? 2 : 1);
  fflush(*t->name);
  t->theirs = *t->name;
  *t->name = ours;
  if (t->io != NULL && t->io->f == t->theirs)
    t->io->f = ours;
  lua_pop(L, 2);
}


static void give_back(taken *t) {
  FILE *ours = *t->name;
  if (t->theirs == NULL)
    return;
  fflush(ours);
  *t->name = t->theirs;
  if (t->io != NULL && t->io->f == ours)
    t->io->f = t->theirs;
  t->theirs = NULL;
  fclose(ours);
}


static console *check(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}


/* A list of numbers: points, in pairs. */
static void read_ranges(lua_State *L, int arg, ranges *r) {
  size_t n = lua_rawlen(L, arg) & ~(size_t)1;
  r->points = memory_grow(NULL, n * sizeof *r->points);
  r->n = n / 2;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    r->points[i] = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
}


/* core.console(none, wide) : Console.  The characters of no and of two columns, as
 * first and last code points. */
int console_open(lua_State *L) {
  static const char *const names[] = {"stdout", "stderr"};
  host *h = host_of(L);
  const terminals *t = sys_check(L, "terminals")->terminals;
  luaL_checktype(L, 1, LUA_TTABLE), luaL_checktype(L, 2, LUA_TTABLE);
  console *c = lua_newuserdatauv(L, sizeof *c, 2);
  *c = (console){.host = h, .lock = PTHREAD_MUTEX_INITIALIZER};
  c->files[0].name = &stdout;
  c->files[1].name = &stderr;
  luaL_setmetatable(L, CLASS);
  read_ranges(L, 1, &c->column.none);
  read_ranges(L, 2, &c->column.wide);
  column_resize(&c->column, 80);
  for (int i = 0; i < 2; i++)
    if (t->is_terminal(h, i + 1))
      take_file(L, c, &c->files[i], names[i]);
  return 1;
}


/* The text that hides what stands is known to the terminal, too. */
static void tell_hiding(const console *c) {
  c->host->world->sys->terminals->hide(c->host, c->hide.bytes, c->hide.n);
}


static void set(lua_State *L, int arg, text *t) {
  size_t n;
  const char *bytes = luaL_checklstring(L, arg, &n);
  t->n = 0;
  add(t, bytes, n);
}


/* console:prompt(hide, show): the texts, from now on; empty ones: none stands */
static int l_prompt(lua_State *L) {
  console *c = check(L);
  luaL_checkstring(L, 2), luaL_checkstring(L, 3);
  pthread_mutex_lock(&c->lock);
  set(L, 2, &c->hide);
  set(L, 3, &c->show);
  c->beneath = false;
  tell_hiding(c);
  pthread_mutex_unlock(&c->lock);
  return 0;
}


/* console:status(text): a row beneath the cursor, until it is "" or a prompt stands.
 * Here no prompt does. */
static int l_status(lua_State *L) {
  console *c = check(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  fflush(stdout);
  pthread_mutex_lock(&c->lock);
  if (c->beneath)
    add(&c->out, c->hide.bytes, c->hide.n);
  c->beneath = n > 0;
  c->hide.n = c->show.n = 0;
  if (c->beneath) {
    add(&c->hide, ERASE, strlen(ERASE));
    add(&c->show, DOWN, strlen(DOWN));
    add(&c->show, bytes, n);
    add(&c->show, BACK, strlen(BACK));
    add_status(c);
  }
  tell_hiding(c);
  put(c, &c->out);
  pthread_mutex_unlock(&c->lock);
  return 0;
}


/* console:put(text): to the terminal as it is, behind what was printed */
static int l_put(lua_State *L) {
  console *c = check(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  pthread_mutex_lock(&c->lock);
  add(&c->out, bytes, n);
  put(c, &c->out);
  pthread_mutex_unlock(&c->lock);
  return 0;
}


/* console:flush(): what print has said appears */
static int l_flush(lua_State *L) {
  check(L);
  fflush(stdout);
  return 0;
}


/* console:fresh() : does the cursor stand behind an unfinished line?  It is
 * forgotten. */
static int l_fresh(lua_State *L) {
  console *c = check(L);
  pthread_mutex_lock(&c->lock);
  lua_pushboolean(L, c->column.at > 0);
  c->column.at = 0;
  pthread_mutex_unlock(&c->lock);
  return 1;
}


/* console:printed() : how often something was, for others than put */
static int l_printed(lua_State *L) {
  console *c = check(L);
  pthread_mutex_lock(&c->lock);
  lua_pushinteger(L, c->printed);
  pthread_mutex_unlock(&c->lock);
  return 1;
}


/* console:columns(n): how many the terminal has */
static int l_columns(lua_State *L) {
  console *c = check(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n > 0 && n <= UINT16_MAX, 2, "a number of columns expected");
  pthread_mutex_lock(&c->lock);
  column_resize(&c->column, (unsigned)n);
  pthread_mutex_unlock(&c->lock);
  return 0;
}


/* console:close(): the terminal and C's files are as before */
static int l_close(lua_State *L) {
  console *c = check(L);
  for (int i = 0; i < 2; i++)
    give_back(&c->files[i]);
  free(c->hide.bytes);
  free(c->show.bytes);
  free(c->out.bytes);
  free(c->held.bytes);
  free(c->column.none.points);
  free(c->column.wide.points);
  c->hide = c->show = c->out = c->held = (text){0};
  c->column.none = c->column.wide = (ranges){0};
  tell_hiding(c);
  c->host->world->sys->terminals->mode(c->host, TERMINAL_FOUND);
  return 0;
}


static const luaL_Reg methods[] = {
    {"prompt", l_prompt},   {"status", l_status}, {"put", l_put},
    {"flush", l_flush},     {"fresh", l_fresh},   {"columns", l_columns},
    {"printed", l_printed}, {"close", l_close},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", l_close}, {"__gc", l_close}, {NULL, NULL}};


void console_class(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, NULL);
}
