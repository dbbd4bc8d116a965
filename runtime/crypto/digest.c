/*
** Digests and HMAC: at once, and piece by piece.
**
** A hasher is a context of OpenSSL's that is fed; what it gives is made in a copy, so
** that it can be fed on.
*/

#include "crypto/digest.h"

#include <lauxlib.h>
#include <string.h>

#include "host/arguments.h"
#include "host/class.h"
#include "host/error.h"

#define CLASS "neap.Hasher"

const char *const digest_names[DIGESTS + 1] = {
    "md5",    "sha1",     "sha224",   "sha256",   "sha384",
    "sha512", "sha3-256", "sha3-384", "sha3-512", NULL};

static const char *const titles[DIGESTS] = {"MD5",      "SHA1",     "SHA2-224",
                                            "SHA2-256", "SHA2-384", "SHA2-512",
                                            "SHA3-256", "SHA3-384", "SHA3-512"};


const char *digest_title(int digest) {
  return titles[digest];
}


static int named(lua_State *L, int arg, const char *text, size_t n) {
  return argument_choice(L, arg, "digest", text, n, digest_names);
}


int digest_option(lua_State *L, int arg, const char *otherwise) {
  size_t n;
  const char *text = option_string(L, arg, "digest", &n);
  return text != NULL ? named(L, arg, text, n)
                      : named(L, arg, otherwise, strlen(otherwise));
}


static int digest_argument(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  return named(L, 1, text, n);
}


const EVP_MD *digest_of(lua_State *L, int digest) {
  EVP_MD **md = &host_of(L)->crypto->digests[digest];
  if (*md == NULL)
    *md = EVP_MD_fetch(NULL, titles[digest], NULL);
  return *md;
}


/*
** Hashers
*/

typedef struct hasher {
  EVP_MD_CTX *md;   /* of a digest; or NULL */
  EVP_MAC_CTX *mac; /* of an HMAC; or NULL.  Both: it is closed */
  int digest;
} hasher;


static void release(hasher *h) {
  EVP_MD_CTX_free(h->md);
  EVP_MAC_CTX_free(h->mac);
  h->md = NULL;
  h->mac = NULL;
}


static int l_close(lua_State *L) {
  hasher *h = luaL_checkudata(L, 1, CLASS);
  if (h->md != NULL || h->mac != NULL) /* else OpenSSL may not be there */
    release(h);
  return 0;
}


static hasher *push_new(lua_State *L, int digest) {
  hasher *h = host_box(L, CLASS, sizeof *h, 0);
  if (h == NULL)
    lua_error(L);
  *h = (hasher){.digest = digest};
  return h;
}


static bool begin_digest(lua_State *L, hasher *h) {
  const EVP_MD *md = digest_of(L, h->digest);
  h->md = md != NULL ? EVP_MD_CTX_new() : NULL;
  return h->md != NULL && EVP_DigestInit_ex2(h->md, md, NULL);
}


static bool begin_hmac(hasher *h, const char *key, size_t n) {
  char name[16];
  EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  h->mac = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
  EVP_MAC_free(hmac);
  strcpy(name, titles[h->digest]);
  const OSSL_PARAM how[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
      OSSL_PARAM_construct_end()};
  return h->mac != NULL && EVP_MAC_init(h->mac, (const void *)key, n, how);
}


static bool feed(const hasher *h, const char *bytes, size_t n) {
  const unsigned char *p = (const unsigned char *)bytes;
  return h->md != NULL ? EVP_DigestUpdate(h->md, p, n)
                       : EVP_MAC_update(h->mac, p, n);
}


/* The strings from `first` on are what `h` is fed; they are strings already. */
static bool feed_all(lua_State *L, const hasher *h, int first, int last) {
  for (int i = first; i <= last; i++) {
    size_t n;
    const char *bytes = lua_tolstring(L, i, &n);
    if (!feed(h, bytes, n))
      return false;
  }
  return true;
}


static void check_strings(lua_State *L, int first) {
  for (int i = first; i <= lua_gettop(L); i++)
    luaL_checklstring(L, i, NULL);
}


static bool end(hasher *h, unsigned char *out, size_t *n) {
  unsigned length = 0;
  bool ok = h->md != NULL ? EVP_DigestFinal_ex(h->md, out, &length)
                          : EVP_MAC_final(h->mac, out, n, EVP_MAX_MD_SIZE) == 1;
  if (h->md != NULL)
    *n = length;
  return ok;
}


/*
** digest(name, ...) : bytes | nil, error
** hmac(name, key, ...) : bytes | nil, error
*/

/* And the hasher with it, whose memory the collector does not see. */
static int push_end(lua_State *L, hasher *h, const char *op) {
  unsigned char out[EVP_MAX_MD_SIZE];
  size_t n;
  bool ok = end(h, out, &n);
  release(h);
  if (!ok)
    return openssl_fail(L, NULL, op, digest_names[h->digest]);
  lua_pushlstring(L, (char *)out, n);
  OPENSSL_cleanse(out, sizeof out);
  return 1;
}


static int l_digest(lua_State *L) {
  crypto_need(L);
  int digest = digest_argument(L);
  int last = lua_gettop(L);
  check_strings(L, 2);
  hasher *h = push_new(L, digest);
  openssl_begin();
  if (!begin_digest(L, h) || !feed_all(L, h, 2, last))
    return openssl_fail(L, NULL, "digest", digest_names[digest]);
  return push_end(L, h, "digest");
}


static int l_hmac(lua_State *L) {
  crypto_need(L);
  int digest = digest_argument(L);
  int last = lua_gettop(L);
  size_t n;
  const char *key = luaL_checklstring(L, 2, &n);
  check_strings(L, 3);
  hasher *h = push_new(L, digest);
  openssl_begin();
  if (!begin_hmac(h, key, n) || !feed_all(L, h, 3, last))
    return openssl_fail(L, NULL, "hmac", digest_names[digest]);
  return push_end(L, h, "hmac");
}


/*
** hasher(name, key?) : Hasher | nil, error
*/

static int l_hasher(lua_State *L) {
  crypto_need(L);
  int digest = digest_argument(L);
  size_t n = 0;
  const char *key = luaL_optlstring(L, 2, NULL, &n);
  hasher *h = push_new(L, digest);
  openssl_begin();
  if (!(key != NULL ? begin_hmac(h, key, n) : begin_digest(L, h)))
    return openssl_fail(L, NULL, "hasher", digest_names[digest]);
  return 1;
}


static hasher *check(lua_State *L) {
  hasher *h = luaL_checkudata(L, 1, CLASS);
  luaL_argcheck(L, h->md != NULL || h->mac != NULL, 1, "the hasher is closed");
  return h;
}


/*
** hasher:update(...) : Hasher | nil, error
** hasher:digest() : bytes | nil, error
*/

static int l_update(lua_State *L) {
  check_strings(L, 2);
  const hasher *h = check(L);
  openssl_begin();
  if (!feed_all(L, h, 2, lua_gettop(L)))
    return openssl_fail(L, NULL, "update", digest_names[h->digest]);
  lua_settop(L, 1);
  return 1;
}


static bool copy(hasher *to, const hasher *from) {
  if (from->mac != NULL)
    return (to->mac = EVP_MAC_CTX_dup(from->mac)) != NULL;
  to->md = EVP_MD_CTX_new();
  return to->md != NULL && EVP_MD_CTX_copy_ex(to->md, from->md);
}


static int l_result(lua_State *L) {
  hasher *taken = push_new(L, ((hasher *)luaL_checkudata(L, 1, CLASS))->digest);
  const hasher *h = check(L);
  openssl_begin();
  if (!copy(taken, h))
    return openssl_fail(L, NULL, "digest", digest_names[h->digest]);
  return push_end(L, taken, "digest");
}


static int l_tostring(lua_State *L) {
  const hasher *h = luaL_checkudata(L, 1, CLASS);
  const char *kind = h->mac != NULL ? "hmac " : "";
  const char *state = h->mac != NULL || h->md != NULL ? "" : ", closed";
  lua_pushfstring(L, "hasher (%s%s%s)", kind, digest_names[h->digest], state);
  return 1;
}


/*
** equal(a, b) : boolean
*/

static int l_equal(lua_State *L) {
  size_t n, m;
  const char *a = luaL_checklstring(L, 1, &n);
  const char *b = luaL_checklstring(L, 2, &m);
  crypto_need(L);
  lua_pushboolean(L, n == m && CRYPTO_memcmp(a, b, n) == 0);
  return 1;
}


static const luaL_Reg functions[] = {{"digest", l_digest},
                                     {"hmac", l_hmac},
                                     {"hasher", l_hasher},
                                     {"equal", l_equal},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {{"update", l_update},
                                   {"digest", l_result},
                                   {"close", l_close},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", l_close},
                                       {"__gc", l_close},
                                       {"__tostring", l_tostring},
                                       {NULL, NULL}};


static int l_index(lua_State *L) {
  luaL_checkudata(L, 1, CLASS);
  class_method(L);
  return 1;
}


void digest_open(lua_State *L) {
  class_open(L, CLASS, metamethods, methods, l_index);
  luaL_setfuncs(L, functions, 0);
}
