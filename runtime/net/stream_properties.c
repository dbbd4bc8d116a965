/*
** What a stream is: its fields, options and timeout.
*/

#include <errno.h>

#include "host/error.h"
#include "host/memory.h"
#include "net/functions.h"
#include "net/inbox.h"
#include "net/layer.h"
#include "net/property.h"
#include "net/stream_methods.h"
#include "sched/world.h"


static int family_of(stream *s) {
  address a;
  if (s->transport->localaddr(s, &a) < 0 || a.length == 0)
    return AF_UNSPEC;
  return a.u.any.sa_family;
}


/*
** Options
*/

static sockspec about(void *body) {
  stream *s = body;
  if (s == NULL)
    return (sockspec){.family = AF_INET, .type = SOCK_STREAM};
  return (sockspec){.family = family_of(s),
                    .type = SOCK_STREAM,
                    .protocol = layer_bottom(s)->transport->kind.protocol};
}


static int set_one(void *body, const sockopt *o) {
  stream *s = body;
  return s->transport->set(s, o);
}


static int get_one(void *body, sockopt *o) {
  stream *s = body;
  return s->transport->get(s, o);
}


static int failed(lua_State *L, void *body, int status, const char *op) {
  return stream_fail(L, body, status, op);
}


static const optioned options = {about, set_one, get_one, failed,
                                 offsetof(stream, timeout)};


static int l_set(lua_State *L) {
  return property_set(L, (void *const *)stream_box(L), &options);
}


static int l_get(lua_State *L) {
  return property_get(L, (void *const *)stream_box(L), &options);
}


static int l_settimeout(lua_State *L) {
  return property_settimeout(L, (void *const *)stream_box(L), &options);
}


/*
** stream:resize(rows, columns) : stream | nil, error
*/

static unsigned check_size(lua_State *L, int arg) {
  enum { MOST = 65535 };
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n >= 1 && n <= MOST, arg, "1 to 65535 expected");
  return (unsigned)n;
}


static int l_resize(lua_State *L) {
  stream *s = stream_box(L)->stream;
  unsigned rows = check_size(L, 2), columns = check_size(L, 3);
  int status = s == NULL ? -EBADF
               : s->transport->resize == NULL
                   ? -ENOTTY
                   : s->transport->resize(s, rows, columns);
  if (status < 0)
    return stream_fail(L, s, status, "resize");
  lua_settop(L, 1);
  return 1;
}


/*
** Fields
*/

/* What a proxy has told; NULL: nothing. */
static const struct said *said_of(stream *s) {
  const struct extra *x = layer_bottom(s)->extra;
  return x != NULL ? x->said : NULL;
}


static void push_localaddr(lua_State *L, void *body) {
  stream *s = body;
  const struct said *said = said_of(s);
  address a;
  if (said != NULL)
    property_address(L, 0, &said->local);
  else
    property_address(L, s->transport->localaddr(s, &a), &a);
}


static void push_remoteaddr(lua_State *L, void *body) {
  stream *s = body;
  const struct said *said = said_of(s);
  address a;
  if (said != NULL)
    property_address(L, 0, &said->remote);
  else
    property_address(L, s->transport->remoteaddr(s, &a), &a);
}


/*
** speaks(stream, protocol): that is what lists and traces call it; "" for none that they
** know.
*/

const char *const stream_uses[] = {"", "http", "websocket", NULL};


int speaks_lua(lua_State *L) {
  const box *b = luaL_checkudata(L, 1, STREAM_CLASS);
  int use = luaL_checkoption(L, 2, NULL, stream_uses);
  if (b->stream != NULL)
    b->stream->use = (uint8_t)use;
  return 0;
}


/*
** announce(stream, remote, local): a proxy has told these addresses of it
*/

int announce_lua(lua_State *L) {
  const box *b = stream_box(L);
  const address *remote = address_check(L, 2), *local = address_check(L, 3);
  stream *s = b->stream;
  if (s == NULL)
    return 0;
  struct extra *x = stream_extra(layer_bottom(s));
  if (x->said == NULL)
    x->said = memory_new(sizeof *x->said);
  *x->said = (struct said){*remote, *local};
  return 0;
}


static void push_family(lua_State *L, void *body) {
  property_family(L, family_of(body));
}


static void push_type(lua_State *L, void *body) {
  (void)body;
  lua_pushliteral(L, "stream");
}


static void push_protocol(lua_State *L, void *body) {
  const stream *s = body;
  lua_pushstring(L, s->transport->kind.name);
}


static void push_fd(lua_State *L, void *body) {
  stream *s = body;
  property_fd(L, s->transport->fd(s));
}


static void push_tls(lua_State *L, void *body) {
  layer_push_about(L, body);
}


static void push_peercred(lua_State *L, void *body) {
  stream *s = body;
  sockopt o = property_ask_peer();
  int status = family_of(s) == AF_UNIX ? s->transport->get(s, &o) : -EINVAL;
  property_peer(L, status, &o);
}


static void push_unread(lua_State *L, void *body) {
  const stream *s = body;
  lua_pushinteger(L, inbox_size(&s->in));
}


const property stream_fields[] = {
    {"remoteaddr", push_remoteaddr}, {"localaddr", push_localaddr},
    {"family", push_family},         {"type", push_type},
    {"protocol", push_protocol},     {"fd", push_fd},
    {"peercred", push_peercred},     {"tls", push_tls},
    {"unread", push_unread},         {NULL, NULL},
};


const luaL_Reg option_methods[] = {{"set", l_set},
                                   {"get", l_get},
                                   {"settimeout", l_settimeout},
                                   {"resize", l_resize},
                                   {NULL, NULL}};
