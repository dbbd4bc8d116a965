/*
** One session: an SSL, and what its results mean.
**
** OpenSSL's queue of errors is emptied before each call that may fail, and its error
** is taken at once.  Nothing here tells the stream: layer.c does, when what is to be
** sent is out.
*/

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "sched/world.h"
#include "tls/tls.h"

/* Bytes of a handshake, at most, and of what comes to nothing behind it: updates of
 * keys, tickets, the first part of a record. */
enum { SHAKEN = 256 * 1024, SILENT = 64 * 1024 };

/* What goes around the bytes of a record. */
enum { AROUND = 32 };

/* Bytes of a record; pieces that are smaller are joined. */
enum { RECORD = 16 * 1024, JOINED = 4 * 1024 };

enum { WORDS = 512, NAME = 256 };


stream *session_stream(const SSL *ssl) {
  return BIO_get_data(SSL_get_rbio(ssl));
}


void session_fail(stream *s, int status, const char *words) {
  tls *t = tls_of(s);
  if (t->failed != 0)
    return;
  t->failed = (int16_t)status;
  if (words == NULL)
    return;
  free(t->why);
  t->why = memory_text(words, strlen(words));
}


/*
** What its results mean
*/

/* OpenSSL 3.0 has no words for what TLS 1.3 has brought (RFC 8446, 6.2). */
static const char *alert_words(int alert) {
  switch (alert) {
  case SSL_AD_MISSING_EXTENSION:
    return "missing extension";
  case SSL_AD_CERTIFICATE_REQUIRED:
    return "a certificate is required";
  case SSL_AD_NO_APPLICATION_PROTOCOL:
    return "no application protocol";
  default:
    return SSL_alert_desc_string_long(alert);
  }
}


static void fail_by_alert(stream *s, int alert) {
  char words[WORDS];
  snprintf(words, sizeof words, "the peer refuses: %s", alert_words(alert));
  session_fail(s, ERROR_TLS_ALERT, words);
}


static void fail_by_certificate(stream *s) {
  const tls *t = tls_of(s);
  session_fail(s, ERROR_TLS_VERIFY,
               t->why != NULL ? NULL : "the peer's certificate is refused");
}


/* What OpenSSL finds in the place of a record. */
static const char *proto_words(unsigned long error) {
  switch (ERR_GET_REASON(error)) {
  case SSL_R_HTTP_REQUEST:
  case SSL_R_HTTPS_PROXY_REQUEST:
    return "the peer speaks plain HTTP, and no TLS";
  case SSL_R_WRONG_VERSION_NUMBER:
    return "what the peer speaks is no TLS (wrong version number)";
  default:
    return ERR_reason_error_string(error);
  }
}


static void fail_by_queue(stream *s) {
  unsigned long error = ERR_peek_error();
  int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || ERR_SYSTEM_ERROR(error)) {
    openssl_error e;
    openssl_take_error(&e);
    session_fail(s, ERROR_TLS_PROTO, e.message);
  } else if (reason > SSL_AD_REASON_OFFSET &&
             reason <= SSL_AD_REASON_OFFSET + 255) {
    fail_by_alert(s, reason - SSL_AD_REASON_OFFSET);
  } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    fail_by_certificate(s);
  } else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    session_fail(s, ERROR_TLS_VERIFY, "the peer has sent no certificate");
  } else {
    session_fail(s, ERROR_TLS_PROTO, proto_words(error));
  }
  ERR_clear_error();
}


/* A call has not got on. */
static void judge(stream *s, int result) {
  tls *t = tls_of(s);
  switch (SSL_get_error(t->ssl, result)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
  case SSL_ERROR_ZERO_RETURN:
    break;
  case SSL_ERROR_WANT_CLIENT_HELLO_CB:
    t->choosing = true;
    break;
  default:
    fail_by_queue(s);
  }
}


/*
** The beginning and the end
*/

/* The host's name in a client's hello (RFC 6066, 3), in to; false: it calls none. */
static bool read_called(SSL *ssl, char to[NAME]) {
  enum { HEAD = 5, HOST = 0 };
  const unsigned char *x;
  size_t n, size;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &x, &n) != 1 ||
      n < HEAD || x[2] != HOST)
    return false;
  size = (size_t)x[3] << 8 | x[4];
  if (size == 0 || size >= NAME || size != n - HEAD ||
      memchr(x + HEAD, '\0', size) != NULL)
    return false;
  memcpy(to, x + HEAD, size);
  if (size > 1 && to[size - 1] == '.') /* which it is not to send */
    size--;
  to[size] = '\0';
  return true;
}


/* What a client has shown by some rules counts for no others. */
static void set_identity(SSL *ssl, const tls_rules *r) {
  unsigned char id[sizeof r->identity];
  memcpy(id, &r->identity, sizeof id);
  SSL_set_session_id_context(ssl, id, sizeof id);
}


void session_use(stream *s, tls_rules *r) {
  tls *t = tls_of(s);
  rules_hold(r);
  SSL_set_SSL_CTX(t->ssl, r->now.ssl);
  SSL_set_verify(t->ssl, r->now.clients, verify_look);
  settings_apply(t->ssl, &r->now);
  set_identity(t->ssl, r);
  rules_release(t->rules);
  t->rules = r;
}


/* Before anything of the hello is looked at, also the session that it wants to
 * resume. */
int session_choose(SSL *ssl, int *alert, void *about) {
  char name[NAME];
  stream *s = session_stream(ssl);
  tls *t = tls_of(s);
  (void)about;
  if (t->failed != 0) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_ERROR;
  }
  if (t->chosen)
    return SSL_CLIENT_HELLO_SUCCESS;
  if (t->expected == NULL && read_called(ssl, name))
    t->expected = memory_text(name, strlen(name));
  if (t->context->chooses)
    return SSL_CLIENT_HELLO_RETRY;
  t->chosen = true;
  tls_rules *r =
      t->expected != NULL ? context_find(t->context, t->expected) : NULL;
  if (r != NULL)
    session_use(s, r);
  return SSL_CLIENT_HELLO_SUCCESS;
}


static int expect_server(stream *s) {
  tls *t = tls_of(s);
  if (t->rules->now.verify)
    settings_need_store(&t->rules->now);
  SSL_set_connect_state(t->ssl);
  SSL_set_verify(t->ssl,
                 t->rules->now.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                 verify_look);
  if (t->expected != NULL && !verify_is_address(t->expected) &&
      SSL_set_tlsext_host_name(t->ssl, t->expected) != 1)
    return -ENOMEM;
  SSL_SESSION *before = t->key != NULL ? saved_take(t->rules, t->key) : NULL;
  if (before != NULL) {
    if (host_replays(s->host))
      ticket_renew(before);
    SSL_set_session(t->ssl, before);
    SSL_SESSION_free(before);
  }
  return verify_expect(s);
}


static int expect_client(stream *s) {
  tls *t = tls_of(s);
  const tls_settings *now = &t->rules->now;
  SSL_set_accept_state(t->ssl);
  SSL_set_verify(t->ssl, now->clients, verify_look);
  set_identity(t->ssl, t->rules);
  return verify_expect(s);
}


int session_open(stream *s) {
  tls *t = tls_of(s);
  openssl_begin();
  t->ssl = SSL_new(t->rules->now.ssl);
  BIO *b = BIO_new(tls_host_of(s)->method);
  if (t->ssl == NULL || b == NULL) {
    BIO_free(b);
    ERR_clear_error();
    return -ENOMEM;
  }
  BIO_set_data(b, s);
  SSL_set_bio(t->ssl, b, b);
  int status = t->server ? expect_client(s) : expect_server(s);
  ERR_clear_error();
  return status;
}


void session_forget_protocols(SSL *ssl) {
  free(SSL_get_app_data(ssl));
  SSL_set_app_data(ssl, NULL);
}


/* A session whose connection was cut is as good as another one. */
void session_close(tls *t) {
  if (t->ssl == NULL)
    return;
  if (t->open && t->failed == 0)
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  session_forget_protocols(t->ssl);
  SSL_free(t->ssl);
  t->ssl = NULL;
  ERR_clear_error();
}


void session_farewell(stream *s) {
  const tls *t = tls_of(s);
  if (!t->open || t->failed != 0 ||
      (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) != 0)
    return;
  openssl_begin();
  SSL_shutdown(t->ssl);
  ERR_clear_error();
}


/*
** Bytes in
*/

static bool shake(stream *s) {
  tls *t = tls_of(s);
  t->choosing = false;
  int result = SSL_do_handshake(t->ssl);
  if (result == 1)
    t->open = true;
  else
    judge(s, result);
  return result == 1;
}


/* Nobody is kept busy by what is nothing: for each byte of data as much is forgiven. */
static void weigh(stream *s, size_t taken, size_t given) {
  tls *t = tls_of(s);
  size_t forgiven = given > 0 ? given + AROUND : 0;
  size_t sum = t->silent + taken;
  t->silent = sum > forgiven ? (uint32_t)(sum - forgiven) : 0;
  if (t->silent > SILENT)
    session_fail(s, ERROR_TLS_PROTO, "the peer sends much, and no data");
}


/* Over this one there may be another one, whose bytes go by the same places; and whose
 * end may close both. */
static void hand_up(stream *s, size_t n) {
  tls_host *h = tls_host_of(s);
  const char *in = h->in;
  size_t in_size = h->in_size;
  char *out = h->out;
  size_t out_size = h->out_size, out_room = h->out_room;
  if (out_size > 0) {
    h->out = NULL;
    h->out_size = h->out_room = 0;
  }
  layer_data(s, n);
  h->in = in;
  h->in_size = in_size;
  if (out_size > 0) {
    free(h->out);
    h->out = out;
    h->out_size = out_size;
    h->out_room = out_room;
  }
}


/* Is there something that it has not looked at?  To ask when there is not costs it a
 * buffer. */
static bool has_more(const tls *t, const tls_host *h) {
  return t->ssl != NULL && (h->in_size > 0 || SSL_has_pending(t->ssl) == 1);
}


static void hear(stream *s) {
  tls *t = tls_of(s);
  tls_host *h = tls_host_of(s);
  int result = 1;
  while (t->failed == 0 && result == 1 && has_more(t, h)) {
    size_t n = 0, before = h->in_size;
    char *room = layer_room(s);
    if (room == NULL) {
      session_fail(s, -ENOBUFS, NULL);
      break;
    }
    result = SSL_read_ex(t->ssl, room, LAYER_ROOM, &n);
    weigh(s, before - h->in_size, n);
    if (result == 1)
      hand_up(s, n);
    else
      judge(s, result);
  }
}


static void limit_handshake(stream *s, size_t n) {
  tls *t = tls_of(s);
  t->silent += (uint32_t)n;
  if (t->silent > SHAKEN)
    session_fail(s, ERROR_TLS_PROTO, "the handshake has no end");
  if (t->open)
    t->silent = 0;
}


/* OpenSSL says nothing to who speaks no TLS, and knows nothing of what else is refused
 * here: so it is an alert of ours (RFC 8446, 6), which is in the clear as yet. */
static void refuse(const tls *t, tls_host *h) {
  enum { ALERT = 21, FATAL = 2 };
  static const char alert[] = {
      ALERT, 3, 3, 0, 2, FATAL, SSL_AD_UNEXPECTED_MESSAGE};
  if (t->failed == ERROR_TLS_PROTO && h->out_size == 0)
    bio_put(h, alert, sizeof alert);
}


bool session_feed(stream *s, const char *bytes, size_t n) {
  tls *t = tls_of(s);
  tls_host *h = tls_host_of(s);
  bool opened = false;
  h->in = bytes;
  h->in_size = n;
  openssl_begin();
  if (!t->open) {
    opened = shake(s);
    limit_handshake(s, n - h->in_size);
  }
  if (t->choosing && has_more(t, h))
    session_fail(s, ERROR_TLS_PROTO, "more than a hello");
  if (t->open)
    hear(s);
  else
    refuse(t, h);
  h->in_size = 0;
  return opened && t->failed == 0;
}


/*
** Bytes out
*/

/* Where it goes to a descriptor, nothing comes back inside of sending. */
static bool may_send(stream *s) {
  stream *lower = layer_lower(s);
  return !lower->layered && lower->transport->fd(lower) >= 0;
}


/* A place in the pieces. */
typedef struct cursor {
  const struct iovec *v;
  int n;
  size_t skip; /* of the first */
} cursor;


static size_t first(const cursor *c) {
  return c->n > 0 ? c->v->iov_len - c->skip : 0;
}


static void advance(cursor *c, size_t by) {
  c->skip += by;
  while (c->n > 0 && c->skip >= c->v->iov_len) {
    c->skip -= c->v->iov_len;
    c->v++;
    c->n--;
  }
}


static size_t join(tls_host *h, cursor *c) {
  size_t size = 0;
  if (h->joined == NULL)
    h->joined = memory_grow(NULL, RECORD);
  for (size_t n; (n = first(c)) > 0 && size < RECORD; size += n) {
    if (n > RECORD - size)
      n = RECORD - size;
    memcpy(h->joined + size, (char *)c->v->iov_base + c->skip, n);
    advance(c, n);
  }
  return size;
}


static const char *next_record(tls_host *h, cursor *c, size_t *size) {
  size_t n = first(c);
  if (n < JOINED && c->n > 1) {
    *size = join(h, c);
    return h->joined;
  }
  const char *bytes = n > 0 ? (char *)c->v->iov_base + c->skip : NULL;
  *size = n < RECORD ? n : RECORD;
  advance(c, *size);
  return bytes;
}


size_t session_seal(stream *s, const struct iovec *v, int n, size_t skip,
                    size_t most) {
  tls *t = tls_of(s);
  tls_host *h = tls_host_of(s);
  cursor c = {v, n, 0};
  size_t sum = 0, size, done;
  const char *bytes;
  advance(&c, skip);
  while (sum < most && (bytes = next_record(h, &c, &size), size > 0)) {
    openssl_begin();
    h->straight = first(&c) == 0 && may_send(s);
    if (SSL_write_ex(t->ssl, bytes, size, &done) != 1) {
      judge(s, 0);
      session_fail(s, ERROR_TLS_PROTO, "it takes no more bytes");
      break;
    }
    sum += size;
  }
  h->straight = false;
  return sum;
}
