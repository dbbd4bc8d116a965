/*
** What a script is told of a session: version, cipher, names, certificates.
**
** While tables are made finalizers may run, and close the stream: so first of all Lua
** owns a reference to the session.
*/

#include <stdio.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/crypto.h"
#include "crypto/key.h"
#include "host/fields.h"
#include "net/stream_methods.h"
#include "tls/tls.h"

static void free_session(void *ssl) {
  SSL_free(ssl);
}


/* NULL: it is not open, or no more. */
static SSL *hold_session(lua_State *L, stream *s) {
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


/* A server is called by name only. */
static void push_called(lua_State *L, stream *s) {
  const char *name = tls_of(s)->expected;
  bool is_name = name != NULL && !verify_is_address(name);
  lua_pushstring(L, is_name ? name : NULL);
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
  SSL *ssl = hold_session(L, s);
  if (ssl == NULL) {
    lua_pushboolean(L, false);
    lua_replace(L, -2);
    return;
  }
  push_called(L, s);
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
  if (!t->open || t->ssl == NULL) {
    snprintf(to, size, t->failed != 0 ? "failed" : "handshake");
    return true;
  }
  snprintf(to, size, "%s %s", SSL_get_version(t->ssl),
           SSL_CIPHER_get_name(SSL_get_current_cipher(t->ssl)));
  return true;
}
