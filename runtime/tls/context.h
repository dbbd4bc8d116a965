/*
** Contexts: what sessions are made with.  One is made once, and used by many streams,
** of both roles; its settings may be exchanged meanwhile, which those that have begun
** do not notice.
*/

#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "crypto/openssl.h"
#include "host/host.h"

#define CONTEXT_CLASS "neap.tls.Context"

typedef struct tls_context tls_context;

/* Which certificate, by the name that the client calls. */
typedef struct tls_name {
  char *name; /* lower case; "*.x" is any one label before x */
  tls_context *context;
} tls_name;

typedef struct tls_settings {
  SSL_CTX *ssl;
  tls_name *names;
  unsigned name_count;
  unsigned char *alpn; /* as the extension has it; or NULL */
  unsigned alpn_size;
  int clients;      /* SSL_VERIFY_x: what a server wants of its clients */
  bool verify;      /* a client looks at its server's certificate */
  bool chooses;     /* the script is asked which context, by the name */
  uint64_t timeout; /* of a handshake, ns */
} tls_settings;

typedef struct tls_saved {
  char *key;
  SSL_SESSION *session;
} tls_saved;

enum { SAVED = 64 }; /* sessions of a context's clients, at most */

struct tls_context {
  unsigned refs;
  unsigned identity; /* what its clients have shown counts for this one only */
  tls_settings now;
  tls_saved saved[SAVED];
  unsigned oldest;
};

tls_context *context_hold(tls_context *c);
void context_release(tls_context *c);

/* The one at index, which must be it. */
tls_context *context_check(lua_State *L, int index);

/* The context for that name, or NULL: it has none of its own. */
tls_context *context_find(const tls_context *c, const char *name);

/* saved.c: the session is the context's; one for that key, the caller's, or NULL. */
void saved_put(tls_context *c, const char *key, SSL_SESSION *session);
SSL_SESSION *saved_take(tls_context *c, const char *key);
void saved_drop(tls_context *c);

/* settings.c: make them of the table at SETTINGS.  0; or the results for Lua, nil and an
 * error, are on the stack: their number. */
enum { SETTINGS = 1 };
int settings_fill(lua_State *L, tls_settings *x);

/* For Lua. */
int context_lua(lua_State *L);
int context_swap_lua(lua_State *L);
int context_file_lua(lua_State *L);
int context_given_lua(lua_State *L);

/* Push the Context; nil where Lua has none any more. */
void context_push(lua_State *L, const tls_context *c);

/* Push the table of methods. */
void context_open(lua_State *L);

#endif
