/*
** New keys.  One of RSA takes a second, or some, and is made in a thread.
*/

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/job.h"
#include "crypto/key.h"
#include "host/arguments.h"

typedef struct generation {
  job job;
  enum key_type type;
  int bits;          /* RSA */
  const char *curve; /* EC */
  EVP_PKEY *pkey;
} generation;


/* Between two tries: who wants it no more has it end. */
static int on_try(EVP_PKEY_CTX *ctx) {
  job *j = EVP_PKEY_CTX_get_app_data(ctx);
  return !atomic_load(&j->work.dropped);
}


static bool set(EVP_PKEY_CTX *ctx, const generation *g) {
  if (g->type == KEY_RSA)
    return EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, g->bits) == 1;
  return g->type != KEY_EC || EVP_PKEY_CTX_set_group_name(ctx, g->curve) == 1;
}


static bool generate(job *j) {
  static const char *const titles[] = {"ED25519", "EC", "RSA"};
  generation *g = (generation *)j;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, titles[g->type], NULL);
  bool ok = ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 && set(ctx, g);
  if (ok) {
    EVP_PKEY_CTX_set_app_data(ctx, j);
    EVP_PKEY_CTX_set_cb(ctx, on_try);
    ok = EVP_PKEY_generate(ctx, &g->pkey) == 1;
  }
  EVP_PKEY_CTX_free(ctx);
  return ok;
}


static int push(lua_State *L, job *j) {
  generation *g = (generation *)j;
  keypair *k = key_push(L, true);
  k->pkey = g->pkey;
  g->pkey = NULL;
  return 1;
}


static void clear(work *w) {
  EVP_PKEY_free(((generation *)w)->pkey);
}


static const job_kind generating = {JOB_WORK("generate", generation, clear),
                                    generate, push};


/*
** generate(type, {curve=, bits=}) : Key | nil, error
*/

static const char *const *option_names(int type) {
  static const char *const ed25519[] = {NULL};
  static const char *const ec[] = {"curve", NULL};
  static const char *const rsa[] = {"bits", NULL};
  static const char *const *const all[] = {
      [KEY_ED25519] = ed25519, [KEY_EC] = ec, [KEY_RSA] = rsa};
  return all[type];
}


static int l_generate(lua_State *L) {
  enum { LEAST = 2048, MOST = 16384, USUAL = 3072 };
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  int type = argument_choice(L, 1, "type of keys", name, n, key_types);
  options_check(L, 2, option_names(type));
  const char *curve = option_string(L, 2, "curve", &n);
  if (curve != NULL)
    curve = key_curves[argument_choice(L, 2, "curve", curve, n, key_curves)];
  int bits = (int)option_integer(L, 2, "bits", LEAST, MOST, USUAL);
  luaL_argcheck(L, bits % 2 == 0, 2, /* two primes of as many bits */
                "option 'bits': an even integer expected");
  crypto_need(L);
  generation *g = (generation *)job_new(L, &generating);
  g->type = (enum key_type)type;
  g->bits = bits;
  g->curve = curve != NULL ? curve : key_curves[0];
  return job_run(L, &g->job, type == KEY_RSA);
}


static const luaL_Reg functions[] = {{"generate", l_generate}, {NULL, NULL}};


void key_open_generate(lua_State *L) {
  luaL_setfuncs(L, functions, 0);
}
