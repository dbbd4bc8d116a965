/*
** OpenSSL 3, loaded when it is first needed.
**
** A start without it costs nothing, and the executable needs it only where a script
** does.  So libcrypto.so.3 and libssl.so.3 are opened by dlopen, and the functions
** that neap calls (openssl_functions.h) stand in a table; openssl_names.h, which the
** build makes, defines each name as its member.  The code reads, and is checked by the
** compiler, as if OpenSSL were linked, which it is with OPENSSL_LINKED (-DNEAP_OPENSSL=
** shared or static), without any table.
**
** Whoever calls OpenSSL includes this header only, and first of all calls openssl_need,
** in each thread, wherever a script may come by for the first time.
**
** OpenSSL's errors lie in a queue, one a thread.  What others left there would be taken
** for one's own: openssl_begin() before what may fail, openssl_take_error() or another
** below behind it.  All leave it empty, and so must everybody.
*/

#ifndef CRYPTO_OPENSSL_H
#define CRYPTO_OPENSSL_H

#define OPENSSL_API_COMPAT 30000 /* the functions of 3.0, and nothing older */
#define OPENSSL_NO_DEPRECATED

#include <lua.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

enum openssl_library { OPENSSL_CRYPTO, OPENSSL_SSL, OPENSSL_LIBRARIES };

/* Not declared any more, for since 3.0 there are providers.  But those do not reach who
 * has drawn chance before. */
struct rand_meth_st {
  int (*seed)(const void *bytes, int n);
  int (*bytes)(unsigned char *bytes, int n);
  void (*cleanup)(void);
  int (*add)(const void *bytes, int n, double randomness);
  int (*pseudorand)(unsigned char *bytes, int n);
  int (*status)(void);
};
int RAND_set_rand_method(const RAND_METHOD *m);
RAND_METHOD *RAND_OpenSSL(void);

/* Have it loaded and initialised: libcrypto, or that and libssl.  0, and cheap from
 * the second time on; or a negative errno, with an error object on the stack that
 * says what is lacking: -ELIBACC (there is none), -ELIBBAD (it is too old, or refuses
 * to begin), -ENOMEM.  From any thread. */
int openssl_need(lua_State *L, enum openssl_library which);

/* Its name and version, as it tells them; NULL: it cannot be loaded.  For a process
 * that does no more than that. */
const char *openssl_version(void);

/* From now on OpenSSL draws chance by world_chance (sched/world.h), where a thread has
 * that, and as ever elsewhere. */
void openssl_draw_from_world(void);

/* Of the oldest error in the queue, which is the cause of those that followed it:
 * OpenSSL's reason, and what it adds. */
typedef struct openssl_error {
  const char *code; /* "ENOMEM", that of a system call, or "EOPENSSL"; static */
  char message[256];
} openssl_error;

/* Take it, and empty the queue. */
void openssl_take_error(openssl_error *e);

/* Push an error object made of it.  `code` is the object's code; NULL: its own. */
void openssl_push_error(lua_State *L, const char *code, const char *op,
                        const char *where);

/* The same behind nil; returns 2, for `return openssl_fail(...)`. */
int openssl_fail(lua_State *L, const char *code, const char *op,
                 const char *where);


/*
** The table
*/

#ifndef OPENSSL_LINKED

#include "crypto/openssl_functions.h"

#define OPENSSL_MEMBER(name) __typeof__(name) *name;

struct openssl_crypto {
  OPENSSL_CRYPTO_FUNCTIONS(OPENSSL_MEMBER)
};

struct openssl_ssl {
  OPENSSL_SSL_FUNCTIONS(OPENSSL_MEMBER)
};

/* Written once, by openssl_need. */
extern struct openssl_crypto openssl_crypto;
extern struct openssl_ssl openssl_ssl;

#include "crypto/openssl_names.h"

#endif

/* Nothing is in this thread's queue.  To empty it costs as much where it is empty. */
static inline void openssl_begin(void) {
  if (ERR_peek_error() != 0)
    ERR_clear_error();
}

#endif
