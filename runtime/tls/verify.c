/*
** Whose certificate it is: a peer's is looked at by OpenSSL, by this host's time; here
** is what it has to name, and why one is refused, in words.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/memory.h"
#include "sched/world.h"
#include "tls/tls.h"

enum { NAME = 256, REASON = 1024 };


bool verify_is_address(const char *text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text, bytes) == 1 ||
         inet_pton(AF_INET6, text, bytes) == 1;
}


/* A name is one of subjectAltName's, and no other; `*` is a whole label. */
static int expect_name(X509_VERIFY_PARAM *p, const char *name) {
  X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                         X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return verify_is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(p, name)
                                 : X509_VERIFY_PARAM_set1_host(p, name, 0);
}


int verify_expect(stream *s) {
  const tls *t = tls_of(s);
  const host *h = s->host;
  X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
  X509_VERIFY_PARAM_set_time(p, h->world->wall(h->outside) / 1000000000);
  const tls_settings *now = &t->rules->now;
  if (t->server || t->expected == NULL || !now->verify || now->unnamed)
    return 0;
  return expect_name(p, t->expected) == 1 ? 0 : -EINVAL;
}


void verify_print(const X509_NAME *name, char *to, size_t size) {
  BIO *b = BIO_new(BIO_s_mem());
  const char *bytes = NULL;
  snprintf(to, size, "without a subject");
  if (b != NULL && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253) > 0) {
    long n = BIO_get_mem_data(b, &bytes);
    snprintf(to, size, "%.*s", (int)n, bytes);
  }
  BIO_free(b);
}


static bool names_another(int error) {
  return error == X509_V_ERR_HOSTNAME_MISMATCH ||
         error == X509_V_ERR_IP_ADDRESS_MISMATCH;
}


/* A line for each: its place in the chain, and why. */
static void note(tls *t, int depth, int error) {
  enum { MOST = 4096 };
  char line[REASON];
  size_t before = t->why != NULL ? strlen(t->why) : 0;
  int n = snprintf(line, sizeof line, "%d %s\n", depth,
                   X509_verify_cert_error_string(error));
  if (before > MOST || n < 0 || n >= (int)sizeof line)
    return;
  t->why = memory_grow(t->why, before + (size_t)n + 1);
  memcpy(t->why + before, line, (size_t)n + 1);
}


/* The first reason is the one that counts.  Never a success of what has failed, unless it
 * is to be one. */
int verify_look(int ok, X509_STORE_CTX *x) {
  char name[NAME] = "none", reason[REASON];
  const SSL *ssl =
      X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
  tls *t = tls_of(session_stream(ssl));
  const X509 *c = X509_STORE_CTX_get_current_cert(x);
  int error = X509_STORE_CTX_get_error(x);
  if (!ok && t->rules->now.lax) {
    note(t, X509_STORE_CTX_get_error_depth(x), error);
    return 1;
  }
  if (ok || t->why != NULL)
    return ok;
  if (c != NULL)
    verify_print(X509_get_subject_name(c), name, sizeof name);
  snprintf(reason, sizeof reason, "the peer's certificate %s (%s%s%s): %s",
           X509_STORE_CTX_get_error_depth(x) > 0
               ? "has an issuer that is refused"
               : "is refused",
           name, names_another(error) ? ", and not for " : "",
           names_another(error) && t->expected != NULL ? t->expected : "",
           X509_verify_cert_error_string(error));
  t->why = memory_text(reason, strlen(reason));
  return 0;
}
