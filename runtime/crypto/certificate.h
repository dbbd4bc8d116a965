/*
** Certificates: one that signs itself, for trying things out, and what one says.
**
** Both want crypto_need() before, and key_open_classes().
*/

#ifndef CRYPTO_CERTIFICATE_H
#define CRYPTO_CERTIFICATE_H

#include <lua.h>

#include "crypto/openssl.h"

/*
** selfsigned{names=, days=, key=} : certificate, key | nil, error
**
** names  a list of host names and addresses, one at least
** days   that it is valid, 365
** key    a Key with its private part; default: a new one, of P-256
**
** Both as PEM.  Calls crypto_need itself.
*/
int certificate_selfsigned(lua_State *L);

/* Push what it says, a table: subject, issuer (RFC 2253), names (a list of host names
 * and addresses, as texts), not_before, not_after (seconds since 1970), serial,
 * fingerprint (of SHA-256; both hexadecimal), pem. */
void certificate_info(lua_State *L, X509 *x);

/* The next one of a PEM text, which nobody is asked for a password of; NULL: OpenSSL's queue
 * says why.  And what frees it for a hold. */
X509 *certificate_read(BIO *b);
void certificate_free(void *x);

/* Push bytes as lower case hexadecimal. */
void certificate_push_hex(lua_State *L, const unsigned char *bytes, size_t n);

/* x509.c: push an object with LuaSec's methods for certificates, which has a reference
 * of its own. */
void x509_push(lua_State *L, X509 *x);

/* Of Lua: x509(pem) : certificate | nil */
int x509_load(lua_State *L);

#endif
