#include "tls/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard.h"
#include "host/error.h"
#include "host/memory.h"
#include "sched/wait.h"


/* Bytes of a file of certificates, at most. */
enum { FILE_MAX = 1024 * 1024 };

static const char op[] = "tls.context";

/* Its address is the key of a table in the registry: the Contexts by their bodies, as
 * long as they live. */
static const char contexts = 0;


/*
** Its life
*/

tls_context *context_hold(tls_context *c) {
  c->refs++;
  return c;
}


void context_release(tls_context *c) {
  if (--c->refs > 0)
    return;
  for (unsigned i = 0; i < c->name_count; i++) {
    free(c->names[i].name);
    rules_release(c->names[i].rules);
  }
  free(c->names);
  rules_release(c->rules);
  free(c);
}


tls_rules *rules_hold(tls_rules *r) {
  r->refs++;
  return r;
}


void rules_release(tls_rules *r) {
  if (--r->refs > 0)
    return;
  saved_drop(r);
  free(r->now.alpn);
  SSL_CTX_free(r->now.ssl);
  free(r);
}


tls_context *context_check(lua_State *L, int index) {
  return *(tls_context **)luaL_checkudata(L, index, CONTEXT_CLASS);
}


/*
** Names
*/

static const tls_name *find(const tls_context *c, const char *name) {
  for (unsigned i = 0; i < c->name_count; i++)
    if (strcasecmp(c->names[i].name, name) == 0)
      return &c->names[i];
  return NULL;
}


tls_rules *context_find(const tls_context *c, const char *name) {
  char any[300];
  const char *dot = strchr(name, '.');
  const tls_name *x = find(c, name);
  if (x == NULL && dot != NULL && strlen(dot) < sizeof any - 1) {
    snprintf(any, sizeof any, "*%s", dot);
    x = find(c, any);
  }
  return x != NULL ? x->rules : NULL;
}


/*
** context(options) : Context | nil, error
*/

static void note(lua_State *L, const void *body) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &contexts) != LUA_TTABLE) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &contexts);
    lua_replace(L, -2);
  }
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, body);
  lua_pop(L, 1);
}


void context_push(lua_State *L, const tls_context *c) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &contexts) == LUA_TTABLE)
    lua_rawgetp(L, -1, c);
  else
    lua_pushnil(L);
  lua_remove(L, -2);
}


/* What the script gave is its user value. */
static tls_context **make(lua_State *L) {
  tls_context **held = host_box(L, CONTEXT_CLASS, sizeof *held, 1);
  if (held == NULL)
    lua_error(L);
  *held = memory_new(sizeof **held);
  (*held)->refs = 1;
  (*held)->rules = memory_new(sizeof *(*held)->rules);
  (*held)->rules->refs = 1;
  (*held)->rules->identity = host_serial(host_of(L));
  note(L, *held);
  lua_pushliteral(L, "given");
  lua_rawget(L, SETTINGS);
  lua_setiuservalue(L, -2, 1);
  return held;
}


int context_given_lua(lua_State *L) {
  context_check(L, 1);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

int context_lua(lua_State *L) {
  luaL_checktype(L, SETTINGS, LUA_TTABLE);
  lua_settop(L, SETTINGS);
  luaL_checkstack(L, 60, NULL);
  if (openssl_need(L, OPENSSL_SSL) < 0) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  tls_context **held = make(L);
  int here = lua_gettop(L);
  int failed = settings_fill(L, *held);
  if (failed != 0)
    return failed;
  lua_pushvalue(L, here);
  return 1;
}


/*
** swap(context, other): what one is, the other is from now on.  Tickets of servers stay
** good, but for those of servers that look at their clients: the rules may be others
** now.  So they may for clients, who do not look again at whose session they resume:
** theirs are forgotten.
*/

static void keep_ticket_keys(SSL_CTX *from, SSL_CTX *to) {
  unsigned char keys[256];
  long n = SSL_CTX_set_tlsext_ticket_keys(from, NULL, 0);
  if (n > 0 && n <= (long)sizeof keys &&
      SSL_CTX_get_tlsext_ticket_keys(from, keys, n) == 1)
    SSL_CTX_set_tlsext_ticket_keys(to, keys, n);
  OPENSSL_cleanse(keys, sizeof keys);
}


static void swap_names(tls_context *a, tls_context *b) {
  tls_context old = *a;
  a->names = b->names;
  a->name_count = b->name_count;
  a->chooses = b->chooses;
  b->names = old.names;
  b->name_count = old.name_count;
  b->chooses = old.chooses;
}


int context_swap_lua(lua_State *L) {
  tls_context *a = context_check(L, 1), *b = context_check(L, 2);
  tls_rules *x = a->rules, *y = b->rules;
  keep_ticket_keys(x->now.ssl, y->now.ssl);
  if ((x->now.clients | y->now.clients) != SSL_VERIFY_NONE)
    x->identity = host_serial(host_of(L));
  saved_drop(x);
  tls_settings old = x->now;
  x->now = y->now;
  y->now = old;
  swap_names(a, b);
  lua_getiuservalue(L, 2, 1);
  lua_setiuservalue(L, 1, 1);
  return 0;
}


/*
** file(path) : text | nil, error
*/

int context_file_lua(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char *room = lua_newuserdatauv(L, FILE_MAX + 1, 0);
  int fd = guard_open(AT_FDCWD, path, O_RDONLY, 0, 0);
  FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
  if (f == NULL) {
    if (fd >= 0)
      close(fd);
    return fail(L, fd < 0 ? fd : -ENOMEM, op, path);
  }
  setvbuf(f, NULL, _IONBF, 0);
  size_t n = fread(room, 1, FILE_MAX + 1, f);
  int error = ferror(f) ? errno : n > FILE_MAX ? EFBIG : 0;
  fclose(f);
  if (error != 0)
    return fail(L, -error, op, path);
  lua_pushlstring(L, room, n);
  return 1;
}


static int l_end(lua_State *L) {
  tls_context **held = luaL_checkudata(L, 1, CONTEXT_CLASS);
  if (*held != NULL)
    context_release(*held);
  *held = NULL;
  return 0;
}


/* Its methods are Lua's: lua/neap/tls.lua. */
void context_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", l_end}, {NULL, NULL}};
  if (luaL_newmetatable(L, CONTEXT_CLASS)) {
    luaL_setfuncs(L, metamethods, 0);
    lua_newtable(L);
    lua_setfield(L, -2, "__index");
  }
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
}
