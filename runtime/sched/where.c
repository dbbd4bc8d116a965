/*
** Where a host's thread is.
**
** Nothing here allocates, raises or moves a Lua stack, for it is called from a
** signal's handler.  What Lua is asked for is done on the host's main thread, whose
** frame has LUA_MINSTACK slots and needs none of them while a task runs.
*/

#include "sched/where.h"

#include <string.h>

#include "sched/sched.h"

/* Of a stack, frames that are told; and how deep scopes are looked into. */
enum { FRAMES = 30, DEEP = 20 };

#define SECOND UINT64_C(1000000000)

typedef struct text {
  char *bytes;
  size_t used, room;
} text;


static void add(text *x, const char *words) {
  size_t n = strlen(words);
  if (n > x->room - x->used)
    n = x->room - x->used;
  memcpy(x->bytes + x->used, words, n);
  x->used += n;
}


/* What others have named: it begins no line. */
static void add_named(text *x, const char *words) {
  size_t from = x->used;
  add(x, words);
  for (; from < x->used; from++)
    if ((unsigned char)x->bytes[from] < ' ')
      x->bytes[from] = '?';
}


static void add_number(text *x, uint64_t n) {
  char digits[24];
  char *at = digits + sizeof digits;
  *--at = '\0';
  do
    *--at = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  add(x, at);
}


/* "12.3 s" */
static void add_time(text *x, uint64_t ns) {
  add_number(x, ns / SECOND);
  add(x, ".");
  add_number(x, ns % SECOND * 10 / SECOND);
  add(x, " s");
}


/*
** Names
*/

/* Is the function in the table on top, a module's?  Then tell its name, as "io.read";
 * the module's own is below the table. */
static bool add_field(text *x, lua_State *L, lua_CFunction f) {
  bool found = false;
  for (lua_pushnil(L); !found && lua_next(L, -2) != 0;) {
    found = lua_tocfunction(L, -1) == f && lua_type(L, -2) == LUA_TSTRING;
    if (found && strcmp(lua_tostring(L, -4), LUA_GNAME) != 0) {
      add_named(x, lua_tostring(L, -4));
      add(x, ".");
    }
    if (found)
      add_named(x, lua_tostring(L, -2));
    lua_pop(L, 1);
  }
  return found;
}


/* A function of C by what `require` gives. */
static bool add_loaded(text *x, lua_State *L, lua_CFunction f) {
  int top = lua_gettop(L);
  bool found = false;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); !found && lua_next(L, -2) != 0;) {
    if (lua_istable(L, -1) && lua_type(L, -2) == LUA_TSTRING)
      found = add_field(x, L, f);
    if (!found)
      lua_pop(L, 1);
  }
  lua_settop(L, top);
  return found;
}


static lua_CFunction function_of(lua_State *co, lua_Debug *ar) {
  lua_getinfo(co, "f", ar);
  lua_CFunction f = lua_tocfunction(co, -1);
  lua_pop(co, 1);
  return f;
}


/* True: it has a name, or a place. */
static bool add_function(text *x, lua_State *co, lua_Debug *ar) {
  lua_CFunction f = function_of(co, ar);
  if (f != NULL && add_loaded(x, host_of(co)->L, f))
    return true;
  if (ar->name != NULL) {
    add_named(x, ar->name);
  } else if (*ar->what == 'm') {
    add(x, "the main chunk");
  } else if (ar->linedefined > 0) {
    add(x, "a function of ");
    add_named(x, ar->short_src);
    add(x, ":");
    add_number(x, (uint64_t)ar->linedefined);
  } else {
    add(x, "?");
    return false;
  }
  return true;
}


/* The name of a task, behind a space, if it has one. */
static void add_name(text *x, const task *t) {
  lua_State *L = task_host(t)->L;
  int top = lua_gettop(L);
  report_push_names(L);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (lua_touserdata(L, -2) != t || lua_type(L, -1) != LUA_TSTRING)
      continue;
    add(x, " ");
    add_named(x, lua_tostring(L, -1));
    break;
  }
  lua_settop(L, top);
}


/*
** Stacks
*/

static bool add_frame(text *x, lua_State *co, lua_Debug *ar) {
  lua_getinfo(co, "Snl", ar);
  add(x, "\t");
  add_named(x, ar->short_src);
  if (ar->currentline > 0) {
    add(x, ":");
    add_number(x, (uint64_t)ar->currentline);
  }
  add(x, ": in ");
  bool is_known = add_function(x, co, ar);
  add(x, "\n");
  return is_known;
}


/* What has called the outermost function that is known is neap's own. */
static void add_stack(text *x, lua_State *co) {
  lua_Debug ar;
  int level = 0;
  size_t known = 0;
  for (; level < FRAMES && lua_getstack(co, level, &ar); level++)
    if (add_frame(x, co, &ar))
      known = x->used;
  if (lua_getstack(co, level, &ar))
    add(x, "\t...\n");
  else if (known > 0)
    x->used = known;
}


static void add_stacks(text *x, lua_State *inner, lua_State *outer) {
  if (inner != NULL)
    add_stack(x, inner);
  if (outer == inner)
    return;
  add(x, "\twhich a coroutine runs in:\n");
  add_stack(x, outer);
}


/*
** Tasks
*/

static void add_task(text *x, const task *t) {
  add(x, "task ");
  add_number(x, t->serial);
}


static uint64_t since(const struct sched *s) {
  host *h = s->host;
  uint64_t now = h->world->now(h->outside);
  return now > s->now ? now - s->now : 0;
}


/* Where in Lua that is. */
static void add_place(text *x, lua_State *co) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sl", &ar);
    if (ar.currentline <= 0)
      continue;
    add(x, " at ");
    add_named(x, ar.short_src);
    add(x, ":");
    add_number(x, (uint64_t)ar.currentline);
    return;
  }
}


static void add_call(text *x, const struct sched *s, lua_State *co) {
  lua_Debug ar;
  add_task(x, s->current);
  add_name(x, s->current);
  add(x, " is inside a call that waits: ");
  if (lua_getstack(co, 0, &ar)) {
    lua_getinfo(co, "Sn", &ar);
    add_function(x, co, &ar);
  }
  add_place(x, co);
  add(x, ", for ");
  add_time(x, since(s));
  add(x, "\n");
  add_stacks(x, co, s->current->co);
}


static void add_other(text *x, const struct sched *s, const task *t) {
  uint32_t ticks = (uint32_t)(s->now / TICK) - t->since;
  add_task(x, t);
  add_name(x, t);
  if (t->state == WAITING) {
    add(x, " waits for ");
    add(x, t->op);
    add(x, ", for ");
    add_time(x, ticks * TICK + since(s));
  } else {
    add(x, " is to run next");
  }
  add(x, "\n");
  add_stacks(x, t->parked != NULL ? t->parked : t->co, t->co);
}


static void add_scope(text *x, const struct sched *s, const scope *in,
                      int deep) {
  if (in == NULL || deep == DEEP)
    return;
  for (const task *t = in->youngest; t != NULL; t = t->elder) {
    if (t != s->current && t->state != ENDED)
      add_other(x, s, t);
    for (const cancel_scope *f = t->cancel_scopes; f != NULL; f = f->older)
      if (f->kind == SCOPE || f->kind == ENDING)
        add_scope(x, s, (const scope *)f, deep + 1);
  }
}


size_t sched_where_stalled(const host *h, bool still, uint64_t ns, char *bytes,
                           size_t n) {
  const task *t = h->sched->current;
  text x = {.bytes = bytes, .room = n};
  add_task(&x, t);
  add_name(&x, t);
  add(&x, " has kept all others waiting for ");
  add_time(&x, ns);
  add(&x, still ? "\n" : ", in C or in what C has called\n");
  if (still)
    add_stacks(&x, h->running, t->co);
  return x.used;
}


size_t sched_where(host *h, bool still, char *bytes, size_t n) {
  const struct sched *s = h->sched;
  const task *t = s != NULL ? s->current : NULL;
  lua_State *co = h->running;
  text x = {.bytes = bytes, .room = n};
  if (t == NULL || co == NULL || s->phase != RUNS) {
    add(&x, "no task runs: it begins, ends, or waits by itself\n");
  } else if (still) {
    add_call(&x, s, co);
    add_scope(&x, s, s->root, 0);
    add_scope(&x, s, s->side, 0);
  } else {
    add_task(&x, t);
    add(&x, " computes in C, or in what C has called, for ");
    add_time(&x, since(s));
    add(&x, "\n");
  }
  return x.used;
}
