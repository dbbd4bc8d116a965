/*
** Loading OpenSSL, and its errors as neap's.
**
** The libraries are the system's own, by their soname: so its updates reach neap, and
** what else in the process wants the same ones (luaossl) shares them.  They stay loaded.
** The names in them are nobody else's (RTLD_LOCAL).
**
** The system's configuration (openssl.cnf) holds as for other programs.  The environment
** names another one (OPENSSL_CONF, OPENSSL_MODULES), which may load any code: that is as
** powerful as LD_PRELOAD, and ends where that ends, for OpenSSL and the loader ignore
** both in a process that got privileges from its file (setuid, setgid, capabilities).
*/

#include "crypto/openssl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "host/host.h"

/* Why not, in words. */
typedef struct reason {
  char text[256];
} reason;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_ready[OPENSSL_LIBRARIES];


/*
** Loading
*/

#ifndef OPENSSL_LINKED

struct openssl_crypto openssl_crypto;
struct openssl_ssl openssl_ssl;

#define NAME(name) #name,

static const char *const crypto_names[] = {OPENSSL_CRYPTO_FUNCTIONS(NAME) NULL};
static const char *const ssl_names[] = {OPENSSL_SSL_FUNCTIONS(NAME) NULL};

static const struct {
  const char *file;
  const char *const *names;
  void *table; /* of pointers, in the order of the names */
} libraries[] = {
    [OPENSSL_CRYPTO] = {"libcrypto.so.3", crypto_names, &openssl_crypto},
    [OPENSSL_SSL] = {"libssl.so.3", ssl_names, &openssl_ssl},
};


static int find_all(enum openssl_library which, void *library, reason *why) {
  char *at = libraries[which].table;
  for (const char *const *name = libraries[which].names; *name != NULL;
       name++) {
    void *function = dlsym(library, *name);
    if (function == NULL) {
      snprintf(why->text, sizeof why->text,
               "%s has no %s: it is too old, or not OpenSSL's",
               libraries[which].file, *name);
      return -ELIBBAD;
    }
    memcpy(at, &function, sizeof function);
    at += sizeof function;
  }
  return 0;
}


static int load(enum openssl_library which, reason *why) {
  void *library = dlopen(libraries[which].file, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    const char *told = dlerror();
    snprintf(why->text, sizeof why->text,
             "TLS and neap.crypto need OpenSSL 3: %s",
             told != NULL ? told : libraries[which].file);
    return -ELIBACC;
  }
  int status = find_all(which, library, why);
  if (status < 0)
    dlclose(library);
  return status;
}

#else

static int load(enum openssl_library which, reason *why) {
  (void)which, (void)why;
  return 0;
}

#endif


/* At the exit threads of workers may still run: nothing is taken down below them.
 * What cannot be read of the configuration is left out, as elsewhere. */
static int initialise(enum openssl_library which, reason *why) {
  uint64_t how = OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_LOAD_CONFIG;
  int is_done = which == OPENSSL_SSL ? OPENSSL_init_ssl(how, NULL)
                                     : OPENSSL_init_crypto(how, NULL);
  if (!is_done) {
    const char *words = ERR_reason_error_string(ERR_peek_error());
    snprintf(why->text, sizeof why->text, "OpenSSL does not begin: %s",
             words != NULL ? words : "it does not say why");
  }
  ERR_clear_error();
  return is_done ? 0 : -ELIBBAD;
}


/* Under the lock. */
static int begin(enum openssl_library which, reason *why) {
  if (is_ready[which])
    return 0;
  int status = load(which, why);
  if (status == 0)
    status = initialise(which, why);
  is_ready[which] = status == 0;
  return status;
}


int openssl_need(lua_State *L, enum openssl_library which) {
  reason why = {""};
  pthread_mutex_lock(&lock);
  int status = begin(OPENSSL_CRYPTO, &why);
  if (status == 0 && which != OPENSSL_CRYPTO)
    status = begin(which, &why);
  if (status == 0 && host_replays(host_of(L)))
    openssl_draw_from_world();
  pthread_mutex_unlock(&lock);
  if (status < 0)
    error_push_message(L, status, NULL, NULL, why.text);
  return status;
}


const char *openssl_version(void) {
  reason why;
  pthread_mutex_lock(&lock);
  int status = begin(OPENSSL_CRYPTO, &why);
  pthread_mutex_unlock(&lock);
  return status == 0 ? OpenSSL_version(OPENSSL_VERSION) : NULL;
}


/*
** Errors
*/

/* The code of an error that is not OpenSSL's own. */
static const char *system_code(unsigned long error) {
  if (ERR_SYSTEM_ERROR(error))
    return error_code(-ERR_GET_REASON(error));
  return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? "ENOMEM" : "EOPENSSL";
}


static const char *words_of(unsigned long error) {
  const char *words = ERR_SYSTEM_ERROR(error)
                          ? strerrordesc_np(ERR_GET_REASON(error))
                          : ERR_reason_error_string(error);
  return words != NULL ? words : "OpenSSL does not say why";
}


void openssl_take_error(openssl_error *e) {
  const char *more = "";
  int flags = 0;
  unsigned long error = ERR_peek_error_data(&more, &flags);
  bool adds = (flags & ERR_TXT_STRING) != 0 && *more != '\0';
  e->code = system_code(error);
  snprintf(e->message, sizeof e->message, "%s%s%s%s", words_of(error),
           adds ? " (" : "", adds ? more : "", adds ? ")" : "");
  ERR_clear_error();
}


void openssl_push_error(lua_State *L, const char *code, const char *op,
                        const char *where) {
  openssl_error e;
  openssl_take_error(&e);
  error_push_code(L, code != NULL ? code : e.code, op, where, e.message);
}


int openssl_fail(lua_State *L, const char *code, const char *op,
                 const char *where) {
  lua_pushnil(L);
  openssl_push_error(L, code, op, where);
  return 2;
}
