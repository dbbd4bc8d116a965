#include "crypto/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "crypto/key.h"
#include "host/arguments.h"
#include "host/error.h"
#include "host/fields.h"
#include "sched/world.h"

enum { DAY = 24 * 60 * 60 };


void certificate_free(void *x) {
  X509_free(x);
}


static void free_names(void *names) {
  GENERAL_NAMES_free(names);
}


/*
** Names
*/

/* An address of 4 or 16 bytes; 0: it is a name. */
static int parse_ip(const char *text, unsigned char ip[16]) {
  if (inet_pton(AF_INET, text, ip) == 1)
    return 4;
  return inet_pton(AF_INET6, text, ip) == 1 ? 16 : 0;
}


static bool set_name(GENERAL_NAME *to, const char *text, size_t n) {
  unsigned char ip[16];
  int size = parse_ip(text, ip);
  ASN1_STRING *s =
      ASN1_STRING_type_new(size > 0 ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  if (s == NULL)
    return false;
  GENERAL_NAME_set0_value(to, size > 0 ? GEN_IPADD : GEN_DNS, s);
  return size > 0 ? ASN1_STRING_set(s, ip, size)
                  : ASN1_STRING_set(s, text, (int)n);
}


static bool add_name(GENERAL_NAMES *names, const char *text, size_t n) {
  GENERAL_NAME *name = GENERAL_NAME_new();
  if (name == NULL)
    return false;
  if (set_name(name, text, n) && sk_GENERAL_NAME_push(names, name) > 0)
    return true;
  GENERAL_NAME_free(name);
  return false;
}


/* Printable, without what would part it from others where it is shown. */
static bool is_name(const char *text, size_t n) {
  enum { LONGEST = 253 };
  for (size_t i = 0; i < n; i++)
    if (text[i] <= ' ' || text[i] >= 0x7f || strchr(",\"\\/=", text[i]) != NULL)
      return false;
  return n > 0 && n <= LONGEST;
}


/* Push the option, and return how many it has. */
static int push_names(lua_State *L) {
  enum { MOST = 1000 };
  lua_pushliteral(L, "names");
  bool is_list = lua_rawget(L, 1) == LUA_TTABLE;
  size_t count = is_list ? lua_rawlen(L, -1) : 0;
  luaL_argcheck(L, count >= 1 && count <= MOST, 1,
                "option 'names': a list of 1 to 1000 host names expected");
  for (size_t i = 1; i <= count; i++) {
    size_t n = 0;
    const char *text = lua_rawgeti(L, -1, (lua_Integer)i) == LUA_TSTRING
                           ? lua_tolstring(L, -1, &n)
                           : NULL;
    luaL_argcheck(L, text != NULL && is_name(text, n), 1,
                  "option 'names': host names and addresses expected");
    lua_pop(L, 1);
  }
  return (int)count;
}


static bool read_names(lua_State *L, int list, int count,
                       GENERAL_NAMES *names) {
  bool ok = names != NULL;
  for (int i = 1; ok && i <= count; i++) {
    size_t n = 0;
    lua_rawgeti(L, list, i);
    const char *text = lua_tolstring(L, -1, &n);
    ok = text != NULL && add_name(names, text, n);
    lua_pop(L, 1);
  }
  return ok;
}


/*
** What signs itself
*/

static bool set_serial(lua_State *L, X509 *x) {
  unsigned char bytes[16];
  const host *h = host_of(L);
  h->world->random(h->outside, bytes, sizeof bytes);
  bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40); /* positive, 16 bytes */
  BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
  bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
  BN_free(n);
  return ok;
}


/* From an hour ago, for clocks that differ. */
static bool set_validity(lua_State *L, X509 *x, int days) {
  enum { BEFORE = 60 * 60 };
  const host *h = host_of(L);
  time_t now = (time_t)(h->world->wall(h->outside) / INT64_C(1000000000));
  return X509_time_adj_ex(X509_getm_notBefore(x), 0, -BEFORE, &now) != NULL &&
         X509_time_adj_ex(X509_getm_notAfter(x), days, 0, &now) != NULL;
}


/* A common name is of 64 bytes at most; one without is named by its others. */
static bool set_subject(X509 *x, const char *text, size_t n) {
  enum { LONGEST = 64 };
  X509_NAME *name = X509_get_subject_name(x);
  if (n > LONGEST) {
    text = "neap";
    n = strlen(text);
  }
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)text, (int)n, -1,
                                    0) &&
         X509_set_issuer_name(x, name);
}


static bool add_extension(X509 *x, int kind, const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, kind, value);
  bool ok = e != NULL && X509_add_ext(x, e, -1);
  X509_EXTENSION_free(e);
  return ok;
}


/* No authority: who trusts it trusts nobody else. */
static bool add_extensions(X509 *x, GENERAL_NAMES *names, bool is_rsa) {
  return add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(x, NID_key_usage,
                       is_rsa ? "critical,digitalSignature,keyEncipherment"
                              : "critical,digitalSignature") &&
         add_extension(x, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_extension(x, NID_subject_key_identifier, "hash") &&
         X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1;
}


static bool sign(X509 *x, EVP_PKEY *pkey) {
  const EVP_MD *md = key_type(pkey) == KEY_ED25519 ? NULL : EVP_sha256();
  return X509_set_version(x, X509_VERSION_3) && X509_set_pubkey(x, pkey) &&
         X509_sign(x, pkey, md) > 0;
}


/* The key of the option, or a new one, stays on the stack. */
static keypair *push_key(lua_State *L) {
  lua_pushliteral(L, "key");
  if (lua_rawget(L, 1) != LUA_TNIL) {
    keypair *k = luaL_testudata(L, -1, KEY_CLASS);
    luaL_argcheck(L, k != NULL && k->secret, 1,
                  "option 'key': a private key expected");
    return k;
  }
  keypair *k = key_push(L, true);
  k->pkey = EVP_EC_gen("P-256");
  return k;
}


static int push_pems(lua_State *L, X509 *x, EVP_PKEY *pkey) {
  hold *bio = hold_push(L, hold_bio);
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p == NULL || !PEM_write_bio_X509(bio->p, x))
    return openssl_fail(L, NULL, "selfsigned", NULL);
  hold_push_text(L, bio);
  bio = hold_push(L, hold_bio);
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p == NULL ||
      !PEM_write_bio_PKCS8PrivateKey(bio->p, pkey, NULL, NULL, 0, NULL, NULL))
    return openssl_fail(L, NULL, "selfsigned", NULL);
  hold_push_text(L, bio);
  lua_remove(L, -2);
  return 2;
}


int certificate_selfsigned(lua_State *L) {
  static const char *const known[] = {"names", "days", "key", NULL};
  enum { USUAL = 365, MOST = 36500 };
  luaL_checktype(L, 1, LUA_TTABLE);
  options_check(L, 1, known);
  lua_settop(L, 1);
  int days = (int)option_integer(L, 1, "days", 1, MOST, USUAL);
  int count = push_names(L), list = lua_gettop(L);
  crypto_need(L);
  openssl_begin();
  const keypair *k = push_key(L);
  hold *names = hold_push(L, free_names);
  hold *x = hold_push(L, certificate_free);
  names->p = GENERAL_NAMES_new();
  x->p = X509_new();
  lua_rawgeti(L, list, 1);
  size_t n = 0;
  const char *first = lua_tolstring(L, -1, &n);
  if (k->pkey == NULL || x->p == NULL || first == NULL ||
      !read_names(L, list, count, names->p) || !set_serial(L, x->p) ||
      !set_validity(L, x->p, days) || !set_subject(x->p, first, n) ||
      !X509_set_pubkey(x->p, k->pkey) ||
      !add_extensions(x->p, names->p, key_type(k->pkey) == KEY_RSA) ||
      !sign(x->p, k->pkey))
    return openssl_fail(L, NULL, "selfsigned", NULL);
  return push_pems(L, x->p, k->pkey);
}


/*
** What a certificate says
*/

static void set_subject_field(lua_State *L, const char *key,
                              const X509_NAME *name) {
  hold *bio = hold_push(L, hold_bio);
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p != NULL)
    X509_NAME_print_ex(bio->p, name, 0,
                       XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
  hold_push_text(L, bio);
  lua_setfield(L, -3, key);
  lua_pop(L, 1);
}


static void set_time(lua_State *L, const char *key, const ASN1_TIME *t) {
  struct tm tm;
  if (ASN1_TIME_to_tm(t, &tm))
    set_integer(L, key, (lua_Integer)timegm(&tm));
}


void certificate_push_hex(lua_State *L, const unsigned char *bytes, size_t n) {
  static const char digits[] = "0123456789abcdef";
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, 2 * n);
  for (size_t i = 0; i < n; i++) {
    out[2 * i] = digits[bytes[i] >> 4];
    out[2 * i + 1] = digits[bytes[i] & 15];
  }
  luaL_pushresultsize(&b, 2 * n);
}


static void set_hex(lua_State *L, const char *key, const unsigned char *bytes,
                    size_t n) {
  certificate_push_hex(L, bytes, n);
  lua_setfield(L, -2, key);
}


/* One that is a host's name or an address: push it. */
static bool push_name(lua_State *L, const GENERAL_NAME *name) {
  int type;
  char text[INET6_ADDRSTRLEN];
  const ASN1_STRING *s = GENERAL_NAME_get0_value(name, &type);
  const unsigned char *bytes =
      type == GEN_DNS || type == GEN_IPADD ? ASN1_STRING_get0_data(s) : NULL;
  size_t n = bytes != NULL ? (size_t)ASN1_STRING_length(s) : 0;
  if (type == GEN_DNS)
    lua_pushlstring(L, (const char *)bytes, n);
  else if (type == GEN_IPADD && (n == 4 || n == 16))
    lua_pushstring(
        L, inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text));
  return type == GEN_DNS || (type == GEN_IPADD && (n == 4 || n == 16));
}


static void set_names(lua_State *L, const X509 *x) {
  hold *names = hold_push(L, free_names);
  names->p = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
  lua_newtable(L);
  int count = names->p != NULL ? sk_GENERAL_NAME_num(names->p) : 0;
  for (int i = 0, n = 0; i < count; i++)
    if (push_name(L, sk_GENERAL_NAME_value(names->p, i)))
      lua_rawseti(L, -2, ++n);
  hold_free(names);
  lua_setfield(L, -3, "names");
  lua_pop(L, 1);
}


static void set_pem(lua_State *L, X509 *x) {
  hold *bio = hold_push(L, hold_bio);
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p != NULL)
    PEM_write_bio_X509(bio->p, x);
  hold_push_text(L, bio);
  lua_setfield(L, -3, "pem");
  lua_pop(L, 1);
}


void certificate_info(lua_State *L, X509 *x) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  luaL_checkstack(L, 8, "certificate");
  lua_createtable(L, 0, 8);
  openssl_begin();
  set_subject_field(L, "subject", X509_get_subject_name(x));
  set_subject_field(L, "issuer", X509_get_issuer_name(x));
  set_names(L, x);
  set_time(L, "not_before", X509_get0_notBefore(x));
  set_time(L, "not_after", X509_get0_notAfter(x));
  const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
  set_hex(L, "serial", ASN1_STRING_get0_data(serial),
          (size_t)ASN1_STRING_length(serial));
  if (X509_digest(x, EVP_sha256(), digest, &size))
    set_hex(L, "fingerprint", digest, size);
  set_pem(L, x);
  ERR_clear_error();
}


/* Or OpenSSL would ask the terminal. */
static int no_password(char *to, int size, int writing, void *about) {
  (void)to, (void)size, (void)writing, (void)about;
  return -1;
}


X509 *certificate_read(BIO *b) {
  return PEM_read_bio_X509(b, NULL, no_password, NULL);
}


/*
** certificate(pem) : table | nil, error
*/

static int l_certificate(lua_State *L) {
  size_t n;
  const char *pem = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n <= INT32_MAX, 1, "less than 2 GiB expected");
  crypto_need(L);
  hold *bio = hold_push(L, hold_bio);
  hold *x = hold_push(L, certificate_free);
  openssl_begin();
  bio->p = BIO_new_mem_buf(pem, (int)n);
  x->p = bio->p != NULL ? certificate_read(bio->p) : NULL;
  if (x->p == NULL)
    return openssl_fail(L, "ECERTIFICATE", "certificate", NULL);
  certificate_info(L, x->p);
  return 1;
}


static const luaL_Reg functions[] = {{"selfsigned", certificate_selfsigned},
                                     {"certificate", l_certificate},
                                     {NULL, NULL}};


void certificate_open(lua_State *L) {
  key_open_classes(L);
  luaL_setfuncs(L, functions, 0);
}
