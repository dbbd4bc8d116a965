/*
** From what lua/neap/tls.lua makes of a script's options, of which no type is wrong, to
** an SSL_CTX.  Files are texts here: each, `cert`, has its name beside it, `cert_from`.
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/key.h"
#include "guard/guard.h"
#include "host/error.h"
#include "host/memory.h"
#include "tls/tls.h"

static const char op[] = "tls.context";


/*
** What OpenSSL asks
*/

/* The first of ours that the client has, too. */
static bool find_common(const unsigned char *ours, unsigned size,
                        const unsigned char *theirs, unsigned n,
                        const unsigned char **out, unsigned char *out_size) {
  for (unsigned i = 0; i < size && ours[i] < size - i; i += ours[i] + 1u)
    for (unsigned k = 0; k < n; k += theirs[k] + 1u)
      if (theirs[k] == ours[i] && k + theirs[k] < n &&
          memcmp(theirs + k + 1, ours + i + 1, theirs[k]) == 0) {
        *out = theirs + k + 1;
        *out_size = theirs[k];
        return true;
      }
  return false;
}


static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *size, const unsigned char *theirs,
                           unsigned n, void *about) {
  const tls_settings *x = &tls_of(session_stream(ssl))->rules->now;
  const tls_protocols *p = SSL_get_app_data(ssl);
  (void)about;
  if (p != NULL)
    return find_common(p->list, p->size, theirs, n, out, size)
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
  if (x->alpn == NULL)
    return SSL_TLSEXT_ERR_NOACK;
  if (find_common(x->alpn, x->alpn_size, theirs, n, out, size))
    return SSL_TLSEXT_ERR_OK;
  return x->any_protocol ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
}


/* Not one of other settings than it has now. */
static int save_session(SSL *ssl, SSL_SESSION *session) {
  const tls *t = tls_of(session_stream(ssl));
  if (t->server || t->key == NULL || SSL_get_SSL_CTX(ssl) != t->rules->now.ssl)
    return 0;
  saved_put(t->rules, t->key, session);
  return 1;
}


/* SSLKEYLOGFILE: for who captures his own traffic.  A pipe that nobody reads is not waited
 * for. */
static void log_key(const SSL *ssl, const char *line) {
  const char *path = secure_getenv("SSLKEYLOGFILE");
  enum { HOW = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK };
  int fd = path != NULL ? open(path, HOW, 0600) : -1;
  (void)ssl;
  if (fd < 0)
    return;
  dprintf(fd, "%s\n", line);
  close(fd);
}


/*
** From the options
*/

static const char *text(lua_State *L, const char *name, size_t *n) {
  lua_pushstring(L, name);
  bool is = lua_rawget(L, SETTINGS) == LUA_TSTRING;
  return is ? lua_tolstring(L, -1, n) : NULL;
}


static const char *short_text(lua_State *L, const char *name) {
  size_t n;
  return text(L, name, &n);
}


static bool flag(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, SETTINGS);
  return lua_toboolean(L, -1);
}


/* Where a PEM text is from: the option's name and "_from". */
static const char *origin(lua_State *L, const char *name) {
  return short_text(L, lua_pushfstring(L, "%s_from", name));
}


static int refuse(lua_State *L, const char *from, const char *words) {
  ERR_clear_error();
  lua_pushnil(L);
  error_push_message(L, ERROR_TLS_CERT, op, from, words);
  return 2;
}


/* What OpenSSL says of it. */
static int refuse_by_queue(lua_State *L, const char *from) {
  openssl_error e;
  openssl_take_error(&e);
  return refuse(L, from, e.message);
}


/* Bytes of PEM in which there is nothing of the kind. */
static int refuse_text(lua_State *L, const char *from, const char *bytes,
                       size_t n, const char *what) {
  const char *why = n == 0               ? "it is empty"
                    : bytes[0] == '\x30' ? "it is DER, and PEM is expected"
                                         : NULL;
  if (why == NULL)
    why = lua_pushfstring(L, "there is no %s in it, in PEM", what);
  return refuse(L, from, why);
}


int settings_password(char *to, int size, int writing, void *about) {
  password *p = about;
  (void)writing;
  p->asked = true;
  if (p->text == NULL || p->size > (size_t)size)
    return -1;
  memcpy(to, p->text, p->size);
  return (int)p->size;
}


void settings_free_certificates(void *certificates) {
  STACK_OF(X509) *list = certificates;
  while (sk_X509_num(list) > 0)
    X509_free(sk_X509_pop(list));
  sk_X509_free(list);
}


STACK_OF(X509) * settings_certificates(const char *bytes, size_t n) {
  BIO *b = BIO_new_mem_buf(bytes, (int)n);
  STACK_OF(X509) *list = sk_X509_new_null();
  password none = {NULL, 0, false};
  X509 *x;
  openssl_begin();
  while ((x = PEM_read_bio_X509(b, NULL, settings_password, &none)) != NULL)
    sk_X509_push(list, x);
  BIO_free(b);
  if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE &&
      sk_X509_num(list) > 0) {
    ERR_clear_error();
    return list;
  }
  settings_free_certificates(list);
  return NULL;
}


static int refuse_certificates(lua_State *L, const char *from,
                               const char *bytes, size_t n) {
  bool is_none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  return is_none ? refuse_text(L, from, bytes, n, "certificate")
                 : refuse_by_queue(L, from);
}


static int refuse_key(lua_State *L, const char *from, const char *bytes,
                      size_t n, const password *p) {
  if (p->asked)
    return refuse(L, from,
                  p->text == NULL ? "the key needs a password"
                                  : "the password is wrong");
  return strstr(bytes, "PRIVATE KEY-----") == NULL
             ? refuse_text(L, from, bytes, n, "private key")
             : refuse_by_queue(L, from);
}


/* The first of the list, and the chain behind it. */
static bool use_both(SSL_CTX *c, STACK_OF(X509) * list, EVP_PKEY *key) {
  X509 *own = sk_X509_shift(list);
  openssl_begin();
  bool is_done = SSL_CTX_use_cert_and_key(c, own, key, list, 1) == 1;
  X509_free(own);
  return is_done;
}


static bool is_mismatch(int reason) {
  return reason == SSL_R_PRIVATE_KEY_MISMATCH ||
         reason == X509_R_KEY_VALUES_MISMATCH ||
         reason == X509_R_KEY_TYPE_MISMATCH;
}


static int use_key(lua_State *L, SSL_CTX *c, STACK_OF(X509) * list) {
  size_t n;
  password p = {NULL, 0, false};
  const char *bytes = text(L, "key", &n), *from = origin(L, "key");
  p.text = text(L, "password", &p.size);
  BIO *b = BIO_new_mem_buf(bytes, (int)n);
  openssl_begin();
  EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, settings_password, &p);
  BIO_free(b);
  if (key == NULL)
    return refuse_key(L, from, bytes, n, &p);
  bool is_done = use_both(c, list, key);
  EVP_PKEY_free(key);
  if (is_done)
    return 0;
  return is_mismatch(ERR_GET_REASON(ERR_peek_error()))
             ? refuse(L, from, "the key is not the certificate's")
             : refuse_by_queue(L, origin(L, "cert"));
}


static int use_certificate(lua_State *L, SSL_CTX *c) {
  size_t n;
  const char *bytes = text(L, "cert", &n);
  if (bytes == NULL)
    return 0;
  hold *list = hold_push(L, settings_free_certificates);
  list->p = settings_certificates(bytes, n);
  if (list->p == NULL)
    return refuse_certificates(L, origin(L, "cert"), bytes, n);
  int status = use_key(L, c, list->p);
  hold_free(list);
  return status;
}


void settings_need_store(tls_settings *x) {
  if (x->system)
    SSL_CTX_set_default_verify_paths(x->ssl);
  x->system = false;
}


/* A server tells its clients whose certificates it takes. */
static void trust(SSL_CTX *c, STACK_OF(X509) * list, bool tells) {
  X509_STORE *store = SSL_CTX_get_cert_store(c);
  for (int i = 0; i < sk_X509_num(list); i++) {
    X509_STORE_add_cert(store, sk_X509_value(list, i));
    if (tells)
      SSL_CTX_add_client_CA(c, sk_X509_value(list, i));
  }
}


/* The system's store takes a tenth of a second, and some MiB: one that only serves does
 * without. */
static int use_authorities(lua_State *L, tls_settings *x) {
  SSL_CTX *c = x->ssl;
  bool tells = x->clients != SSL_VERIFY_NONE;
  size_t n;
  const char *folder = short_text(L, "ca_folder");
  const char *bytes = text(L, "ca", &n);
  if (folder != NULL) {
    int fd = guard_open(AT_FDCWD, folder, O_PATH | O_DIRECTORY, 0, 0);
    if (fd < 0)
      return refuse(L, folder,
                    guard_words(fd) != NULL ? guard_words(fd) : strerror(-fd));
    close(fd);
    return X509_STORE_load_path(SSL_CTX_get_cert_store(c), folder) == 1
               ? 0
               : refuse_by_queue(L, folder);
  }
  if (bytes == NULL) {
    x->system = true;
    if (tells)
      settings_need_store(x);
    return 0;
  }
  STACK_OF(X509) *list = settings_certificates(bytes, n);
  if (list == NULL)
    return refuse_certificates(L, origin(L, "ca"), bytes, n);
  trust(c, list, tells);
  settings_free_certificates(list);
  return 0;
}


static int use_revocations(lua_State *L, SSL_CTX *c) {
  size_t n;
  const char *bytes = text(L, "crl", &n);
  X509_STORE *store = SSL_CTX_get_cert_store(c);
  int count = 0;
  if (bytes == NULL)
    return 0;
  BIO *b = BIO_new_mem_buf(bytes, (int)n);
  openssl_begin();
  for (X509_CRL *x; (x = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL)) != NULL;
       count++) {
    X509_STORE_add_crl(store, x);
    X509_CRL_free(x);
  }
  BIO_free(b);
  if (count == 0)
    return refuse_text(L, origin(L, "crl"), bytes, n, "revocation list");
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return 0;
}


/* Of TLS 1.2, what 1.3 has kept of it: keys made for each connection, and ciphers that
 * seal (RFC 9325, 4.2). */
static const char modern[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20";


static int refuse_ciphers(lua_State *L, const char *names) {
  return refuse(
      L, NULL,
      lua_pushfstring(L, "option 'ciphers': none of '%s' is known", names));
}


static int use_ciphers(lua_State *L, SSL_CTX *c) {
  const char *old = short_text(L, "ciphers"), *new = short_text(L, "suites");
  openssl_begin();
  if (SSL_CTX_set_cipher_list(c, old != NULL ? old : modern) != 1)
    return refuse_ciphers(L, old != NULL ? old : modern);
  if (new != NULL && SSL_CTX_set_ciphersuites(c, new) != 1)
    return refuse_ciphers(L, new);
  return 0;
}


void settings_apply(SSL *ssl, const tls_settings *x) {
  SSL_set_min_proto_version(ssl, SSL_CTX_get_min_proto_version(x->ssl));
  SSL_set_max_proto_version(ssl, SSL_CTX_get_max_proto_version(x->ssl));
  SSL_clear_options(ssl, SSL_OP_NO_TICKET);
  SSL_set_options(ssl, x->tickets ? 0 : SSL_OP_NO_TICKET);
  SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(x->ssl));
}


static void set_rules(lua_State *L, SSL_CTX *c, bool tickets) {
  const char *min = short_text(L, "min_version");
  uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
  SSL_CTX_set_min_proto_version(c, min != NULL && strcmp(min, "1.3") == 0
                                       ? TLS1_3_VERSION
                                       : TLS1_2_VERSION);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS |
                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_read_ahead(c, 1); /* a copy a record, and not two */
  SSL_CTX_set_security_level(c, 2);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT |
                                        SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(c, save_session);
  SSL_CTX_set_client_hello_cb(c, session_choose, NULL);
  SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
  if (host_replays(host_of(L)))
    ticket_watch(c);
  if (secure_getenv("SSLKEYLOGFILE") != NULL)
    SSL_CTX_set_keylog_callback(c, log_key);
  if (!tickets) {
    options |= SSL_OP_NO_TICKET;
    SSL_CTX_set_num_tickets(c, 0);
  }
  SSL_CTX_set_options(c, options);
}


static int use_protocols(lua_State *L, tls_settings *x) {
  size_t n;
  const char *list = text(L, "alpn", &n);
  if (list == NULL)
    return 0;
  x->alpn = (unsigned char *)memory_text(list, n);
  x->alpn_size = (unsigned)n;
  SSL_CTX_set_alpn_protos(x->ssl, x->alpn, x->alpn_size);
  return 0;
}


/* names: {name, context, name, context, ...} */
static void use_names(lua_State *L, tls_context *c) {
  lua_pushliteral(L, "names");
  if (lua_rawget(L, SETTINGS) != LUA_TTABLE)
    return;
  int list = lua_gettop(L);
  unsigned n = (unsigned)lua_rawlen(L, list) / 2;
  c->names = memory_new((n + 1) * sizeof *c->names);
  for (unsigned i = 0; i < n; i++) {
    lua_rawgeti(L, list, 2 * i + 1);
    lua_rawgeti(L, list, 2 * i + 2);
    size_t size;
    const char *name = lua_tolstring(L, -2, &size);
    tls_rules *rules = context_check(L, -1)->rules;
    c->names[i] = (tls_name){memory_text(name, size), rules_hold(rules)};
    c->name_count++;
    lua_pop(L, 2);
  }
}


static int clients_of(lua_State *L) {
  const char *clients = short_text(L, "clients");
  if (clients == NULL)
    return SSL_VERIFY_NONE;
  return strcmp(clients, "required") == 0
             ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
             : SSL_VERIFY_PEER;
}


int settings_fill(lua_State *L, tls_context *c) {
  int failed;
  tls_settings *x = &c->rules->now;
  crypto_need(L);
  key_open_classes(L);
  x->verify = flag(L, "verify");
  x->tickets = flag(L, "tickets");
  c->chooses = flag(L, "chooses");
  x->clients = clients_of(L);
  lua_pushliteral(L, "timeout");
  lua_rawget(L, SETTINGS);
  x->timeout = (uint64_t)(lua_tonumber(L, -1) * 1e9);
  openssl_begin();
  x->ssl = SSL_CTX_new(TLS_method());
  if (x->ssl == NULL)
    return openssl_fail(L, NULL, op, NULL);
  set_rules(L, x->ssl, x->tickets);
  use_names(L, c);
  if ((failed = use_ciphers(L, x->ssl)) != 0 ||
      (failed = use_certificate(L, x->ssl)) != 0 ||
      (failed = use_authorities(L, x)) != 0 ||
      (failed = use_revocations(L, x->ssl)) != 0 ||
      (failed = use_protocols(L, x)) != 0)
    return failed;
  ERR_clear_error();
  return 0;
}
