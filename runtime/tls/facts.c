/*
** What LuaSec tells of a session: for lua/neap/luasocket/ssl.lua.  stream.tls is about.c's.
*/

#include <string.h>

#include "crypto/certificate.h"
#include "crypto/key.h"
#include "host/fields.h"
#include "host/memory.h"
#include "net/stream_methods.h"
#include "tls/tls.h"


/* Of the Stream at 1, held on the stack; NULL: it is not open. */
static SSL *session(lua_State *L) {
  const box *b = stream_box(L);
  return b->stream != NULL && tls_is(b->stream) ? session_hold(L, b->stream)
                                                : NULL;
}


typedef size_t finished(const SSL *ssl, void *to, size_t size);


static void set_bytes(lua_State *L, const char *key, const void *bytes,
                      size_t n) {
  if (n == 0)
    return;
  lua_pushlstring(L, bytes, n);
  lua_setfield(L, -2, key);
}


static void set_finished(lua_State *L, const char *key, const SSL *ssl,
                         finished *get) {
  char bytes[EVP_MAX_MD_SIZE];
  size_t n = get(ssl, bytes, sizeof bytes);
  set_bytes(L, key, bytes, n < sizeof bytes ? n : sizeof bytes);
}


static void set_cipher(lua_State *L, const SSL *ssl) {
  char text[256];
  int all = 0;
  const SSL_CIPHER *c = SSL_get_current_cipher(ssl);
  if (c == NULL)
    return;
  set_text(L, "cipher", SSL_CIPHER_description(c, text, sizeof text));
  set_integer(L, "bits", SSL_CIPHER_get_bits(c, &all));
  set_integer(L, "strength", all);
}


static void set_verdict(lua_State *L, const SSL *ssl, const char *noted) {
  long verdict = SSL_get_verify_result(ssl);
  if (verdict == X509_V_OK)
    return;
  set_text(L, "refusal", X509_verify_cert_error_string(verdict));
  set_text(L, "noted", noted);
}


/* The name that is called; or what was noted of a verification. */
static void push_of(lua_State *L, bool noted) {
  stream *s = stream_box(L)->stream;
  const tls *t = s != NULL && tls_is(s) ? tls_of(s) : NULL;
  lua_pushstring(L, t == NULL ? NULL : noted ? t->why : t->expected);
}


/*
** facts(stream) : a table | nil: it is not open
**
** version, cipher (OpenSSL's description), bits, strength; alpn; called: the name;
** finished, peer_finished; and where the peer's certificate is none to be trusted
** refusal, and noted: a line for each.
*/

int session_facts_lua(lua_State *L) {
  enum { CALLED = 2, NOTED };
  const unsigned char *alpn = NULL;
  unsigned n = 0;
  lua_settop(L, 1);
  push_of(L, false);
  push_of(L, true);
  SSL *ssl = session(L);
  if (ssl == NULL)
    return 0;
  lua_createtable(L, 0, 12);
  set_text(L, "version", SSL_get_version(ssl));
  set_cipher(L, ssl);
  set_text(L, "called", lua_tostring(L, CALLED));
  SSL_get0_alpn_selected(ssl, &alpn, &n);
  set_bytes(L, "alpn", alpn, n);
  set_finished(L, "finished", ssl, SSL_get_finished);
  set_finished(L, "peer_finished", ssl, SSL_get_peer_finished);
  set_verdict(L, ssl, lua_tostring(L, NOTED));
  return 1;
}


/*
** certificates(stream, own) : the peer's, or one's own, and those behind it; | nil
*/

static void add_all(lua_State *L, STACK_OF(X509) * list) {
  for (int i = 0; i < sk_X509_num(list); i++) {
    x509_push(L, sk_X509_value(list, i));
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
}


static void add_one(lua_State *L, X509 *x) {
  if (x == NULL)
    return;
  x509_push(L, x);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}


/* A server's list does not begin with its client's own. */
int session_certificates_lua(lua_State *L) {
  STACK_OF(X509) *own = NULL;
  bool is_own = lua_toboolean(L, 2);
  lua_settop(L, 1);
  SSL *ssl = session(L);
  if (ssl == NULL)
    return 0;
  lua_newtable(L);
  if (is_own) {
    SSL_get0_chain_certs(ssl, &own);
    add_one(L, SSL_get_certificate(ssl));
    add_all(L, own);
    return 1;
  }
  if (SSL_is_server(ssl))
    add_one(L, SSL_get0_peer_certificate(ssl));
  add_all(L, SSL_get_peer_cert_chain(ssl));
  return 1;
}


/*
** material(stream, label, size, context?) : bytes that both ends can make (RFC 5705)
*/

int session_material_lua(lua_State *L) {
  enum { MOST = 65536 };
  size_t label_size, more_size = 0;
  const char *label = luaL_checklstring(L, 2, &label_size);
  lua_Integer size = luaL_checkinteger(L, 3);
  const char *more = luaL_optlstring(L, 4, NULL, &more_size);
  luaL_argcheck(L, size >= 0 && size <= MOST, 3, "0 to 65536 expected");
  unsigned char *bytes = lua_newuserdatauv(L, (size_t)size + 1, 0);
  SSL *ssl = session(L);
  if (ssl == NULL)
    return 0;
  openssl_begin();
  bool ok = SSL_export_keying_material(ssl, bytes, (size_t)size, label,
                                       label_size, (const unsigned char *)more,
                                       more_size, more != NULL) == 1;
  ERR_clear_error();
  if (!ok)
    return 0;
  lua_pushlstring(L, (char *)bytes, (size_t)size);
  return 1;
}


/*
** offered(stream) : the protocols of a client whose hello is looked at, as the extension
** has them; | nil
*/

int session_offered_lua(lua_State *L) {
  enum { HEAD = 2 };
  const unsigned char *x;
  size_t n;
  stream *s = stream_box(L)->stream;
  if (s == NULL || !tls_is(s) || !tls_of(s)->choosing || tls_of(s)->ssl == NULL)
    return 0;
  if (SSL_client_hello_get0_ext(
          tls_of(s)->ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
          &x, &n) != 1 ||
      n < HEAD)
    return 0;
  lua_pushlstring(L, (const char *)x + HEAD, n - HEAD);
  return 1;
}


/*
** prefer(stream, protocols) : of that session, instead of its context's
*/

int session_prefer_lua(lua_State *L) {
  size_t n;
  const char *list = luaL_checklstring(L, 2, &n);
  stream *s = stream_box(L)->stream;
  if (s == NULL || !tls_is(s) || !tls_of(s)->choosing || tls_of(s)->ssl == NULL)
    return 0;
  session_forget_protocols(tls_of(s)->ssl);
  tls_protocols *p = memory_new(sizeof *p + n);
  p->size = (unsigned)n;
  memcpy(p->list, list, n);
  SSL_set_app_data(tls_of(s)->ssl, p);
  return 0;
}
