/*
** Keys made of secrets: HKDF of a good one (RFC 5869), PBKDF2 of a password (RFC 8018).
*/

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "crypto/job.h"
#include "host/arguments.h"
#include "host/error.h"

/* A copy for a thread, or what it makes. */
typedef struct bytes {
  unsigned char *p;
  size_t n;
} bytes;

typedef struct derivation {
  job job;
  const char *kdf;
  char digest[16];
  bytes secret, salt, info, out;
  uint64_t iterations;
} derivation;


/* Never of no bytes, which OpenSSL would take for nothing at all. */
static bool room(bytes *b, size_t n) {
  b->n = n;
  b->p = malloc(n + 1);
  return b->p != NULL;
}


static bool copy(bytes *b, const char *from, size_t n) {
  if (!room(b, n))
    return false;
  if (n > 0)
    memcpy(b->p, from, n);
  return true;
}


static void forget(bytes *b) {
  if (b->p != NULL)
    OPENSSL_cleanse(b->p, b->n);
  free(b->p);
  b->p = NULL;
}


static OSSL_PARAM octets(const char *name, const bytes *b) {
  return OSSL_PARAM_construct_octet_string(name, b->p, b->n);
}


static bool derive(job *j) {
  derivation *d = (derivation *)j;
  int any_salt = 1; /* also a short one: the standards' vectors have such */
  OSSL_PARAM how[8], *p = how;
  *p++ = OSSL_PARAM_construct_utf8_string("digest", d->digest, 0);
  *p++ = octets(d->iterations > 0 ? "pass" : "key", &d->secret);
  *p++ = octets("salt", &d->salt);
  if (d->iterations > 0) {
    *p++ = OSSL_PARAM_construct_uint64("iter", &d->iterations);
    *p++ = OSSL_PARAM_construct_int("pkcs5", &any_salt);
  } else {
    *p++ = octets("info", &d->info);
  }
  *p = OSSL_PARAM_construct_end();
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, d->kdf, NULL);
  EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
  bool ok = ctx != NULL && EVP_KDF_derive(ctx, d->out.p, d->out.n, how) == 1;
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
  return ok;
}


static int push(lua_State *L, job *j) {
  const derivation *d = (derivation *)j;
  lua_pushlstring(L, (const char *)d->out.p, d->out.n);
  return 1;
}


static void clear(work *w) {
  derivation *d = (derivation *)w;
  forget(&d->secret);
  forget(&d->salt);
  forget(&d->info);
  forget(&d->out);
}


static const job_kind hkdf = {JOB_WORK("hkdf", derivation, clear), derive,
                              push};

static const job_kind pbkdf2 = {JOB_WORK("pbkdf2", derivation, clear), derive,
                                push};


/* An option's string, if any; false: there is no memory for it. */
static bool copy_option(lua_State *L, bytes *b, const char *name) {
  size_t n = 0;
  const char *text = option_string(L, 1, name, &n);
  return copy(b, text, n);
}


static int digest_size(lua_State *L, int digest) {
  const EVP_MD *md = digest_of(L, digest);
  return md != NULL ? EVP_MD_get_size(md) : 0;
}


/*
** hkdf{key=, size=, digest="sha256", salt="", info=""} : bytes | nil, error
*/

static int l_hkdf(lua_State *L) {
  static const char *const names[] = {"digest", "key",  "salt",
                                      "info",   "size", NULL};
  enum { MOST = 255 }; /* times the digest's size */
  luaL_checktype(L, 1, LUA_TTABLE);
  options_check(L, 1, names);
  crypto_need(L);
  openssl_begin();
  int digest = digest_option(L, 1, "sha256");
  int whole = digest_size(L, digest);
  if (whole == 0)
    return openssl_fail(L, NULL, hkdf.work.op, digest_names[digest]);
  option_needed(L, 1, "key", NULL);
  size_t size = (size_t)option_integer(L, 1, "size", 1, MOST * whole, whole);
  derivation *d = (derivation *)job_new(L, &hkdf);
  int box = lua_gettop(L);
  d->kdf = "HKDF";
  strcpy(d->digest, digest_title(digest));
  if (!copy_option(L, &d->secret, "key") || !copy_option(L, &d->salt, "salt") ||
      !copy_option(L, &d->info, "info") || !room(&d->out, size))
    return fail(L, -ENOMEM, hkdf.work.op, NULL);
  lua_settop(L, box);
  return job_run(L, &d->job, false);
}


/*
** pbkdf2{password=, salt=, iterations=, size?, digest="sha256"}
**   : bytes | nil, error
*/

static double effort(size_t size, int whole, lua_Integer iterations) {
  double blocks = (double)((size - 1) / (size_t)whole) + 1;
  return (double)iterations * blocks;
}


static int l_pbkdf2(lua_State *L) {
  static const char *const names[] = {"digest",     "password", "salt",
                                      "iterations", "size",     NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  options_check(L, 1, names);
  crypto_need(L);
  openssl_begin();
  int digest = digest_option(L, 1, "sha256");
  int whole = digest_size(L, digest);
  if (whole == 0)
    return openssl_fail(L, NULL, pbkdf2.work.op, digest_names[digest]);
  option_needed(L, 1, "password", NULL);
  option_needed(L, 1, "salt", NULL);
  size_t size = (size_t)option_integer(L, 1, "size", 1, INT32_MAX, whole);
  lua_Integer iterations = option_integer(L, 1, "iterations", 1, INT32_MAX, 0);
  luaL_argcheck(L, iterations > 0, 1,
                "option 'iterations': an integer expected, got nothing");
  const double much = 5000; /* a thread costs as much as some hundred */
  double sum = effort(size, whole, iterations);
  luaL_argcheck(L, sum <= INT32_MAX, 1, /* for nothing stops it */
                "options 'iterations' and 'size': 2^31 - 1 iterations at most "
                "expected, for all blocks of the digest's size");
  derivation *d = (derivation *)job_new(L, &pbkdf2);
  int box = lua_gettop(L);
  d->kdf = "PBKDF2";
  d->iterations = (uint64_t)iterations;
  strcpy(d->digest, digest_title(digest));
  if (!copy_option(L, &d->secret, "password") ||
      !copy_option(L, &d->salt, "salt") || !room(&d->out, size))
    return fail(L, -ENOMEM, pbkdf2.work.op, NULL);
  lua_settop(L, box);
  return job_run(L, &d->job, sum > much);
}


static const luaL_Reg functions[] = {
    {"hkdf", l_hkdf}, {"pbkdf2", l_pbkdf2}, {NULL, NULL}};


void derive_open(lua_State *L) {
  luaL_setfuncs(L, functions, 0);
}
