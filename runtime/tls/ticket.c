/*
** Sessions in a host that does the same each time.  OpenSSL notes in a session, which a
** ticket has in it, when it was made, and a client tells how old its ticket is: by the
** system's clock, not by the world's.  So there a ticket says always the same, and one
** that is used has just been made.
*/

#include "host/host.h"
#include "tls/tls.h"


void ticket_renew(SSL_SESSION *session) {
  SSL_SESSION *new = SSL_SESSION_new(); /* what time it is, OpenSSL knows */
  if (new != NULL)
    SSL_SESSION_set_time(session, SSL_SESSION_get_time(new));
  SSL_SESSION_free(new);
}


/* It is about to be written. */
static int on_made(SSL *ssl, void *about) {
  (void)about;
  SSL_SESSION_set_time(SSL_get_session(ssl), 1);
  return 1;
}


/* What is right goes on, as without this. */
static SSL_TICKET_RETURN on_taken(SSL *ssl, SSL_SESSION *session,
                                  const unsigned char *name, size_t n,
                                  SSL_TICKET_STATUS status, void *about) {
  (void)ssl, (void)name, (void)n, (void)about;
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  ticket_renew(session);
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
                                      : SSL_TICKET_RETURN_USE_RENEW;
}


void ticket_watch(SSL_CTX *c) {
  SSL_CTX_set_session_ticket_cb(c, on_made, on_taken, NULL);
}
