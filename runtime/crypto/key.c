/*
** Keys, from PEM and as PEM.
**
** A key never changes, and is not closed: the collector frees it.
*/

#include "crypto/key.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "crypto/crypto.h"
#include "host/arguments.h"
#include "host/class.h"
#include "host/error.h"

#define HOLD "neap.crypto.hold"

const char *const key_types[KEY_TYPES + 1] = {"ed25519", "ec", "rsa", NULL};
const char *const key_curves[] = {"P-256", "P-384", "P-521", NULL};

/* As OpenSSL calls the curves. */
static const char *const groups[] = {"prime256v1", "secp384r1", "secp521r1"};


enum key_type key_type(const EVP_PKEY *pkey) {
  if (EVP_PKEY_is_a(pkey, "ED25519"))
    return KEY_ED25519;
  if (EVP_PKEY_is_a(pkey, "EC"))
    return KEY_EC;
  return EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_is_a(pkey, "RSA-PSS")
             ? KEY_RSA
             : KEY_TYPES;
}


int key_curve(const EVP_PKEY *pkey) {
  char name[32];
  size_t n;
  if (!EVP_PKEY_get_group_name(pkey, name, sizeof name, &n))
    return -1;
  for (int i = 0; key_curves[i] != NULL; i++)
    if (strcmp(name, groups[i]) == 0)
      return i;
  return -1;
}


/*
** What Lua holds
*/

static int l_unhold(lua_State *L) {
  hold_free(luaL_checkudata(L, 1, HOLD));
  return 0;
}


hold *hold_push(lua_State *L, void (*free)(void *p)) {
  hold *h = host_box(L, HOLD, sizeof *h, 0);
  if (h == NULL)
    lua_error(L);
  *h = (hold){.free = free};
  return h;
}


void hold_free(hold *h) {
  void *p = h->p;
  h->p = NULL;
  if (p != NULL)
    h->free(p);
}


void hold_bio(void *bio) {
  BIO_free(bio);
}


void hold_push_text(lua_State *L, hold *bio) {
  char *text = NULL;
  long n = BIO_get_mem_data(bio->p, &text);
  lua_pushlstring(L, text, n > 0 ? (size_t)n : 0);
  hold_free(bio);
}


keypair *key_push(lua_State *L, bool secret) {
  keypair *k = host_box(L, KEY_CLASS, sizeof *k, 0);
  if (k == NULL)
    lua_error(L);
  *k = (keypair){.secret = secret};
  return k;
}


keypair *key_check(lua_State *L, int arg) {
  keypair *k = luaL_checkudata(L, arg, KEY_CLASS);
  luaL_argcheck(L, k->pkey != NULL, arg, "the key was collected");
  return k;
}


static int l_gc(lua_State *L) {
  keypair *k = luaL_checkudata(L, 1, KEY_CLASS);
  EVP_PKEY *pkey = k->pkey;
  k->pkey = NULL;
  if (pkey != NULL)
    EVP_PKEY_free(pkey);
  return 0;
}


/*
** key(pem, {password=}) : Key | nil, error
*/

typedef struct password {
  const char *text; /* NULL: none was given */
  size_t n;
  bool asked, too_long;
} password;


/* Without such a function OpenSSL would ask at the terminal. */
static int on_password(char *out, int room, int writes, void *arg) {
  password *p = arg;
  (void)writes;
  p->asked = true;
  p->too_long = p->text != NULL && p->n > (size_t)room;
  if (p->text == NULL || p->too_long)
    return -1;
  memcpy(out, p->text, p->n);
  return (int)p->n;
}


static EVP_PKEY *read_part(const char *pem, size_t n, bool secret,
                           password *p) {
  BIO *bio = BIO_new_mem_buf(pem, (int)n);
  if (bio == NULL)
    return NULL;
  EVP_PKEY *pkey = secret ? PEM_read_bio_PrivateKey(bio, NULL, on_password, p)
                          : PEM_read_bio_PUBKEY(bio, NULL, on_password, p);
  BIO_free(bio);
  return pkey;
}


/* The private key in it, or else the public one. */
static bool read_pem(keypair *k, const char *pem, size_t n, password *p) {
  k->pkey = read_part(pem, n, true, p);
  k->secret = k->pkey != NULL;
  if (!k->secret && !p->asked)
    k->pkey = read_part(pem, n, false, p);
  ERR_clear_error();
  return k->pkey != NULL;
}


static int fail_key(lua_State *L, const char *code, const char *why) {
  lua_pushnil(L);
  error_push_code(L, code, "key", NULL, why);
  return 2;
}


static int fail_password(lua_State *L, const password *p) {
  const char *why = p->text == NULL ? "it is encrypted, and needs a password"
                    : p->too_long   ? "the password is too long"
                                    : "the password is wrong";
  return fail_key(L, "EPASSWORD", why);
}


static int l_key(lua_State *L) {
  static const char *const names[] = {"password", NULL};
  size_t n;
  const char *pem = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n <= INT_MAX, 1, "less than 2 GiB expected");
  options_check(L, 2, names);
  password p = {.text = NULL};
  p.text = option_string(L, 2, "password", &p.n);
  crypto_need(L);
  keypair *k = key_push(L, false);
  openssl_begin();
  bool ok = read_pem(k, pem, n, &p);
  if (!ok && p.asked)
    return fail_password(L, &p);
  if (!ok)
    return fail_key(L, "EKEY", "there is no key in this PEM, or a broken one");
  enum key_type type = key_type(k->pkey);
  if (type == KEY_TYPES)
    return fail_key(L, "EKEY", "neither Ed25519 nor ECDSA nor RSA");
  if (type == KEY_EC && key_curve(k->pkey) < 0)
    return fail_key(L, "EKEY", "its curve is none of P-256, P-384 and P-521");
  return 1;
}


/*
** key:pem({password=}) : PEM | nil, error
*/

static bool write_pem(BIO *bio, const keypair *k, const char *secret,
                      size_t n) {
  const EVP_CIPHER *cipher = secret != NULL ? EVP_aes_256_cbc() : NULL;
  if (!k->secret)
    return PEM_write_bio_PUBKEY(bio, k->pkey);
  return PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, cipher, secret, (int)n,
                                       NULL, NULL);
}


static int l_pem(lua_State *L) {
  static const char *const names[] = {"password", NULL};
  enum { LONGEST = 1024 }; /* that OpenSSL reads again */
  const keypair *k = key_check(L, 1);
  size_t n = 0;
  options_check(L, 2, names);
  const char *secret = option_string(L, 2, "password", &n);
  luaL_argcheck(L, secret == NULL || k->secret, 2,
                "a public key is not encrypted");
  luaL_argcheck(L, n <= LONGEST && (secret == NULL || n > 0), 2,
                "option 'password': 1 to 1024 bytes expected");
  hold *bio = hold_push(L, hold_bio);
  openssl_begin();
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p == NULL || !write_pem(bio->p, k, secret, n))
    return openssl_fail(L, NULL, "pem", NULL);
  hold_push_text(L, bio);
  return 1;
}


/*
** key:public() : Key | nil, error
*/

static int l_public(lua_State *L) {
  const keypair *k = key_check(L, 1);
  keypair *public = key_push(L, false);
  hold *bio = hold_push(L, hold_bio);
  openssl_begin();
  bio->p = BIO_new(BIO_s_mem());
  if (bio->p == NULL || !i2d_PUBKEY_bio(bio->p, k->pkey) ||
      (public->pkey = d2i_PUBKEY_bio(bio->p, NULL)) == NULL)
    return openssl_fail(L, NULL, "public", NULL);
  hold_free(bio);
  lua_pop(L, 1);
  return 1;
}


/*
** Fields: type, kind, bits, curve
*/

static const char *kind(const keypair *k) {
  return k->secret ? "private" : "public";
}


static int l_index(lua_State *L) {
  if (class_method(L))
    return 1;
  const keypair *k = key_check(L, 1);
  const char *name = lua_tostring(L, 2);
  if (name == NULL)
    return 1;
  int curve = strcmp(name, "curve") == 0 ? key_curve(k->pkey) : -1;
  if (strcmp(name, "type") == 0)
    lua_pushstring(L, key_types[key_type(k->pkey)]);
  else if (strcmp(name, "kind") == 0)
    lua_pushstring(L, kind(k));
  else if (strcmp(name, "bits") == 0)
    lua_pushinteger(L, EVP_PKEY_get_bits(k->pkey));
  else if (curve >= 0)
    lua_pushstring(L, key_curves[curve]);
  ERR_clear_error();
  return 1;
}


static int l_tostring(lua_State *L) {
  const keypair *k = key_check(L, 1);
  lua_pushfstring(L, "key (%s, %d bits, %s)", key_types[key_type(k->pkey)],
                  EVP_PKEY_get_bits(k->pkey), kind(k));
  return 1;
}


static const luaL_Reg functions[] = {{"key", l_key}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"sign", key_sign},
                                   {"verify", key_verify},
                                   {"pem", l_pem},
                                   {"public", l_public},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};


void key_open_classes(lua_State *L) {
  class_open_closing(L, HOLD, l_unhold);
  class_open(L, KEY_CLASS, metamethods, methods, l_index);
}


void key_open(lua_State *L) {
  key_open_classes(L);
  luaL_setfuncs(L, functions, 0);
  key_open_generate(L);
}
