/*
** Digests by name, and what is made of them.
*/

#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include <lua.h>

#include "crypto/crypto.h"

/* The names that scripts use, and NULL behind them. */
extern const char *const digest_names[DIGESTS + 1];

/* OpenSSL's own name for it. */
const char *digest_title(int digest);

/* The digest that the option names, or the one of this name: `otherwise`.  Raises for
 * an unknown one. */
int digest_option(lua_State *L, int arg, const char *otherwise);

/* The algorithm, which the host keeps; or NULL, with an error in OpenSSL's queue. */
const EVP_MD *digest_of(lua_State *L, int digest);

#endif
