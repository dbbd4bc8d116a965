/*
** The module neap.endpoint, and endpoints as arguments.
*/

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "host/error.h"
#include "host/fields.h"
#include "host/quote.h"
#include "net/endpoint_forms.h"

/* Parse, or push the message of the caller's mistake and return -EINVAL. */
static int parse(lua_State *L, const char *text, size_t n, endpoint *out) {
  char why[ENDPOINT_WHY], quoted[QUOTE];
  int status = endpoint_parse(L, text, n, out, why);
  if (status == -EINVAL) {
    quote(quoted, text, n);
    lua_pushfstring(L, "malformed endpoint '%s': %s", quoted, why);
  }
  return status;
}

int endpoint_check(lua_State *L, int arg, endpoint *out) {
  const char *text;
  size_t n;
  int status;
  luaL_checktype(L, arg, LUA_TSTRING);
  text = lua_tolstring(L, arg, &n);
  status = parse(L, text, n, out);
  if (status == -EINVAL)
    luaL_argerror(L, arg, lua_tostring(L, -1));
  return status;
}

static void push_table(lua_State *L, const endpoint *e) {
  char path[ADDRESS_TEXT];
  endpoint_form form = e->scheme->form;
  lua_createtable(L, 0, 6);
  set_text(L, "scheme", e->scheme->name);
  set_flag(L, "numeric", e->numeric);
  if (form == ENDPOINT_HOST_PORT || form == ENDPOINT_CID_PORT) {
    set_text(L, "host", e->host);
    set_integer(L, "port", e->port);
  } else if (form == ENDPOINT_HOST) {
    set_text(L, "host", e->host);
    if (e->protocol >= 0)
      set_integer(L, "protocol", e->protocol);
  } else if (form == ENDPOINT_INTERFACE) {
    set_text(L, "interface", e->host);
  } else if (form == ENDPOINT_PATH) {
    endpoint_forms[form].print(host_of(L), e, path, sizeof path);
    set_text(L, "path", path);
  } else if (form == ENDPOINT_NAME) {
    set_text(L, "name", e->host);
  } else {
    set_integer(L, "fd", e->fd);
  }
  if (e->numeric && !e->autobind) {
    address_push(L, &e->addr);
    lua_setfield(L, -2, "address");
  }
}

/* parse(text) : {scheme=, host=, port=, protocol=, interface=, path=, name=,
 *                fd=, numeric=, address=}
 *             | nil, error */
static int l_parse(lua_State *L) {
  endpoint e;
  int status = endpoint_check(L, 1, &e);
  if (status < 0)
    return fail(L, status, "parse", lua_tostring(L, 1));
  push_table(L, &e);
  return 1;
}

/* Push a field of the table at 1 as text; 80.0 is 80. */
static const char *push_text(lua_State *L, const char *field) {
  const char *text;
  int whole;
  lua_Integer number;
  lua_getfield(L, 1, field);
  number = lua_tointegerx(L, -1, &whole);
  if (whole && lua_type(L, -1) == LUA_TNUMBER) {
    lua_pushinteger(L, number);
    lua_replace(L, -2);
  }
  text = lua_tostring(L, -1);
  if (text == NULL || strlen(text) != (size_t)lua_rawlen(L, -1)) {
    lua_pushfstring(L, "the field '%s' is missing or no text", field);
    luaL_argerror(L, 1, lua_tostring(L, -1));
  }
  return text;
}

/* Replace the table at 1 by the text that its fields make. */
static void join(lua_State *L) {
  static const char *const fields[] = {
      [ENDPOINT_HOST_PORT] = "host", [ENDPOINT_CID_PORT] = "host",
      [ENDPOINT_HOST] = "host",      [ENDPOINT_INTERFACE] = "interface",
      [ENDPOINT_PATH] = "path",      [ENDPOINT_NAME] = "name",
      [ENDPOINT_FD] = "fd",
  };
  const char *name = push_text(L, "scheme"), *field;
  const endpoint_scheme *scheme = endpoint_scheme_find(name, strlen(name));
  luaL_argcheck(L, scheme != NULL, 1, "the field 'scheme' names no scheme");
  field = push_text(L, fields[scheme->form]);
  if (scheme->form == ENDPOINT_HOST_PORT || scheme->form == ENDPOINT_CID_PORT)
    lua_pushfstring(L, strchr(field, ':') ? "%s://[%s]:%s" : "%s://%s:%s", name,
                    field, push_text(L, "port"));
  else if (scheme->form == ENDPOINT_HOST && scheme->type == SOCK_RAW)
    lua_pushfstring(L, "%s://%s/%s", name, field, push_text(L, "protocol"));
  else if (scheme->form == ENDPOINT_HOST || scheme->form == ENDPOINT_INTERFACE)
    lua_pushfstring(L, "%s://%s", name, field);
  else
    lua_pushfstring(L, "%s:%s", name, field);
  lua_replace(L, 1);
  lua_settop(L, 1);
}

/* print(text | table of parse) : text, in the one form that it has
 *                              | nil, error */
static int l_print(lua_State *L) {
  char text[ENDPOINT_TEXT];
  endpoint e;
  int status;
  if (lua_istable(L, 1))
    join(L);
  status = endpoint_check(L, 1, &e);
  if (status < 0)
    return fail(L, status, "print", lua_tostring(L, 1));
  lua_pushlstring(L, text, endpoint_print(host_of(L), &e, text, sizeof text));
  return 1;
}

static const luaL_Reg functions[] = {
    {"parse", l_parse},
    {"print", l_print},
    {NULL, NULL},
};

int luaopen_neap_endpoint(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
