#include "sched/stacks.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/coroutine.h"
#include "host/host.h"
#include "host/memory.h"
#include "sched/sched.h"

typedef struct row {
  char *text; /* NULL: free */
  size_t weight;
} row;

enum { ROWS = 2 * STACKS_MOST };

struct stacks {
  unsigned count;
  size_t bytes, others;
  row rows[ROWS]; /* found by the text's hash, or behind it */
};

/* Of a stack that is deeper the outermost functions are left out; so many tasks are told
 * of that led to the one that runs; and coroutines in coroutines. */
enum { FUNCTIONS = 128, TASKS = 16, COROUTINES = 16 };


stacks *stacks_new(void) {
  return calloc(1,
                sizeof(stacks)); /* whose pages the kernel gives one by one */
}


void stacks_free(stacks *all) {
  for (int i = 0; i < ROWS; i++)
    free(all->rows[i].text);
  free(all);
}


static row *find(stacks *all, const char *text, size_t n) {
  uint32_t hash = 2166136261U; /* FNV-1a */
  for (size_t i = 0; i < n; i++)
    hash = (hash ^ (unsigned char)text[i]) * 16777619U;
  row *r = &all->rows[hash % ROWS];
  while (r->text != NULL &&
         (strncmp(r->text, text, n) != 0 || r->text[n] != '\0'))
    r = r + 1 < all->rows + ROWS ? r + 1 : all->rows;
  return r;
}


void stacks_add(stacks *all, const char *text, size_t n, size_t weight) {
  row *r = find(all, text, n);
  if (r->text == NULL) {
    bool fits = all->count < STACKS_MOST && all->bytes + n < STACKS_BYTES;
    if (!fits) {
      all->others += weight;
      return;
    }
    r->text = memory_text(text, n);
    all->count++;
    all->bytes += n;
  }
  r->weight += weight;
}


static void add_line(luaL_Buffer *b, const char *text, size_t weight) {
  char number[32];
  snprintf(number, sizeof number, " %zu\n", weight);
  luaL_addstring(b, text);
  luaL_addstring(b, number);
}


void stacks_push(lua_State *L, const stacks *all) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < ROWS; i++)
    if (all->rows[i].text != NULL)
      add_line(&b, all->rows[i].text, all->rows[i].weight);
  if (all->others > 0)
    add_line(&b, "(others)", all->others);
  luaL_pushresult(&b);
}


/*
** Reading a stack.  It is found from the innermost function outwards, and so written from
** the end of the room to its beginning.
*/

typedef struct writer {
  char *start, *at;
} writer;


/* What has a meaning in a line, or to a terminal, becomes a question mark. */
static void put(writer *w, const char *label) {
  size_t n = strlen(label);
  if ((size_t)(w->at - w->start) < n + 1)
    return;
  *--w->at = ';';
  w->at -= n;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)label[i];
    w->at[i] = c < ' ' || c == ';' || c == 127 ? '?' : label[i];
  }
}


static bool put_function(writer *w, const lua_Debug *ar) {
  char label[LUA_IDSIZE + 100];
  if (ar->what[0] == 'C' && ar->name == NULL)
    return false; /* what a coroutine begins with */
  if (ar->what[0] == 'C')
    snprintf(label, sizeof label, "%.80s", ar->name);
  else if (ar->what[0] == 'm')
    snprintf(label, sizeof label, "%s", ar->short_src);
  else
    snprintf(label, sizeof label, "%.80s %s:%d",
             ar->name != NULL ? ar->name : "function", ar->short_src,
             ar->linedefined);
  put(w, label);
  return true;
}


static void put_functions(writer *w, lua_State *co) {
  lua_Debug ar;
  int level = 0;
  for (; level < FUNCTIONS && lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sn", &ar);
    put_function(w, &ar);
  }
  if (level == FUNCTIONS)
    put(w, "...");
}


/* The coroutines of the running task, from its own one on. */
static int coroutines(lua_State *L, lua_State **found) {
  lua_State *co = host_of(L)->base;
  int n = 0;
  for (; co != NULL && co != L && n < COROUTINES - 1; co = coroutine_within(co))
    found[n++] = co;
  found[n++] = L;
  return n;
}


/* By where it was spawned, and by its name only where that is not known: each one's may
 * be another. */
static void put_task(lua_State *L, writer *w, const task *t) {
  char label[LUA_IDSIZE + 100];
  if (t->site != 0) {
    snprintf(label, sizeof label, "task %s:%d",
             task_host(t)->sched->sites[t->site], t->line);
    put(w, label);
    return;
  }
  task_push(L, t);
  bool named = report_push_name(L, lua_gettop(L));
  snprintf(label, sizeof label, "%.80s", named ? lua_tostring(L, -1) : "task");
  put(w, label);
  lua_pop(L, 2);
}


static void put_tasks(lua_State *L, writer *w, const task *t) {
  for (int n = 0; n < TASKS && t != NULL; n++) {
    put_task(L, w, t);
    t = t->scope->cancel_scope.task;
  }
}


size_t stacks_read(lua_State *L, char *text, size_t room) {
  writer w = {text, text + room};
  lua_State *found[COROUTINES];
  for (int n = coroutines(L, found); n > 0;)
    put_functions(&w, found[--n]);
  if (task_current(L) != NULL)
    put_tasks(L, &w, task_current(L));
  size_t n = (size_t)(text + room - w.at);
  memmove(text, w.at, n);
  return n > 0 ? n - 1 : 0; /* the last ; */
}
