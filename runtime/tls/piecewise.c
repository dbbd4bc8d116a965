/*
** A context whose settings are made one by one, as LuaSec's are: for
** lua/neap/luasocket/ssl.lua.  Each function takes the Context first, and gives true; or
** false, and why not, in OpenSSL's words.
*/

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/certificate.h"
#include "guard/guard.h"
#include "host/memory.h"
#include "tls/tls.h"


static tls_settings *settings(lua_State *L) {
  tls_settings *x = &context_check(L, 1)->rules->now;
  openssl_begin();
  return x;
}


/* It is done; or what OpenSSL says. */
static int result(lua_State *L, bool is_done, const char *doing) {
  openssl_error e;
  lua_pushboolean(L, is_done);
  if (is_done) {
    ERR_clear_error();
    return 1;
  }
  openssl_take_error(&e);
  lua_pushfstring(L, "error %s (%s)", doing, e.message);
  return 2;
}


/*
** versions(context, min, max) : 0x0303 is TLS 1.2; 0: any
*/

static int l_versions(lua_State *L) {
  SSL_CTX *c = settings(L)->ssl;
  int min = (int)luaL_checkinteger(L, 2), max = (int)luaL_checkinteger(L, 3);
  bool ok = SSL_CTX_set_min_proto_version(c, min) == 1 &&
            SSL_CTX_set_max_proto_version(c, max) == 1;
  return result(L, ok, "setting versions");
}


/*
** options(context, bits) : OpenSSL's (SSL_OP_x)
*/

static int l_options(lua_State *L) {
  tls_settings *x = settings(L);
  uint64_t bits = (uint64_t)luaL_checkinteger(L, 2);
  SSL_CTX_set_options(x->ssl, bits);
  if ((bits & SSL_OP_NO_TICKET) != 0)
    x->tickets = false;
  return result(L, true, "");
}


/*
** verify(context, bits) : SSL_VERIFY_x; by no store that is not named
** verifyext(context, lax, any purpose, flags of revocation)
** depth(context, n)
*/

static int l_verify(lua_State *L) {
  tls_settings *x = settings(L);
  x->clients = (int)luaL_checkinteger(L, 2);
  x->verify = (x->clients & SSL_VERIFY_PEER) != 0;
  x->unnamed = true;
  x->system = false;
  return result(L, true, "");
}


static int l_verifyext(lua_State *L) {
  tls_settings *x = settings(L);
  X509_VERIFY_PARAM *p = SSL_CTX_get0_param(x->ssl);
  unsigned long crl = (unsigned long)luaL_checkinteger(L, 4);
  x->lax = lua_toboolean(L, 2);
  if (lua_toboolean(L, 3)) {
    X509_VERIFY_PARAM_set_purpose(p, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_trust(p, X509_TRUST_SSL_SERVER);
  }
  if (crl != 0)
    X509_STORE_set_flags(SSL_CTX_get_cert_store(x->ssl), crl);
  return result(L, true, "");
}


static int l_depth(lua_State *L) {
  SSL_CTX_set_verify_depth(settings(L)->ssl, (int)luaL_checkinteger(L, 2));
  return result(L, true, "");
}


/*
** key(context, pem, password?); cert(context, pem); check(context)
*/

static int l_key(lua_State *L) {
  SSL_CTX *c = settings(L)->ssl;
  size_t n;
  password p = {NULL, 0, false};
  const char *pem = luaL_checklstring(L, 2, &n);
  p.text = lua_tolstring(L, 3, &p.size);
  luaL_argcheck(L, n <= INT32_MAX, 2, "less than 2 GiB expected");
  BIO *b = BIO_new_mem_buf(pem, (int)n);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, settings_password, &p);
  bool ok = key != NULL && SSL_CTX_use_PrivateKey(c, key) == 1;
  BIO_free(b);
  EVP_PKEY_free(key);
  return result(L, ok, "loading private key");
}


static bool use(SSL_CTX *c, STACK_OF(X509) * list) {
  if (SSL_CTX_use_certificate(c, sk_X509_value(list, 0)) != 1)
    return false;
  SSL_CTX_clear_chain_certs(c);
  for (int i = 1; i < sk_X509_num(list); i++)
    SSL_CTX_add1_chain_cert(c, sk_X509_value(list, i));
  return true;
}


static int l_cert(lua_State *L) {
  SSL_CTX *c = settings(L)->ssl;
  size_t n;
  const char *pem = luaL_checklstring(L, 2, &n);
  luaL_argcheck(L, n <= INT32_MAX, 2, "less than 2 GiB expected");
  STACK_OF(X509) *list = settings_certificates(pem, n);
  bool ok = list != NULL && use(c, list);
  settings_free_certificates(list);
  return result(L, ok, "loading certificate");
}


static int l_check(lua_State *L) {
  bool ok = SSL_CTX_check_private_key(settings(L)->ssl) == 1;
  return result(L, ok, "checking private key");
}


/*
** locations(context, file?, folder?) : whom to trust, and lists of who is revoked
*/

/* 0, or why it may not be read. */
static int permits(const char *path, int flags) {
  int fd = path != NULL && guard_stands()
               ? guard_open(AT_FDCWD, path, O_PATH | flags, 0, 0)
               : -1;
  if (fd >= 0)
    close(fd);
  return guard_words(fd) != NULL ? fd : 0;
}


static int l_locations(lua_State *L) {
  X509_STORE *store = SSL_CTX_get_cert_store(settings(L)->ssl);
  const char *file = luaL_optstring(L, 2, NULL);
  const char *folder = luaL_optstring(L, 3, NULL);
  int status = permits(file, 0);
  if (status == 0)
    status = permits(folder, O_DIRECTORY);
  if (status < 0) {
    lua_pushboolean(L, false);
    lua_pushfstring(L, "error loading CA locations (%s)", guard_words(status));
    return 2;
  }
  bool ok = (file == NULL || X509_STORE_load_file(store, file) == 1) &&
            (folder == NULL || X509_STORE_load_path(store, folder) == 1);
  return result(L, ok, "loading CA locations");
}


/*
** ciphers(context, names); suites(context, names); groups(context, names);
** exchange(context): Diffie-Hellman, too
*/

static int l_ciphers(lua_State *L) {
  SSL_CTX *c = settings(L)->ssl;
  bool ok = SSL_CTX_set_cipher_list(c, luaL_checkstring(L, 2)) == 1;
  return result(L, ok, "setting cipher list");
}


static int l_suites(lua_State *L) {
  SSL_CTX *c = settings(L)->ssl;
  bool ok = SSL_CTX_set_ciphersuites(c, luaL_checkstring(L, 2)) == 1;
  return result(L, ok, "setting cipher list");
}


static int l_groups(lua_State *L) {
  SSL_CTX *c = settings(L)->ssl;
  bool ok = SSL_CTX_set1_groups_list(c, luaL_checkstring(L, 2)) == 1;
  return result(L, ok, "setting elliptic curve");
}


static int l_exchange(lua_State *L) {
  SSL_CTX_set_dh_auto(settings(L)->ssl, 1);
  return result(L, true, "");
}


/*
** alpn(context, protocols) : as the extension has them
*/

static int l_alpn(lua_State *L) {
  tls_settings *x = settings(L);
  size_t n;
  const char *list = luaL_checklstring(L, 2, &n);
  free(x->alpn);
  x->alpn = (unsigned char *)memory_text(list, n);
  x->alpn_size = (unsigned)n;
  x->any_protocol = true;
  SSL_CTX_set_alpn_protos(x->ssl, x->alpn, x->alpn_size);
  return result(L, true, "");
}


int context_piecewise_lua(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"alpn", l_alpn},
      {"cert", l_cert},
      {"certificates", session_certificates_lua},
      {"check", l_check},
      {"ciphers", l_ciphers},
      {"depth", l_depth},
      {"exchange", l_exchange},
      {"facts", session_facts_lua},
      {"groups", l_groups},
      {"key", l_key},
      {"locations", l_locations},
      {"material", session_material_lua},
      {"offered", session_offered_lua},
      {"options", l_options},
      {"prefer", session_prefer_lua},
      {"suites", l_suites},
      {"verify", l_verify},
      {"verifyext", l_verifyext},
      {"versions", l_versions},
      {"x509", x509_load},
      {NULL, NULL},
  };
  if (openssl_need(L, OPENSSL_SSL) < 0)
    return lua_error(L);
  luaL_newlib(L, functions);
  return 1;
}
