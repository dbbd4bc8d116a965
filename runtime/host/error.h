/*
** Errors, made in one place.
**
** Below Lua a failure is a negative integer: -errno, a resolver's code
** (ERROR_EAI + EAI_x, where glibc's EAI_x are negative themselves), or one of TLS.  Only here
** it becomes a Lua value: a table of class neap.Error with the fields
**   code      "ECONNREFUSED", "EAI_NONAME", ...
**   message   "connection refused"
**   op        the verb, "connect"
**   endpoint  "tcp://127.0.0.1:1", or nil
** whose tostring reads "connect tcp://127.0.0.1:1: connection refused
** (ECONNREFUSED)".  The mistakes of the script itself are raised with
** luaL_error or luaL_argerror instead.
*/

#ifndef HOST_ERROR_H
#define HOST_ERROR_H

#include <lua.h>

#define ERROR_EAI (-3000)

/* Below -5000 there is what guard/guard.h refuses: "EACCES". */

/* Of TLS, all below this: "ETLSCUT" and so on. */
#define ERROR_TLS (-4000)

enum {
  ERROR_TLS_PLAIN =
      ERROR_TLS - 6, /* bytes in the clear, where it was to begin */
  ERROR_TLS_CERT,    /* a certificate, key, or list of those of ours */
  ERROR_TLS_PROTO,   /* the peer does not keep to it, or speaks another one */
  ERROR_TLS_VERIFY,  /* the peer's certificate */
  ERROR_TLS_ALERT,   /* the peer says that it refuses */
  ERROR_TLS_CUT      /* an end that the peer did not announce */
};

/* Push an error object.  `op` and `where` may be NULL. */
void error_push(lua_State *L, int status, const char *op, const char *where);

/* The same with another message than the code's own. */
void error_push_message(lua_State *L, int status, const char *op,
                        const char *where, const char *message);

/* One whose code is no errno's: that of a library (crypto/openssl.h). */
void error_push_code(lua_State *L, const char *code, const char *op,
                     const char *where, const char *message);

/* Push nil and an error object; returns 2, for `return fail(...)`. */
int fail(lua_State *L, int status, const char *op, const char *where);

/* Make the table on top an error object. */
void error_adopt(lua_State *L);

/* Is the value at index an error object? */
int error_is(lua_State *L, int index);

/* "ECONNREFUSED" for -ECONNREFUSED; "EUNKNOWN" when there is no name. */
const char *error_code(int status);

/* words(code) : text, "connection refused" | nil for a code that is not known here */
int error_words_lua(lua_State *L);

/* Leave the class (metatable) on the stack, and the module neap.error. */
int luaopen_neap_error(lua_State *L);

#endif
