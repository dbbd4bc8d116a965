/*
** Keys that sign and verify: Ed25519, ECDSA over the curves of NIST, RSA.
*/

#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H

#include <lua.h>
#include <stdbool.h>

#include "crypto/openssl.h"

#define KEY_CLASS "neap.Key"

typedef struct keypair {
  EVP_PKEY *pkey;
  bool secret; /* the private key, and not only the public one */
} keypair;

enum key_type { KEY_ED25519, KEY_EC, KEY_RSA, KEY_TYPES };

extern const char *const key_types[KEY_TYPES + 1]; /* and NULL */
extern const char *const key_curves[];             /* and NULL */

/* KEY_TYPES: of another kind. */
enum key_type key_type(const EVP_PKEY *pkey);

/* Which of key_curves; -1: another one, or none. */
int key_curve(const EVP_PKEY *pkey);

/* The key at arg; raises. */
keypair *key_check(lua_State *L, int arg);

/* Push a new key, and let it have what *pkey is from now on. */
keypair *key_push(lua_State *L, bool secret);

/* What OpenSSL makes, and Lua frees if an error comes between. */
typedef struct hold {
  void *p;
  void (*free)(void *p);
} hold;

hold *hold_push(lua_State *L, void (*free)(void *p));
void hold_free(hold *h);  /* before the collector does */
void hold_bio(void *bio); /* such a function */

/* Push what was written to a BIO in memory. */
void hold_push_text(lua_State *L, hold *bio);

/* Have the classes of keys and holds. */
void key_open_classes(lua_State *L);

/* The functions of Lua's. */
void key_open_generate(lua_State *L); /* of the table on top */
int key_sign(lua_State *L);
int key_verify(lua_State *L);

#endif
