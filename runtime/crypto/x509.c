/*
** Certificates as objects, with the methods that LuaSec's have: what lua/neap/luasocket
** gives to scripts that were written for it.
*/

#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>
#include <time.h>

#include "crypto/certificate.h"
#include "crypto/key.h"
#include "host/fields.h"
#include "host/host.h"
#include "sched/world.h"

#define X509_CLASS "SSL:Certificate"

typedef struct certificate {
  X509 *x;
  bool utf8; /* texts are made UTF-8, and are not as they lie there */
} certificate;


static certificate *check(lua_State *L, int arg) {
  certificate *c = luaL_checkudata(L, arg, X509_CLASS);
  luaL_argcheck(L, c->x != NULL, arg, "a certificate expected");
  return c;
}


/*
** Texts
*/

static void push_object(lua_State *L, const ASN1_OBJECT *o, bool as_number) {
  char text[256];
  OBJ_obj2txt(text, sizeof text, o, as_number);
  lua_pushstring(L, text);
}


static void free_made(void *made) {
  OPENSSL_free(made);
}


static void push_as_utf8(lua_State *L, const ASN1_STRING *s) {
  hold *made = hold_push(L, free_made);
  unsigned char *text;
  int n = ASN1_STRING_to_UTF8(&text, s);
  if (n >= 0) {
    made->p = text;
    lua_pushlstring(L, (char *)text, (size_t)n);
    hold_free(made);
  } else {
    lua_pushnil(L);
  }
  lua_remove(L, -2);
}


static void push_text(lua_State *L, const ASN1_STRING *s, bool utf8) {
  if (utf8)
    push_as_utf8(L, s);
  else
    lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(s),
                    (size_t)ASN1_STRING_length(s));
}


static int push_time(lua_State *L, const ASN1_TIME *t) {
  hold *bio = hold_push(L, hold_bio);
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p != NULL)
    ASN1_TIME_print(bio->p, t);
  hold_push_text(L, bio);
  ERR_clear_error();
  return 1;
}


/*
** subject(), issuer() : {{oid=, name=, value=}, ...}
*/

static int push_name(lua_State *L, const X509_NAME *name, bool utf8) {
  int count = X509_NAME_entry_count(name);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
    lua_createtable(L, 0, 3);
    push_object(L, X509_NAME_ENTRY_get_object(e), true);
    lua_setfield(L, -2, "oid");
    push_object(L, X509_NAME_ENTRY_get_object(e), false);
    lua_setfield(L, -2, "name");
    push_text(L, X509_NAME_ENTRY_get_data(e), utf8);
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, i + 1);
  }
  ERR_clear_error();
  return 1;
}


static int l_subject(lua_State *L) {
  const certificate *c = check(L, 1);
  return push_name(L, X509_get_subject_name(c->x), c->utf8);
}


static int l_issuer(lua_State *L) {
  const certificate *c = check(L, 1);
  return push_name(L, X509_get_issuer_name(c->x), c->utf8);
}


/*
** extensions() : those names of subjectAltName that LuaSec knows of, in lists by their
** kinds
*/

static void free_names(void *names) {
  GENERAL_NAMES_free(names);
}


/* Take the text on top to the list of that key, on top of which the key lies, too. */
static void add(lua_State *L, const char *key) {
  if (lua_getfield(L, -2, key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, key);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}


static bool is_text(const ASN1_TYPE *t) {
  return t->type != V_ASN1_BOOLEAN && t->type != V_ASN1_OBJECT &&
         t->type != V_ASN1_NULL;
}


static void add_other(lua_State *L, const GENERAL_NAME *name, bool utf8) {
  ASN1_OBJECT *kind;
  ASN1_TYPE *value;
  char key[256];
  if (GENERAL_NAME_get0_otherName(name, &kind, &value) != 1 || !is_text(value))
    return;
  OBJ_obj2txt(key, sizeof key, kind, 1);
  push_text(L, value->value.asn1_string, utf8);
  add(L, key);
  lua_getfield(L, -1, key);
  push_object(L, kind, false);
  lua_setfield(L, -2, "name");
  lua_pop(L, 1);
}


static void add_address(lua_State *L, const ASN1_STRING *s) {
  char text[INET6_ADDRSTRLEN];
  int n = ASN1_STRING_length(s);
  if (n != 4 && n != 16)
    return;
  lua_pushstring(L, inet_ntop(n == 4 ? AF_INET : AF_INET6,
                              ASN1_STRING_get0_data(s), text, sizeof text));
  add(L, "iPAddress");
}


static void add_name(lua_State *L, const GENERAL_NAME *name, bool utf8) {
  static const char *const keys[] = {
      [GEN_DNS] = "dNSName",
      [GEN_EMAIL] = "rfc822Name",
      [GEN_URI] = "uniformResourceIdentifier",
  };
  int type;
  const ASN1_STRING *s = GENERAL_NAME_get0_value(name, &type);
  if (type == GEN_OTHERNAME) {
    add_other(L, name, utf8);
  } else if (type == GEN_IPADD) {
    add_address(L, s);
  } else if (type >= 0 && type <= GEN_URI && keys[type] != NULL) {
    push_text(L, s, utf8);
    add(L, keys[type]);
  }
}


static int l_extensions(lua_State *L) {
  const certificate *c = check(L, 1);
  hold *names = hold_push(L, free_names);
  openssl_begin();
  names->p = X509_get_ext_d2i(c->x, NID_subject_alt_name, NULL, NULL);
  ERR_clear_error();
  lua_newtable(L);
  if (names->p == NULL)
    return 1;
  lua_newtable(L);
  lua_pushliteral(L, "X509v3 Subject Alternative Name");
  lua_setfield(L, -2, "name");
  for (int i = 0; i < sk_GENERAL_NAME_num(names->p); i++)
    add_name(L, sk_GENERAL_NAME_value(names->p, i), c->utf8);
  lua_setfield(L, -2, "2.5.29.17");
  ERR_clear_error();
  return 1;
}


/*
** pem() : text; pubkey() : PEM, algorithm, bits; getsignaturename() : text
*/

static int l_pem(lua_State *L) {
  const certificate *c = check(L, 1);
  hold *bio = hold_push(L, hold_bio);
  openssl_begin();
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p == NULL || !PEM_write_bio_X509(bio->p, c->x))
    return openssl_fail(L, "ECERTIFICATE", "pem", NULL);
  hold_push_text(L, bio);
  return 1;
}


static const char *algorithm(const EVP_PKEY *key) {
  switch (EVP_PKEY_get_base_id(key)) {
  case EVP_PKEY_RSA:
    return "RSA";
  case EVP_PKEY_DSA:
    return "DSA";
  case EVP_PKEY_DH:
    return "DH";
  case EVP_PKEY_EC:
    return "EC";
  default:
    return "Unknown";
  }
}


static int l_pubkey(lua_State *L) {
  const certificate *c = check(L, 1);
  hold *bio = hold_push(L, hold_bio);
  openssl_begin();
  bio->p = BIO_new(BIO_s_mem());
  EVP_PKEY *key = X509_get0_pubkey(c->x);
  if (bio->p == NULL || key == NULL || !PEM_write_bio_PUBKEY(bio->p, key))
    return openssl_fail(L, "ECERTIFICATE", "pubkey", NULL);
  hold_push_text(L, bio);
  lua_pushstring(L, algorithm(key));
  lua_pushinteger(L, EVP_PKEY_get_bits(key));
  return 3;
}


static int l_signature(lua_State *L) {
  lua_pushstring(L, OBJ_nid2sn(X509_get_signature_nid(check(L, 1)->x)));
  return 1;
}


/*
** digest("sha1"|"sha256"|"sha512") : hexadecimal; serial() : hexadecimal
*/

static int l_digest(lua_State *L) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned n;
  const certificate *c = check(L, 1);
  const char *name = luaL_optstring(L, 2, "sha1");
  const EVP_MD *kind = strcmp(name, "sha1") == 0     ? EVP_sha1()
                       : strcmp(name, "sha256") == 0 ? EVP_sha256()
                       : strcmp(name, "sha512") == 0 ? EVP_sha512()
                                                     : NULL;
  if (kind == NULL) {
    lua_pushnil(L);
    lua_pushfstring(L, "digest algorithm not supported (%s)", name);
    return 2;
  }
  openssl_begin();
  if (!X509_digest(c->x, kind, bytes, &n))
    return openssl_fail(L, "ECERTIFICATE", "digest", NULL);
  certificate_push_hex(L, bytes, n);
  return 1;
}


static int l_serial(lua_State *L) {
  hold *text = hold_push(L, free_made);
  BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(check(L, 1)->x), NULL);
  text->p = n != NULL ? BN_bn2hex(n) : NULL;
  BN_free(n);
  ERR_clear_error();
  lua_pushstring(L, text->p);
  return 1;
}


/*
** notbefore(), notafter() : text; validat(seconds) : boolean
*/

static int l_notbefore(lua_State *L) {
  return push_time(L, X509_get0_notBefore(check(L, 1)->x));
}


static int l_notafter(lua_State *L) {
  return push_time(L, X509_get0_notAfter(check(L, 1)->x));
}


static int l_validat(lua_State *L) {
  const certificate *c = check(L, 1);
  time_t t = (time_t)luaL_checkinteger(L, 2);
  lua_pushboolean(L, X509_cmp_time(X509_get0_notAfter(c->x), &t) > 0 &&
                         X509_cmp_time(X509_get0_notBefore(c->x), &t) < 0);
  ERR_clear_error();
  return 1;
}


/*
** issued(certificate, ...) : true | nil, why not: this one, alone trusted, with those
** behind it between them
*/

static int verify(lua_State *L, X509_STORE *store, STACK_OF(X509) * between,
                  X509_STORE_CTX *x) {
  const host *h = host_of(L);
  int n = lua_gettop(L);
  if (store == NULL || between == NULL || x == NULL ||
      !X509_STORE_add_cert(store, check(L, 1)->x))
    return X509_V_ERR_OUT_OF_MEM;
  for (int i = 3; i <= n; i++)
    sk_X509_push(between, check(L, i)->x);
  if (!X509_STORE_CTX_init(x, store, check(L, 2)->x, between))
    return X509_V_ERR_OUT_OF_MEM;
  X509_STORE_CTX_set_time(x, 0, h->world->wall(h->outside) / 1000000000);
  return X509_verify_cert(x) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(x);
}


static int l_issued(lua_State *L) {
  int n = lua_gettop(L);
  for (int i = 1; i <= n || i <= 2; i++)
    check(L, i);
  openssl_begin();
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *between = sk_X509_new_null();
  X509_STORE_CTX *x = X509_STORE_CTX_new();
  int error = verify(L, store, between, x);
  X509_STORE_CTX_free(x);
  sk_X509_free(between);
  X509_STORE_free(store);
  ERR_clear_error();
  if (error == X509_V_OK) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, X509_verify_cert_error_string(error));
  return 2;
}


/*
** setencode("ai5"|"utf8") : boolean
*/

static int l_setencode(lua_State *L) {
  certificate *c = check(L, 1);
  const char *how = luaL_checkstring(L, 2);
  bool utf8 = strncmp(how, "utf8", 4) == 0;
  bool known = utf8 || strncmp(how, "ai5", 3) == 0;
  if (known)
    c->utf8 = utf8;
  lua_pushboolean(L, known);
  return 1;
}


static int l_end(lua_State *L) {
  certificate *c = luaL_checkudata(L, 1, X509_CLASS);
  X509_free(c->x);
  c->x = NULL;
  return 0;
}


static int l_tostring(lua_State *L) {
  lua_pushfstring(L, "X509 certificate: %p", (void *)check(L, 1)->x);
  return 1;
}


static const luaL_Reg methods[] = {{"digest", l_digest},
                                   {"extensions", l_extensions},
                                   {"getsignaturename", l_signature},
                                   {"issued", l_issued},
                                   {"issuer", l_issuer},
                                   {"notafter", l_notafter},
                                   {"notbefore", l_notbefore},
                                   {"pem", l_pem},
                                   {"pubkey", l_pubkey},
                                   {"serial", l_serial},
                                   {"setencode", l_setencode},
                                   {"subject", l_subject},
                                   {"validat", l_validat},
                                   {NULL, NULL}};


/* Its class first, so that nothing is between it and its end. */
void x509_push(lua_State *L, X509 *x) {
  static const luaL_Reg metamethods[] = {
      {"__gc", l_end}, {"__tostring", l_tostring}, {NULL, NULL}};
  if (luaL_newmetatable(L, X509_CLASS)) {
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  certificate *c = host_box(L, X509_CLASS, sizeof *c, 0);
  if (c == NULL)
    lua_error(L);
  X509_up_ref(x);
  *c = (certificate){x, false};
}


/*
** x509(pem) : certificate | nil
*/

int x509_load(lua_State *L) {
  size_t n;
  const char *pem = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n <= INT32_MAX, 1, "less than 2 GiB expected");
  hold *x = hold_push(L, certificate_free);
  openssl_begin();
  BIO *b = BIO_new_mem_buf(pem, (int)n);
  x->p = b != NULL ? certificate_read(b) : NULL;
  BIO_free(b);
  ERR_clear_error();
  if (x->p == NULL)
    lua_pushnil(L);
  else
    x509_push(L, x->p);
  return 1;
}
