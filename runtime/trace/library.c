/*
** neap.trace.core: tracers as lua/neap/trace.lua starts them.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/class.h"
#include "host/error.h"
#include "host/memory.h"
#include "net/stream_methods.h"
#include "sched/task.h"
#include "sched/world.h"
#include "trace/trace.h"
#include "trace/tracer.h"

#define CLASS "neap.Tracer"

typedef struct tracer_box {
  tracer *tracer;
} tracer_box;


static tracer_box *check(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}


/*
** start{form, path?, queue?, bytes, coloured?, filters} : Tracer | nil, error
**
** What lua/neap/trace.lua has checked is not checked again.
*/

static const char *text_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 1); /* the table holds it */
  return text;
}


static lua_Integer number_field(lua_State *L, int index, const char *name,
                                lua_Integer otherwise) {
  lua_getfield(L, index, name);
  lua_Integer n = luaL_optinteger(L, -1, otherwise);
  lua_pop(L, 1);
  return n;
}


static bool flag_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}


static const form *form_field(lua_State *L) {
  static const form *const forms[] = {&text_form, &pcapng_form, &events_form};
  const char *name = text_field(L, 1, "form");
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    if (name != NULL && strcmp(forms[i]->name, name) == 0)
      return forms[i];
  luaL_error(L, "no such form of a trace");
  return NULL;
}


static void read_ip(lua_State *L, filter *x) {
  lua_getfield(L, -1, "ip");
  size_t n = 0;
  const char *ip = lua_tolstring(L, -1, &n);
  if (ip != NULL && n <= sizeof x->ip)
    memcpy(x->ip, ip, n);
  lua_pop(L, 1);
  x->bits = (int)number_field(L, -1, "bits", -1);
}


/* The one on top of the stack. */
static void read_filter(lua_State *L, filter *x) {
  const char *kind = text_field(L, -1, "kind");
  const char *path = text_field(L, -1, "path");
  const char *family = text_field(L, -1, "family");
  if (kind != NULL)
    strncpy(x->kind, kind, sizeof x->kind - 1);
  if (path != NULL)
    strncpy(x->path, path, sizeof x->path - 1);
  if (family != NULL)
    x->family = strcmp(family, "inet") == 0 ? AF_INET : AF_INET6;
  x->port = (int)number_field(L, -1, "port", -1);
  x->is_beginning = flag_field(L, -1, "beginning");
  read_ip(L, x);
}


static void read_filters(lua_State *L, tracer *t) {
  lua_getfield(L, 1, "filters");
  size_t n = lua_rawlen(L, -1);
  for (size_t i = 0; i < n && i < FILTERS; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    read_filter(L, &t->filters[i]);
    t->filter_count++;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}


static bool wants_colours(lua_State *L, bool to_stderr) {
  const char *no = getenv("NO_COLOR");
  if (lua_getfield(L, 1, "coloured") != LUA_TNIL) {
    bool on = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
  }
  lua_pop(L, 1);
  return to_stderr && (no == NULL || *no == '\0') && isatty(STDERR_FILENO);
}


static int open_sink(tracer *t, const char *path, bool queue) {
  t->out.fd = -1;
  if (queue)
    return 0;
  if (path != NULL) {
    t->path = memory_text(path, strlen(path));
    return sink_open(&t->out, path);
  }
  t->out.fd = STDERR_FILENO;
  t->out.prompt = true;
  return 0;
}


static int fail_start(lua_State *L, tracer *t, int status, const char *path) {
  if (t->out.fd >= 0 || t->path != NULL)
    tracer_free(t);
  else
    free(t);
  return fail(L, status, "trace", path);
}


static int l_start(lua_State *L) {
  tracer read = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *path = text_field(L, 1, "path");
  bool queue = flag_field(L, 1, "queue");
  read.form = form_field(L);
  read.bytes = (size_t)number_field(L, 1, "bytes", 0);
  read.coloured = wants_colours(L, path == NULL && !queue);
  read_filters(L, &read);
  tracer_box *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL)
    return lua_error(L);
  b->tracer = NULL;
  tracer *t = memory_new(sizeof *t);
  *t = read;
  int status = open_sink(t, path, queue);
  if (status == 0)
    status = tracer_start(host_of(L), t);
  if (status < 0)
    return fail_start(L, t, status, path);
  b->tracer = t;
  t->box = b;
  return 1;
}


/*
** tracer:stop() : true | nil, error
*/

static int l_stop(lua_State *L) {
  tracer *t = check(L)->tracer;
  int status = t != NULL ? tracer_stop(t) : 0;
  if (status < 0)
    return fail(L, status, "trace", t->path);
  lua_pushboolean(L, true);
  return 1;
}


/* One that writes by itself goes on. */
static int l_gc(lua_State *L) {
  tracer_box *b = check(L);
  tracer *t = b->tracer;
  b->tracer = NULL;
  if (t == NULL)
    return 0;
  t->box = NULL;
  if (!t->stopped && t->out.fd >= 0)
    return 0;
  tracer_stop(t);
  tracer_free(t);
  return 0;
}


/*
** list() : {{id, form, path, prompt: it is stderr's, count, dropped}, ...}, by id
*/

/* Whatever Lua allocates may collect it: its path is pushed first. */
static void push_tracer(lua_State *L, const tracer *found) {
  const tracer t = *found;
  lua_pushstring(L, t.path);
  lua_newtable(L);
  lua_insert(L, -2);
  lua_setfield(L, -2, "path");
  lua_pushinteger(L, t.id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, t.form->name);
  lua_setfield(L, -2, "form");
  lua_pushboolean(L, t.out.prompt);
  lua_setfield(L, -2, "prompt");
  lua_pushinteger(L, (lua_Integer)t.count);
  lua_setfield(L, -2, "count");
  lua_pushinteger(L, (lua_Integer)t.dropped);
  lua_setfield(L, -2, "dropped");
}


static tracer *find(lua_State *L, lua_Integer id) {
  tracer *t = tracer_first(host_of(L));
  while (t != NULL && t->id != id)
    t = t->next;
  return t;
}


/* A finalizer may end one meanwhile. */
static int l_list(lua_State *L) {
  lua_newtable(L);
  for (int id = 1, n = 0; id <= TRACERS; id++) {
    const tracer *t = find(L, id);
    if (t == NULL)
      continue;
    push_tracer(L, t);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}


/*
** stop(id) : true | false: there is none such | nil, error
*/

static int l_stop_id(lua_State *L) {
  lua_Integer id = luaL_checkinteger(L, 1);
  tracer *t = find(L, id);
  lua_pushboolean(L, t != NULL);
  if (t == NULL)
    return 1;
  const char *path = lua_pushstring(L, t->path);
  t = find(L, id);
  if (t == NULL) { /* a finalizer has stopped it */
    lua_pushboolean(L, true);
    return 1;
  }
  int status = tracer_stop(t);
  if (t->box == NULL) /* nobody else will */
    tracer_free(t);
  if (status < 0)
    return fail(L, status, "trace", path);
  lua_pushboolean(L, true);
  return 1;
}


/*
** tracer:next() : event or bytes | nil at the end
*/

static bool push_next(lua_State *L, tracer *t) {
  if (t->form == &events_form)
    return notes_push(L, t);
  size_t n = t->out.used;
  if (n == 0)
    return false;
  lua_pushlstring(L, t->out.bytes, n);
  sink_skip(&t->out, n); /* a finalizer may have added more */
  return true;
}


static int next_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting waits = {"trace", NEVER, false};
  tracer *t = ((tracer_box *)lua_touserdata(L, 1))->tracer;
  if (status == LUA_YIELD)
    wait_status(L);
  if (t == NULL || push_next(L, t))
    return t != NULL;
  if (t->stopped)
    return 0;
  return wait_park(L, &t->readers, &waits, ctx, next_k);
}


static int l_next(lua_State *L) {
  tracer *t = check(L)->tracer;
  lua_settop(L, 1);
  wait_enter(L, "trace");
  if (t != NULL && t->path == NULL && t->out.prompt)
    return luaL_error(L, "this trace writes to stderr: there is no event "
                         "to take");
  if (t != NULL && t->path != NULL)
    return luaL_error(L, "this trace writes to a file: there is no event "
                         "to take");
  if (wait_spent(L))
    return wait_yield(L, 0, next_k);
  return next_k(L, LUA_OK, 0);
}


/*
** Fields: count, dropped, stopped
*/

static int l_index(lua_State *L) {
  if (class_method(L))
    return 1;
  const tracer *t = check(L)->tracer;
  const char *key = lua_tostring(L, 2);
  if (t == NULL || key == NULL)
    lua_pushnil(L);
  else if (strcmp(key, "count") == 0)
    lua_pushinteger(L, (lua_Integer)t->count);
  else if (strcmp(key, "dropped") == 0)
    lua_pushinteger(L, (lua_Integer)t->dropped);
  else if (strcmp(key, "stopped") == 0)
    lua_pushboolean(L, t->stopped);
  else
    lua_pushnil(L);
  return 1;
}


static int l_tostring(lua_State *L) {
  const tracer *t = check(L)->tracer;
  lua_pushfstring(L, "tracer (%s%s)", t != NULL ? t->form->name : "closed",
                  t != NULL && t->stopped ? ", stopped" : "");
  return 1;
}


/*
** hide(socket): no trace sees it
*/

static int l_hide(lua_State *L) {
  const box *s = luaL_testudata(L, 1, STREAM_CLASS);
  const datagram_box *d = luaL_testudata(L, 1, DATAGRAM_CLASS);
  listener *l = listener_test(L, 1);
  if (s == NULL && d == NULL && luaL_testudata(L, 1, LISTENER_CLASS) == NULL)
    return luaL_argerror(L, 1, "a socket expected");
  if (s != NULL && s->stream != NULL)
    s->stream->hidden = true;
  if (d != NULL && d->datagram != NULL)
    d->datagram->hidden = true;
  if (l != NULL)
    l->hidden = true;
  return 0;
}


static const luaL_Reg functions[] = {{"start", l_start},
                                     {"hide", l_hide},
                                     {"list", l_list},
                                     {"stop", l_stop_id},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"stop", l_stop}, {"next", l_next}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", l_stop},
                                       {"__gc", l_gc},
                                       {"__call", l_next},
                                       {"__tostring", l_tostring},
                                       {NULL, NULL}};


static int open_core(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_newlib(L, functions);
  return 1;
}


int trace_open(lua_State *L) {
  sched_on_starved(host_of(L), tracer_starved);
  host_module(L, "neap.trace.core", open_core);
  return 0;
}
