/*
** Signing and verifying: messages, not their digests.
**
** What is verified comes from anybody: a signature of any form is just not the right
** one, and no error.
*/

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "crypto/digest.h"
#include "crypto/key.h"
#include "host/arguments.h"

/* How a message is signed, by the options. */
typedef struct scheme {
  enum key_type type;
  const char *digest; /* NULL: the key's own way */
  bool raw;           /* ECDSA: r and s, instead of DER */
  int half;           /* bytes of each */
  int padding;        /* RSA */
  int salt;           /* bytes; or one of OpenSSL's names */
} scheme;


static const char *const *option_names(enum key_type type) {
  static const char *const ed25519[] = {NULL};
  static const char *const ec[] = {"digest", "raw", NULL};
  static const char *const rsa[] = {"digest", "padding", "salt", NULL};
  static const char *const *const all[] = {
      [KEY_ED25519] = ed25519, [KEY_EC] = ec, [KEY_RSA] = rsa};
  return all[type];
}


static void read_ec(lua_State *L, int arg, const keypair *k, scheme *s) {
  static const char *const digests[] = {"sha256", "sha384", "sha512"};
  const char *usual = digests[key_curve(k->pkey)];
  s->digest = digest_title(digest_option(L, arg, usual));
  s->raw = option_flag(L, arg, "raw", false);
  s->half = (EVP_PKEY_get_bits(k->pkey) + 7) / 8;
}


static void read_rsa(lua_State *L, int arg, bool signs, scheme *s) {
  static const char *const paddings[] = {"pss", "pkcs1", NULL};
  enum { LONGEST = 2048 };
  size_t n;
  const char *padding = option_string(L, arg, "padding", &n);
  bool pss = padding == NULL ||
             argument_choice(L, arg, "padding", padding, n, paddings) == 0;
  int otherwise = signs ? RSA_PSS_SALTLEN_DIGEST : RSA_PSS_SALTLEN_AUTO;
  s->digest = digest_title(digest_option(L, arg, "sha256"));
  s->padding = pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
  s->salt = (int)option_integer(L, arg, "salt", 0, LONGEST, otherwise);
}


static scheme read_scheme(lua_State *L, int arg, const keypair *k, bool signs) {
  scheme s = {.type = key_type(k->pkey)};
  options_check(L, arg, option_names(s.type));
  if (s.type == KEY_EC)
    read_ec(L, arg, k, &s);
  else if (s.type == KEY_RSA)
    read_rsa(L, arg, signs, &s);
  return s;
}


static bool begin(EVP_MD_CTX *ctx, const keypair *k, const scheme *s,
                  bool signs) {
  EVP_PKEY_CTX *how = NULL;
  int ok = signs ? EVP_DigestSignInit_ex(ctx, &how, s->digest, NULL, NULL,
                                         k->pkey, NULL)
                 : EVP_DigestVerifyInit_ex(ctx, &how, s->digest, NULL, NULL,
                                           k->pkey, NULL);
  if (ok != 1 || s->type != KEY_RSA)
    return ok == 1;
  return EVP_PKEY_CTX_set_rsa_padding(how, s->padding) == 1 &&
         (s->padding != RSA_PKCS1_PSS_PADDING ||
          EVP_PKEY_CTX_set_rsa_pss_saltlen(how, s->salt) == 1);
}


/*
** ECDSA's r and s
*/

/* DER to raw: false if it is broken. */
static bool split(const scheme *s, const unsigned char *der, size_t n,
                  unsigned char *raw) {
  ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
  bool ok =
      sig != NULL &&
      BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, s->half) == s->half &&
      BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + s->half, s->half) == s->half;
  ECDSA_SIG_free(sig);
  return ok;
}


/* Raw to DER, of room for the largest: its size, or 0. */
static size_t join(const scheme *s, const unsigned char *raw,
                   unsigned char *der) {
  ECDSA_SIG *sig = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(raw, s->half, NULL);
  BIGNUM *t = BN_bin2bn(raw + s->half, s->half, NULL);
  if (sig == NULL || r == NULL || t == NULL || !ECDSA_SIG_set0(sig, r, t)) {
    BN_free(r);
    BN_free(t);
    ECDSA_SIG_free(sig);
    return 0;
  }
  int n = i2d_ECDSA_SIG(sig, &der);
  ECDSA_SIG_free(sig);
  return n > 0 ? (size_t)n : 0;
}


static void free_context(void *ctx) {
  EVP_MD_CTX_free(ctx);
}


/*
** key:sign(message, options?) : signature | nil, error
*/

int key_sign(lua_State *L) {
  const keypair *k = key_check(L, 1);
  size_t n, room = (size_t)EVP_PKEY_get_size(k->pkey);
  const char *text = luaL_checklstring(L, 2, &n);
  luaL_argcheck(L, k->secret, 1, "a private key expected, got a public one");
  scheme s = read_scheme(L, 3, k, true);
  unsigned char *raw = lua_newuserdatauv(L, 2 * (size_t)s.half + 1, 0);
  unsigned char *out = lua_newuserdatauv(L, room, 0);
  hold *ctx = hold_push(L, free_context);
  openssl_begin();
  ctx->p = EVP_MD_CTX_new();
  bool ok = ctx->p != NULL && begin(ctx->p, k, &s, true) &&
            EVP_DigestSign(ctx->p, out, &room, (const void *)text, n) == 1 &&
            (!s.raw || split(&s, out, room, raw));
  hold_free(ctx);
  if (!ok)
    return openssl_fail(L, NULL, "sign", NULL);
  if (s.raw)
    lua_pushlstring(L, (char *)raw, 2 * (size_t)s.half);
  else
    lua_pushlstring(L, (char *)out, room);
  return 1;
}


/*
** key:verify(message, signature, options?) : boolean | nil, error
*/

int key_verify(lua_State *L) {
  enum { SLACK = 16 }; /* of DER beside r and s */
  const keypair *k = key_check(L, 1);
  size_t n, m;
  const char *text = luaL_checklstring(L, 2, &n);
  const unsigned char *sig = (const void *)luaL_checklstring(L, 3, &m);
  scheme s = read_scheme(L, 4, k, false);
  unsigned char *der = lua_newuserdatauv(L, 2 * (size_t)s.half + SLACK, 0);
  hold *ctx = hold_push(L, free_context);
  openssl_begin();
  ctx->p = EVP_MD_CTX_new();
  if (ctx->p == NULL || !begin(ctx->p, k, &s, false))
    return openssl_fail(L, NULL, "verify", NULL);
  bool fits = !s.raw || m == 2 * (size_t)s.half;
  if (fits && s.raw) {
    m = join(&s, sig, der);
    sig = der;
  }
  bool good = fits && m > 0 &&
              EVP_DigestVerify(ctx->p, sig, m, (const void *)text, n) == 1;
  hold_free(ctx);
  ERR_clear_error();
  lua_pushboolean(L, good);
  return 1;
}
