/*
** Sessions of clients, to be resumed: the last one for each key, the oldest
** of which goes when there are too many.  One of TLS 1.3 is used once (RFC 8446, C.4).
*/

#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "tls/tls.h"


static void empty(tls_saved *x) {
  SSL_SESSION_free(x->session);
  free(x->key);
  *x = (tls_saved){NULL, NULL};
}


static tls_saved *find(tls_rules *r, const char *key) {
  for (unsigned i = 0; i < SAVED; i++)
    if (r->saved[i].key != NULL && strcmp(r->saved[i].key, key) == 0)
      return &r->saved[i];
  return NULL;
}


void saved_put(tls_rules *r, const char *key, SSL_SESSION *session) {
  tls_saved *x = find(r, key);
  if (x == NULL) {
    x = &r->saved[r->oldest];
    r->oldest = (r->oldest + 1) % SAVED;
  }
  empty(x);
  *x = (tls_saved){memory_text(key, strlen(key)), session};
}


SSL_SESSION *saved_take(tls_rules *r, const char *key) {
  tls_saved *x = find(r, key);
  if (x == NULL || !SSL_SESSION_is_resumable(x->session))
    return NULL;
  SSL_SESSION *session = x->session;
  SSL_SESSION_up_ref(session);
  if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
    empty(x);
  return session;
}


void saved_drop(tls_rules *r) {
  for (unsigned i = 0; i < SAVED; i++)
    empty(&r->saved[i]);
}
