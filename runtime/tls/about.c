/*
** What a script is told of a session: version, cipher, names, certificates; and what a
** context has.
**
** While tables are made finalizers may run, and close the stream, or exchange what the
** context has: so first of all Lua owns a reference to what is told of.
*/

#include <stdio.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/crypto.h"
#include "crypto/key.h"
#include "host/fields.h"
#include "net/stream_methods.h"
#include "tls/tls.h"

/* A server is called by name only. */
static const char *called(stream *s) {
  const char *name = tls_of(s)->expected;
  return name != NULL && !verify_is_address(name) ? name : NULL;
}


static void free_session(void *ssl) {
  SSL_free(ssl);
}


SSL *session_hold(lua_State *L, stream *s) {
  const box *b = s->box;
  crypto_need(L);
  key_open_classes(L);
  hold *held = hold_push(L, free_session);
  s = b->stream;
  if (s == NULL || !tls_is(s) || !tls_of(s)->open || tls_of(s)->ssl == NULL)
    return NULL;
  SSL_up_ref(tls_of(s)->ssl);
  held->p = tls_of(s)->ssl;
  return held->p;
}


static void set_protocol(lua_State *L, const SSL *ssl) {
  const unsigned char *alpn = NULL;
  unsigned n = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &n);
  if (n == 0)
    return;
  lua_pushlstring(L, (const char *)alpn, n);
  lua_setfield(L, -2, "alpn");
}


static void set_peer(lua_State *L, const SSL *ssl) {
  X509 *peer = SSL_get0_peer_certificate(ssl);
  if (peer == NULL)
    return;
  certificate_info(L, peer);
  lua_setfield(L, -2, "peer");
  STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
  if (chain == NULL)
    chain = SSL_get_peer_cert_chain(ssl);
  lua_newtable(L);
  for (int i = 0; i < sk_X509_num(chain); i++) {
    certificate_info(L, sk_X509_value(chain, i));
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "chain");
}


void tls_about(lua_State *L, stream *s) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  bool server = tls_of(s)->server;
  SSL *ssl = session_hold(L, s);
  if (ssl == NULL) {
    lua_pushboolean(L, false);
    lua_replace(L, -2);
    return;
  }
  lua_pushstring(L, called(s));
  lua_createtable(L, 0, 8);
  lua_insert(L, -2);
  lua_setfield(L, -2, "server_name");
  set_text(L, "version", SSL_get_version(ssl));
  set_text(L, "cipher", SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)));
  set_flag(L, "server", server);
  set_flag(L, "resumed", SSL_session_reused(ssl));
  set_protocol(L, ssl);
  set_peer(L, ssl);
  lua_replace(L, -2);
}


bool tls_brief(stream *s, char *to, size_t size) {
  const tls *t = tls_of(s);
  const char *name = called(s);
  if (!t->open || t->ssl == NULL) {
    snprintf(to, size, t->failed != 0 ? "failed" : "handshake");
    return true;
  }
  snprintf(to, size, "%s %s%s%s", SSL_get_version(t->ssl),
           SSL_CIPHER_get_name(SSL_get_current_cipher(t->ssl)),
           name != NULL ? " for " : "", name != NULL ? name : "");
  return true;
}


/*
** about(context) : its certificate and those of its issuers, and its ciphers by name, in
** two lists
*/

static void free_context(void *ssl) {
  SSL_CTX_free(ssl);
}


static void push_own(lua_State *L, SSL_CTX *c) {
  X509 *own = SSL_CTX_get0_certificate(c);
  STACK_OF(X509) *chain = NULL;
  lua_newtable(L);
  if (own == NULL)
    return;
  certificate_info(L, own);
  lua_rawseti(L, -2, 1);
  SSL_CTX_get0_chain_certs(c, &chain);
  for (int i = 0; i < sk_X509_num(chain); i++) {
    certificate_info(L, sk_X509_value(chain, i));
    lua_rawseti(L, -2, i + 2);
  }
}


static void push_ciphers(lua_State *L, const SSL_CTX *c) {
  const STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(c);
  lua_newtable(L);
  for (int i = 0; i < sk_SSL_CIPHER_num(list); i++) {
    lua_pushstring(L, SSL_CIPHER_get_name(sk_SSL_CIPHER_value(list, i)));
    lua_rawseti(L, -2, i + 1);
  }
}


int context_about_lua(lua_State *L) {
  const tls_context *c = context_check(L, 1);
  crypto_need(L);
  key_open_classes(L);
  hold *held = hold_push(L, free_context);
  SSL_CTX *ssl = c->rules->now.ssl;
  SSL_CTX_up_ref(ssl);
  held->p = ssl;
  push_own(L, ssl);
  push_ciphers(L, ssl);
  return 2;
}
