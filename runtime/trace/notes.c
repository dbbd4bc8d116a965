/*
** The form for scripts: events as tables, in a queue of bounded length.
**
** They are noted where they happen, and become tables when a task takes them.
*/

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/fields.h"
#include "host/memory.h"
#include "trace/tracer.h"

struct note {
  note *next;
  double time;
  trace_kind kind;
  int status;
  const char *op, *type;
  unsigned serial, listener;
  size_t size, full, shown;
  uint64_t dropped;
  address local, remote;
  int pid, exit, signal;
  size_t name; /* its length, behind the shown bytes */
  char bytes[];
};

static const char *const kinds[] = {
    [TRACE_LISTEN] = "listen",       [TRACE_CONNECT] = "connect",
    [TRACE_CONNECTED] = "connected", [TRACE_ACCEPT] = "accept",
    [TRACE_OPEN] = "open",           [TRACE_READ] = "read",
    [TRACE_WRITE] = "write",         [TRACE_END] = "end",
    [TRACE_SHUTDOWN] = "shutdown",   [TRACE_ERROR] = "error",
    [TRACE_CLOSE] = "close",         [TRACE_CLOSED] = "closed",
    [TRACE_RESET] = "reset",         [TRACE_SPAWN] = "spawn",
    [TRACE_EXIT] = "exit",
};


static void copy_pieces(char *to, const struct iovec *v, size_t n) {
  for (; n > 0; v++) {
    size_t some = v->iov_len < n ? v->iov_len : n;
    memcpy(to, v->iov_base, some);
    to += some;
    n -= some;
  }
}


static const char *name_of(const seen *x) {
  if (x->f == NULL)
    return x->e->where != NULL ? x->e->where : "";
  return x->f->name != NULL ? x->f->name : "";
}


static note *note_new(const tracer *t, const seen *x) {
  const trace_event *e = x->e;
  size_t shown = e->v == NULL ? 0 : e->size < t->bytes ? e->size : t->bytes;
  const char *name = name_of(x);
  size_t name_size = strlen(name);
  note *n = memory_new(sizeof *n + shown + name_size);
  n->time = (double)(x->now - t->began) / 1e9;
  n->kind = e->kind;
  n->status = e->status;
  n->op = e->op;
  n->size = e->size;
  n->full = e->full;
  n->pid = e->pid;
  n->exit = e->code;
  n->signal = e->signal;
  n->shown = shown;
  n->name = name_size;
  copy_pieces(n->bytes, e->v, shown);
  memcpy(n->bytes + shown, name, name_size);
  return n;
}


static void describe(note *n, const seen *x) {
  const flow *f = x->f;
  if (f == NULL)
    return;
  n->serial = f->serial;
  n->type = f->kind;
  n->local = x->local != NULL ? *x->local : f->local;
  n->remote = x->peer != NULL ? *x->peer : f->remote;
  if (x->e->kind == TRACE_ACCEPT)
    n->listener = x->e->listener->serial;
}


static size_t size_of(const note *n) {
  return n->shown + n->name;
}


static void append(tracer *t, note *n) {
  if (t->last != NULL)
    t->last->next = n;
  else
    t->first = n;
  t->last = n;
  t->notes++;
  t->note_bytes += size_of(n);
}


static note *take(tracer *t) {
  note *n = t->first;
  t->first = n->next;
  if (t->first == NULL)
    t->last = NULL;
  t->notes--;
  t->note_bytes -= size_of(n);
  return n;
}


static void event(tracer *t, const seen *x) {
  if (t->notes >= TRACE_QUEUE || t->note_bytes >= SINK_LIMIT) {
    tracer_drop(t);
    return;
  }
  note *n = note_new(t, x);
  describe(n, x);
  n->dropped = t->untold;
  t->untold = 0;
  append(t, n);
  tracer_ready(t);
}


void notes_clear(tracer *t) {
  while (t->first != NULL)
    free(take(t));
}


/*
** Lua tables
*/

static void set_count(lua_State *L, const char *name, uint64_t n) {
  if (n != 0)
    set_integer(L, name, (lua_Integer)n);
}


static void set_bytes(lua_State *L, const note *n) {
  bool moved = n->kind == TRACE_READ || n->kind == TRACE_WRITE;
  if (!moved && n->size == 0)
    return;
  set_integer(L, "size", (lua_Integer)n->size);
  if (!moved)
    return;
  lua_pushlstring(L, n->bytes, n->shown);
  lua_setfield(L, -2, "data");
}


static void set_child(lua_State *L, const note *n) {
  if (n->pid == 0)
    return;
  set_integer(L, "pid", n->pid);
  if (n->kind != TRACE_EXIT)
    return;
  set_integer(L, "exit", n->exit);
  set_count(L, "signal", (uint64_t)n->signal);
}


static void set_name(lua_State *L, const note *n) {
  if (n->name == 0)
    return;
  lua_pushlstring(L, n->bytes + n->shown, n->name);
  lua_setfield(L, -2, "endpoint");
}


/* The note is taken off when its table is there: building it may raise. */
bool notes_push(lua_State *L, tracer *t) {
  const note *n = t->first;
  if (n == NULL)
    return false;
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 10);
  set_number(L, "time", n->time);
  set_text(L, "kind", kinds[n->kind]);
  set_text(L, "type", n->type);
  set_count(L, "serial", n->serial);
  set_count(L, "listener", n->listener);
  address_set(L, "localaddr", &n->local);
  address_set(L, "remoteaddr", &n->remote);
  set_name(L, n);
  set_child(L, n);
  set_bytes(L, n);
  set_count(L, "full", n->full > n->size ? n->full : 0);
  set_text(L, "op", n->op);
  set_text(L, "code", n->status != 0 ? error_code(n->status) : NULL);
  set_count(L, "dropped", n->dropped);
  free(take(t));
  return true;
}


const form events_form = {.name = "events", .event = event};
