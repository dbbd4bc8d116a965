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
** Only descriptors that are the terminal are taken: `neap 2>log` logs.
*/

#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/class.h"
#include "host/memory.h"
#include "repl/repl.h"
#include "sched/task.h"
#include "sched/world.h"
#include "sys/system.h"
#include "sys/terminal.h"

#define CLASS "neap.repl.console"

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
  unsigned column; /* of a line that is not finished */
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


/* The columns that the end of a line takes; sequences of ESC [ take none, and a
 * character of several bytes one. */
static unsigned width_of(const char *p, const char *end, unsigned column) {
  for (; p < end; p++) {
    unsigned char byte = (unsigned char)*p;
    if (byte == '\r')
      column = 0;
    else if (byte == '\033')
      while (p + 1 < end && (*p < '@' || *p == '[' || *p == '\033'))
        p++;
    else if (byte == '\t')
      column = (column + 8) & ~7U;
    else if (byte >= ' ' && (byte & 0xC0) != 0x80)
      column++;
  }
  return column;
}


static unsigned column_after(const console *c, const char *bytes, size_t n) {
  const char *end = bytes + n;
  const char *line = memrchr(bytes, '\n', n);
  return line != NULL ? width_of(line + 1, end, 0)
                      : width_of(bytes, end, c->column);
}


/* Back to the end of the unfinished line, which stands above the prompt. */
static void add_return(text *out, unsigned column) {
  char move[32];
  int n = snprintf(move, sizeof move, "\033[A\033[%uC", column);
  add(out, move, (size_t)n);
}


static void print_above(console *c, const char *bytes, size_t n) {
  add(&c->out, c->hide.bytes, c->hide.n);
  if (c->column > 0)
    add_return(&c->out, c->column);
  add(&c->out, bytes, n);
  c->column = column_after(c, bytes, n);
  if (c->column > 0)
    add(&c->out, "\n", 1);
  add(&c->out, c->show.bytes, c->show.n);
  put(c, &c->out);
}


static ssize_t on_output(void *cookie, const char *bytes, size_t n) {
  console *c = cookie;
  pthread_mutex_lock(&c->lock);
  if (c->show.n > 0) {
    print_above(c, bytes, n);
  } else {
    c->column = column_after(c, bytes, n);
    add(&c->out, bytes, n);
    put(c, &c->out);
  }
  pthread_mutex_unlock(&c->lock);
  return (ssize_t)n;
}


/*
** Taking C's files
*/

/* print writes to stdout a word at a time; a line at a time would redraw the
 * prompt for each.  So it is flushed when the running task waits. */
static void take_file(lua_State *L, console *c, taken *t, const char *name) {
  host_global(L, "io");
  lua_getfield(L, -1, name);
  FILE *ours = fopencookie(c, "w", (cookie_io_functions_t){.write = on_output});
  if (ours == NULL)
    luaL_error(L, "not enough memory");
  setvbuf(ours, NULL, *t->name == stderr ? _IONBF : _IOFBF, BUFSIZ);
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


/* core.console() : Console */
int console_open(lua_State *L) {
  static const char *const names[] = {"stdout", "stderr"};
  host *h = host_of(L);
  const terminals *t = sys_check(L, "terminals")->terminals;
  console *c = lua_newuserdatauv(L, sizeof *c, 2);
  *c = (console){.host = h, .lock = PTHREAD_MUTEX_INITIALIZER};
  c->files[0].name = &stdout;
  c->files[1].name = &stderr;
  luaL_setmetatable(L, CLASS);
  for (int i = 0; i < 2; i++)
    if (t->is_terminal(h, i + 1))
      take_file(L, c, &c->files[i], names[i]);
  return 1;
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
  lua_pushboolean(L, c->column > 0);
  c->column = 0;
  return 1;
}


/* console:close(): the terminal and C's files are as before */
static int l_close(lua_State *L) {
  console *c = check(L);
  for (int i = 0; i < 2; i++)
    give_back(&c->files[i]);
  free(c->hide.bytes);
  free(c->show.bytes);
  free(c->out.bytes);
  c->hide = c->show = c->out = (text){0};
  c->host->world->sys->terminals->mode(c->host, TERMINAL_FOUND);
  return 0;
}


static const luaL_Reg methods[] = {
    {"prompt", l_prompt}, {"put", l_put},     {"flush", l_flush},
    {"fresh", l_fresh},   {"close", l_close}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", l_close}, {"__gc", l_close}, {NULL, NULL}};


void console_class(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, NULL);
}
