/*
** Addresses as objects of Lua.
**
** The one clever thing is interning: a table with weak values maps an address's
** bytes to its object, so the hot path of a datagram socket makes no object for a
** peer that the script still knows.
*/

#include "net/address_parts.h"

#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

#include "host/class.h"
#include "host/quote.h"
#include "net/functions.h"

#define CLASS "neap.Address"

static const address *self(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}

static void push_family(lua_State *L, const address *a) {
  lua_pushstring(L, address_family_name(a->u.any.sa_family));
}

static void push_ip(lua_State *L, const address *a) {
  char ip[INET6_ADDRSTRLEN];
  if (is_ip(a)) {
    address_print_ip(a, ip, sizeof ip);
    lua_pushstring(L, ip);
  } else {
    lua_pushnil(L);
  }
}

static void push_bytes(lua_State *L, const address *a) {
  if (!is_ip(a))
    lua_pushnil(L);
  else if (a->u.any.sa_family == AF_INET)
    lua_pushlstring(L, (const char *)&a->u.in4.sin_addr, 4);
  else
    lua_pushlstring(L, (const char *)bytes6(a), 16);
}

static void push_port(lua_State *L, const address *a) {
  int64_t port = address_port(a);
  if (port < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, port);
}

static void push_path(lua_State *L, const address *a) {
  char path[ADDRESS_TEXT];
  if (a->u.any.sa_family == AF_UNIX && name_length(a) > 0)
    lua_pushlstring(L, path,
                    address_print_host(host_of(L), a, path, sizeof path));
  else
    lua_pushnil(L);
}

static void push_cid(lua_State *L, const address *a) {
  if (a->u.any.sa_family == AF_VSOCK)
    lua_pushinteger(L, a->u.vm.svm_cid);
  else
    lua_pushnil(L);
}

static void push_scope(lua_State *L, const address *a) {
  char name[QUOTE];
  if (a->u.any.sa_family == AF_INET6 && a->u.in6.sin6_scope_id != 0) {
    address_print_scope(host_of(L), a, name, sizeof name);
    lua_pushstring(L, name + 1); /* without the % */
  } else {
    lua_pushnil(L);
  }
}

static const struct field {
  const char *name;
  void (*push)(lua_State *L, const address *a);
} fields[] = {
    {"family", push_family}, {"ip", push_ip},     {"bytes", push_bytes},
    {"port", push_port},     {"path", push_path}, {"scope", push_scope},
    {"cid", push_cid},       {NULL, NULL},
};

static int l_index(lua_State *L) {
  const address *a = self(L);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (const struct field *f = fields; f->name != NULL; f++) {
    if (strcmp(f->name, name) == 0 && strlen(name) == lua_rawlen(L, 2)) {
      f->push(L, a);
      return 1;
    }
  }
  return 0;
}

static int l_newindex(lua_State *L) {
  self(L);
  return luaL_error(L, "an Address is immutable");
}

static int l_tostring(lua_State *L) {
  char text[ADDRESS_TEXT];
  size_t n = address_print(host_of(L), self(L), text, sizeof text);
  lua_pushlstring(L, text, n);
  return 1;
}

static int l_eq(lua_State *L) {
  const address *a = address_test(L, 1), *b = address_test(L, 2);
  lua_pushboolean(L, a != NULL && b != NULL && address_equal(a, b));
  return 1;
}

static int compare(lua_State *L) {
  return address_compare(luaL_checkudata(L, 1, CLASS),
                         luaL_checkudata(L, 2, CLASS));
}

static int l_lt(lua_State *L) {
  lua_pushboolean(L, compare(L) < 0);
  return 1;
}

static int l_le(lua_State *L) {
  lua_pushboolean(L, compare(L) <= 0);
  return 1;
}

static const luaL_Reg methods[] = {
    {"__index", l_index},
    {"__newindex", l_newindex},
    {"__tostring", l_tostring},
    {"__concat", class_concat},
    {"__eq", l_eq},
    {"__lt", l_lt},
    {"__le", l_le},
    {NULL, NULL},
};

static const char interned = 0; /* its address: the key in the registry */

/* An Address; it ends with host_mark(&interned). */
typedef struct object {
  address a;
  uint32_t mark;
} object;

/* Push the table of all addresses that the script holds. */
static void push_interned(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &interned) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  if (luaL_newmetatable(L, CLASS))
    luaL_setfuncs(L, methods, 0);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &interned);
  lua_remove(L, -2);
}

void address_push(lua_State *L, const address *given) {
  address a = *given;
  address_normalise(&a);
  luaL_checkstack(L, 6, NULL);
  push_interned(L);
  lua_pushlstring(L, (const char *)&a.u, a.length);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TNIL) {
    object *made;
    lua_pop(L, 1);
    made = lua_newuserdatauv(L, sizeof *made, 0);
    *made = (object){a, host_mark(&interned)};
    luaL_setmetatable(L, CLASS);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void address_set(lua_State *L, const char *key, const address *a) {
  if (a->length == 0)
    return;
  address_push(L, a);
  lua_setfield(L, -2, key);
}

const address *address_test(lua_State *L, int arg) {
  return host_marked(L, arg, sizeof(object), &interned);
}

const address *address_read(lua_State *L, int index) {
  const address *a = address_test(L, index);
  const char *text, *why = "";
  char quoted[QUOTE];
  address parsed;
  size_t n;
  if (a != NULL)
    return a;
  index = lua_absindex(L, index);
  if (lua_type(L, index) != LUA_TSTRING) {
    lua_pushfstring(L, "%s or string expected, got %s", CLASS,
                    luaL_typename(L, index));
    return NULL;
  }
  text = lua_tolstring(L, index, &n);
  if (address_parse(L, text, n, &parsed, &why) < 0) {
    quote(quoted, text, n);
    lua_pushfstring(L,
                    "an address such as 127.0.0.1:80, [::1]:80, /path, "
                    "@name or vsock:2:80 expected, got '%s': %s",
                    quoted, why);
    return NULL;
  }
  address_push(L, &parsed);
  lua_replace(L, index);
  return address_test(L, index);
}

const address *address_check(lua_State *L, int arg) {
  const address *a = address_test(L, arg);
  if (a == NULL && (a = address_read(L, arg)) == NULL)
    luaL_argerror(L, arg, lua_tostring(L, -1));
  return a;
}

/* The address of the fields of the table at 1. */
static void read_fields(lua_State *L, address *a) {
  size_t n = 0;
  const char *bytes = NULL;
  lua_Integer port = 0;
  int ok = 1;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "bytes") == 0 && lua_type(L, 3) == LUA_TSTRING)
      bytes = lua_tolstring(L, 3, &n);
    else if (strcmp(key, "port") == 0)
      port = lua_tointegerx(L, 3, &ok);
    else
      luaL_argerror(L, 1, "only bytes, a string, and port expected");
    lua_settop(L, 2);
  }
  luaL_argcheck(L, bytes != NULL && (n == 4 || n == 16), 1,
                "bytes: 4 of IPv4 or 16 of IPv6 expected");
  luaL_argcheck(L, ok && port >= 0 && port <= 65535, 1,
                "port: a whole number, 0 to 65535, expected");
  address_any(a, n == 4 ? AF_INET : AF_INET6, (int)port);
  if (n == 4)
    memcpy(&a->u.in4.sin_addr, bytes, n);
  else
    memcpy(&a->u.in6.sin6_addr, bytes, n);
}

/* address(text | {bytes: string, port: integer?}) : Address */
int address_lua(lua_State *L) {
  address made;
  lua_settop(L, 1);
  if (lua_istable(L, 1)) {
    read_fields(L, &made);
    address_push(L, &made);
    return 1;
  }
  address_check(L, 1);
  return 1;
}

/* ip_bytes(text) : the 4 or 16 bytes of an IP address as it is written, also of
** ::ffff:127.0.0.1 | nil */
int ip_bytes_lua(lua_State *L) {
  unsigned char bytes[16];
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  if (strlen(text) != n)
    return 0;
  if (inet_pton(AF_INET, text, bytes) == 1)
    lua_pushlstring(L, (const char *)bytes, 4);
  else if (inet_pton(AF_INET6, text, bytes) == 1)
    lua_pushlstring(L, (const char *)bytes, 16);
  else
    return 0;
  return 1;
}
