#include "fs/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/class.h"
#include "host/error.h"
#include "host/memory.h"
#include "net/stream_methods.h"
#include "sched/world.h"

#define CLASS "neap.fs.Root"

typedef struct root_box {
  root *root; /* NULL: closed */
} root_box;


/*
** Roots
*/

static void leave(root *r) {
  if (--r->users > 0)
    return;
  if (r->place.fd >= 0)
    close(r->place.fd);
  free(r->name);
  free(r);
}


int call_push_root(lua_State *L, place p, const char *name) {
  root_box *b = host_box(L, CLASS, sizeof *b, 0);
  if (b == NULL) {
    if (p.fd >= 0)
      close(p.fd);
    return lua_error(L);
  }
  b->root = memory_new(sizeof *b->root);
  *b->root = (root){.place = p,
                    .gate = {.most = CALLS},
                    .users = 1,
                    .name = memory_text(name, strlen(name))};
  return 1;
}


root *call_root(lua_State *L) {
  return ((root_box *)luaL_checkudata(L, 1, CLASS))->root;
}


static int l_root_close(lua_State *L) {
  root_box *b = luaL_checkudata(L, 1, CLASS);
  root *r = b->root;
  b->root = NULL;
  if (r != NULL)
    leave(r);
  lua_pushboolean(L, true);
  return 1;
}


static int l_root_text(lua_State *L) {
  const root *r = call_root(L);
  if (r == NULL)
    lua_pushliteral(L, "root (closed)");
  else
    lua_pushfstring(L, "root (%s)", r->name[0] != '\0' ? r->name : ".");
  return 1;
}


/*
** In the thread
*/

static const call_kind *kind_of(const call *c) {
  return (const call_kind *)(const void *)c->work.kind;
}


/* A copy of a socket's descriptor would keep its connection. */
void call_work(work *w) {
  call *c = (call *)w;
  c->status = kind_of(c)->run(c);
  if (c->into >= 0)
    close(c->into);
  c->into = -1;
}


int call_reserve(call *c, size_t n) {
  if (c->room - c->size > n)
    return 0;
  size_t room = 2 * c->room > c->size + n ? 2 * c->room : c->size + n + 1;
  char *more = realloc(c->bytes, room);
  if (more == NULL)
    return -ENOMEM;
  c->bytes = more;
  c->room = room;
  return 0;
}


/*
** In the host's
*/

call *call_new(lua_State *L, const call_kind *kind, int path) {
  call_root(L);
  call *c = (call *)work_new(L, &kind->work, NULL);
  root *r = call_root(L); /* a finalizer may have closed it */
  c->fd = c->into = -1;
  c->root = r;
  if (r != NULL) {
    c->work.gate = &r->gate;
    r->users++;
  }
  if (path > 0)
    c->path = call_text(L, path);
  return c;
}


static void shut(call *c) {
  if (c->fd >= 0)
    close(c->fd);
  if (c->into >= 0)
    close(c->into);
  c->fd = c->into = -1;
}


void call_clear(work *w) {
  call *c = (call *)w;
  shut(c);
  free(c->path);
  free(c->other);
  free(c->bytes);
  if (c->root != NULL)
    leave(c->root);
}


int call_run(lua_State *L, call *c) {
  if (c->root == NULL)
    return fail(L, -EBADF, c->work.kind->op, c->path);
  if (kind_of(c)->changes && host_replays(host_of(L))) {
    c->words = "a simulated host has files to read only";
    return call_fail(L, c, -ENOSYS);
  }
  if (host_replays(host_of(L)) && c->path != NULL &&
      !place_has_file(&c->root->place, c->path)) {
    c->words = "a simulated host has nothing of the kernel's";
    return call_fail(L, c, -ENOSYS);
  }
  return work_run(L, &c->work, true);
}


char *call_text(lua_State *L, int arg) {
  size_t n;
  const char *text = luaL_checklstring(L, arg, &n);
  luaL_argcheck(L, strlen(text) == n, arg, "path has a zero byte in it");
  return memory_text(text, n < PATH_MAX ? n : PATH_MAX);
}


void call_bytes(lua_State *L, call *c, int arg) {
  size_t n;
  const char *bytes = luaL_checklstring(L, arg, &n);
  if (call_reserve(c, n) < 0)
    luaL_error(L, "not enough memory");
  memcpy(c->bytes, bytes, n);
  c->size = n;
}


int call_push_true(lua_State *L, call *c) {
  (void)c;
  lua_pushboolean(L, true);
  return 1;
}


static const char *push_where(lua_State *L, const call *c) {
  const char *above = c->root->name, *path = c->path;
  if (path == NULL)
    return lua_pushstring(L, NULL);
  return lua_pushfstring(L, above[0] != '\0' ? "%s/%s" : "%s%s", above, path);
}


int call_fail(lua_State *L, call *c, int status) {
  const char *words = c->words;
  shut(c);
  if (c->root == NULL)
    return fail(L, -EBADF, c->work.kind->op, c->path);
  if (status == -EXDEV && c->root->place.beneath && words == NULL)
    words = "the path leads out of its root";
  const char *where = push_where(L, c);
  lua_pushnil(L);
  error_push_message(L, status, c->work.kind->op, where, words);
  return 2;
}


int call_push(lua_State *L, work *w) {
  call *c = (call *)w;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  int results =
      c->status < 0 ? call_fail(L, c, c->status) : kind_of(c)->push(L, c);
  shut(c);
  return results;
}


int call_push_stream(lua_State *L, call *c) {
  host *h = c->work.host;
  stream *s = NULL;
  const char *where = push_where(L, c);
  int status = h->world->net->adopt(h, c->fd, &s, NULL);
  if (status < 0)
    return call_fail(L, c, status);
  c->fd = -1;
  stream_name(s, where, strlen(where));
  stream_push(L, s);
  return 1;
}


/*
** root(path) : Root | nil, error
*/

static int open_root(call *c) {
  c->fd = call_open(c, O_PATH | O_DIRECTORY);
  if (c->fd < 0)
    return c->fd;
  int status = place_check(c->fd);
  if (status == -ENOSYS)
    c->words = "this kernel cannot keep paths beneath a folder (openat2, Linux "
               "5.6)";
  return status;
}


static int push_root(lua_State *L, call *c) {
  const char *where = push_where(L, c);
  place p = {c->fd, true};
  c->fd = -1;
  return call_push_root(L, p, where);
}


static const call_kind opening = {CALL("root"), open_root, push_root, false};


static int l_root(lua_State *L) {
  return call_run(L, call_new(L, &opening, 2));
}


const luaL_Reg root_functions[] = {{"root", l_root}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", l_root_close},
                                       {"__close", l_root_close},
                                       {"__tostring", l_root_text},
                                       {NULL, NULL}};

static const luaL_Reg methods[] = {{"close", l_root_close}, {NULL, NULL}};


void call_open_classes(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, NULL);
}
