/*
** neap.crypto, and what its parts share.
*/

#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <lua.h>

#include "crypto/openssl.h"
#include "host/host.h"
#include "sched/work.h"

enum { DIGESTS = 9 }; /* that have names: crypto/digest.h */

/* Of a host, from the first `require "neap.crypto"` on: host.crypto. */
struct crypto {
  EVP_MD *digests[DIGESTS]; /* fetched when first used */
  work_gate gate;           /* of jobs: crypto/job.h */
};

/* The subsystem: registers the module. */
int crypto_open(lua_State *L);
void crypto_close(host *h);

/* Have OpenSSL's libcrypto, and host.crypto; raises an error object where that
 * cannot be. */
struct crypto *crypto_need(lua_State *L);

/* Put the functions of each part into the table on top, and open its classes.
 * certificate_open does that for neap.crypto.core. */
void certificate_open(lua_State *L);
void digest_open(lua_State *L);
void derive_open(lua_State *L);
void key_open(lua_State *L);
void encoding_open(lua_State *L);

#endif
