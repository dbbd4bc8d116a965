/*
** Contexts: what sessions are made with.  One is made once, and used by many streams,
** of both roles; its settings may be exchanged meanwhile, which those that have begun
** do not notice.
**
** A context names others, by what the client calls, and these may name it in turn: so
** what it holds of them is their rules, which name nobody.
*/

#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "crypto/openssl.h"
#include "host/host.h"

#define CONTEXT_CLASS "neap.tls.Context"

typedef struct tls_settings {
  SSL_CTX *ssl;
  unsigned char *alpn; /* as the extension has it; or NULL */
  unsigned alpn_size;
  bool any_protocol; /* a client that has none of these is taken nevertheless */
  int clients;       /* SSL_VERIFY_x: what a server wants of its clients */
  bool verify;       /* a client looks at its server's certificate */
  bool system;       /* by the system's store, which is not there yet */
  bool unnamed;      /* and not at whom it names */
  bool lax;          /* failures of a verification are noted, and that is all */
  bool tickets;      /* a server gives some */
  uint64_t timeout;  /* of a handshake, ns */
} tls_settings;

typedef struct tls_saved {
  char *key;
  SSL_SESSION *session;
} tls_saved;

enum { SAVED = 64 }; /* sessions of a context's clients, at most */

typedef struct tls_rules {
  unsigned refs;
  unsigned identity; /* what its clients have shown counts for this one only */
  tls_settings now;
  tls_saved saved[SAVED];
  unsigned oldest;
} tls_rules;

/* Which rules, by the name that the client calls. */
typedef struct tls_name {
  char *name; /* lower case; "*.x" is any one label before x */
  tls_rules *rules;
} tls_name;

typedef struct tls_context {
  unsigned refs;
  tls_rules *rules;
  tls_name *names;
  unsigned name_count;
  bool chooses; /* the script is asked which context, by the name */
} tls_context;

tls_context *context_hold(tls_context *c);
void context_release(tls_context *c);

tls_rules *rules_hold(tls_rules *r);
void rules_release(tls_rules *r);

/* The one at index, which must be it. */
tls_context *context_check(lua_State *L, int index);

/* The rules for that name, or NULL: it has none of its own. */
tls_rules *context_find(const tls_context *c, const char *name);

/* saved.c: the session is theirs; one for that key, the caller's, or NULL. */
void saved_put(tls_rules *r, const char *key, SSL_SESSION *session);
SSL_SESSION *saved_take(tls_rules *r, const char *key);
void saved_drop(tls_rules *r);

/* settings.c: fill a context by the table at SETTINGS.  0; or the results for Lua, nil and
 * an error, are on the stack: their number. */
enum { SETTINGS = 1 };
int settings_fill(lua_State *L, tls_context *c);

/* A server's session goes on by these: what SSL_set_SSL_CTX leaves as it was. */
void settings_apply(SSL *ssl, const tls_settings *x);

/* Who looks at a server's certificate begins: by the system's store, if no other was
 * named. */
void settings_need_store(tls_settings *x);

/* A key's password, as OpenSSL asks for it. */
typedef struct password {
  const char *text; /* NULL: there is none */
  size_t size;
  bool asked;
} password;
int settings_password(char *to, int size, int writing, void *p);

/* All certificates of a PEM text; NULL: there is none, or one that is none, and OpenSSL's
 * queue says why. */
STACK_OF(X509) * settings_certificates(const char *bytes, size_t n);
void settings_free_certificates(void *list);

/* piecewise.c: push a table of functions, by which a context's settings are made one by
 * one, as LuaSec does. */
int context_piecewise_lua(lua_State *L);

/* For Lua. */
int context_lua(lua_State *L);
int context_swap_lua(lua_State *L);
int context_file_lua(lua_State *L);
int context_given_lua(lua_State *L);
int context_about_lua(lua_State *L); /* about.c */

/* Push the Context; nil where Lua has none any more. */
void context_push(lua_State *L, const tls_context *c);

/* Push the table of methods. */
void context_open(lua_State *L);

#endif
