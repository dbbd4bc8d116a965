/*
** Error objects.  See error.h for their shape.
*/

#include "host/error.h"

#include <ctype.h>
#include <lauxlib.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "guard/guard.h"
#include "host/class.h"
#include "host/fields.h"

#define CLASS "neap.Error"
#define UNKNOWN "EUNKNOWN"

/* The resolver's codes, as getaddrinfo(3) names them. */
static const struct {
  int code;
  const char *name;
} resolver_codes[] = {
    {EAI_ADDRFAMILY, "EAI_ADDRFAMILY"},
    {EAI_AGAIN, "EAI_AGAIN"},
    {EAI_BADFLAGS, "EAI_BADFLAGS"},
    {EAI_CANCELED, "EAI_CANCELED"},
    {EAI_FAIL, "EAI_FAIL"},
    {EAI_FAMILY, "EAI_FAMILY"},
    {EAI_MEMORY, "EAI_MEMORY"},
    {EAI_NODATA, "EAI_NODATA"},
    {EAI_NONAME, "EAI_NONAME"},
    {EAI_OVERFLOW, "EAI_OVERFLOW"},
    {EAI_SERVICE, "EAI_SERVICE"},
    {EAI_SOCKTYPE, "EAI_SOCKTYPE"},
};


/* Of streams over others. */
static const struct {
  const char *name, *words;
} layer_codes[] = {
    [ERROR_TLS - ERROR_TLS_CUT] = {"ETLSCUT",
                                   "connection cut: it has ended, and "
                                   "TLS has not said so"},
    [ERROR_TLS - ERROR_TLS_ALERT] = {"ETLSALERT", "TLS: the peer refuses"},
    [ERROR_TLS - ERROR_TLS_VERIFY] = {"ETLSVERIFY",
                                      "TLS: the peer's certificate is refused"},
    [ERROR_TLS - ERROR_TLS_PROTO] = {"ETLSPROTO", "TLS: protocol error"},
    [ERROR_TLS - ERROR_TLS_CERT] = {"ETLSCERT",
                                    "TLS: a certificate or key can't be used"},
    [ERROR_TLS - ERROR_TLS_PLAIN] = {"ETLSPLAIN",
                                     "bytes came in the clear where TLS was to "
                                     "begin"},
};


static bool of_layer(int status) {
  return status < ERROR_TLS &&
         status > ERROR_TLS - (int)(sizeof layer_codes / sizeof *layer_codes);
}


static bool of_resolver(int status) {
  return status < ERROR_EAI && status > ERROR_TLS;
}


const char *error_code(int status) {
  const char *name = NULL;
  if (guard_words(status) != NULL) {
    name = "EACCES";
  } else if (of_layer(status)) {
    name = layer_codes[ERROR_TLS - status].name;
  } else if (!of_resolver(status)) {
    name = strerrorname_np(-status);
  } else {
    for (size_t i = 0; i < sizeof resolver_codes / sizeof *resolver_codes; i++)
      if (resolver_codes[i].code == status - ERROR_EAI)
        name = resolver_codes[i].name;
  }
  return name != NULL ? name : UNKNOWN;
}


/* The system's words, beginning with a small letter as messages do here. */
static void push_words(lua_State *L, int status) {
  char text[128];
  const char *words = guard_words(status) != NULL ? guard_words(status)
                      : of_layer(status) ? layer_codes[ERROR_TLS - status].words
                      : of_resolver(status) ? gai_strerror(status - ERROR_EAI)
                                            : strerrordesc_np(-status);
  snprintf(text, sizeof text, "%s", words != NULL ? words : "unknown error");
  if (!isupper((unsigned char)text[1]))
    text[0] = (char)tolower((unsigned char)text[0]);
  lua_pushstring(L, text);
}


int error_words_lua(lua_State *L) {
  static const struct {
    int from, to;
  } kinds[] = {
      {0, -200}, {ERROR_EAI, ERROR_EAI - 200}, {ERROR_TLS, ERROR_TLS - 10}};
  const char *code = luaL_checkstring(L, 1);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    for (int status = kinds[i].from - 1; status > kinds[i].to; status--)
      if (strcmp(error_code(status), code) == 0 && strcmp(code, UNKNOWN) != 0) {
        push_words(L, status);
        return 1;
      }
  return 0;
}


void error_push_code(lua_State *L, const char *code, const char *op,
                     const char *where, const char *message) {
  luaL_checkstack(L, 4, "error object");
  lua_createtable(L, 0, 4);
  set_text(L, "code", code);
  set_text(L, "message", message);
  set_text(L, "op", op);
  set_text(L, "endpoint", where);
  luaL_setmetatable(L, CLASS);
}


void error_push_message(lua_State *L, int status, const char *op,
                        const char *where, const char *message) {
  error_push_code(L, error_code(status), op, where, message);
  if (message != NULL)
    return;
  push_words(L, status);
  lua_setfield(L, -2, "message");
}


void error_push(lua_State *L, int status, const char *op, const char *where) {
  error_push_message(L, status, op, where, NULL);
}


int fail(lua_State *L, int status, const char *op, const char *where) {
  lua_pushnil(L);
  error_push(L, status, op, where);
  return 2;
}


void error_adopt(lua_State *L) {
  luaL_setmetatable(L, CLASS);
}


int error_is(lua_State *L, int index) {
  bool is = lua_istable(L, index) && lua_getmetatable(L, index);
  if (is) {
    luaL_getmetatable(L, CLASS);
    is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  return is;
}


/* The field's text, or NULL; it stays on the stack for as long. */
static const char *field(lua_State *L, const char *key) {
  lua_pushstring(L, key);
  return lua_rawget(L, 1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}


/*
** tostring(err): "op endpoint: message (CODE)"
*/

static int l_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *op = field(L, "op");
  const char *endpoint = field(L, "endpoint");
  const char *message = field(L, "message");
  const char *code = field(L, "code");
  lua_pushfstring(L, "%s%s%s%s%s (%s)", op != NULL ? op : "",
                  op != NULL && endpoint != NULL ? " " : "",
                  endpoint != NULL ? endpoint : "",
                  op != NULL || endpoint != NULL ? ": " : "",
                  message != NULL ? message : "failed",
                  code != NULL ? code : "EUNKNOWN");
  return 1;
}


/*
** error.new{code=, message=, op=, endpoint=, ...} : err
*/

static int l_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getfield(L, 1, "code") != LUA_TSTRING)
    return luaL_argerror(L, 1, "field 'code' must be a string");
  if (lua_getfield(L, 1, "message") != LUA_TSTRING)
    return luaL_argerror(L, 1, "field 'message' must be a string");
  lua_settop(L, 1);
  luaL_setmetatable(L, CLASS);
  return 1;
}


/*
** error.is(value) : boolean
*/

static int l_is(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, error_is(L, 1));
  return 1;
}


static const luaL_Reg metamethods[] = {
    {"__tostring", l_tostring}, {"__concat", class_concat}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"new", l_new}, {"is", l_is}, {NULL, NULL}};


int luaopen_neap_error(lua_State *L) {
  class_open(L, CLASS, metamethods, NULL, NULL);
  luaL_newlib(L, functions);
  return 1;
}
