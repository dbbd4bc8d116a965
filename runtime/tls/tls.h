/*
** TLS (RFC 8446, RFC 5246) by OpenSSL, as a layer over any stream.
**
** The upper stream is open from the beginning, and its handshake is begun by whoever
** needs it first: a read, a write, a half close, stream:handshake().  A server's has
** no SSL before the peer's first record is whole; its bytes are kept until then.
**
** OpenSSL reads and writes by a BIO (bio.c).  What it reads is what has just arrived,
** in place; the records that it writes are gathered in one buffer of the host, and
** given to the lower stream at once, when no call of OpenSSL is under way: over mem:
** the answer may arrive inside of that.
**
**   layer.c    what net/layer.h asks for: bytes in and out, the ends
**   session.c  an SSL, from its hello to its last alert; what its results mean
**   context.c  certificates and rules, of many sessions
**   saved.c    sessions to be resumed
**   verify.c   whom a peer's certificate names; who is refused, in words
**   about.c    what the script is told: stream.tls
**   facts.c    and what LuaSec tells
**   piecewise.c  settings one by one, as LuaSec makes them
**   library.c  the module neap.tls.core
*/

#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "crypto/openssl.h"
#include "net/layer.h"
#include "tls/context.h"

/* What all TLS streams of a host share: host.tls. */
typedef struct tls_host {
  host *host;
  BIO_METHOD *method;
  const char *in; /* has arrived, and OpenSSL has not read it */
  size_t in_size;
  char *out; /* records to be sent */
  size_t out_size, out_room;
  bool straight;   /* a record needs not to be gathered, if it is alone */
  char *joined;    /* room for one record's worth of small pieces; or NULL */
  stream *shaking; /* whose handshakes are under way */
  uint64_t alarm;  /* the time at which to look at their deadlines */
} tls_host;

/* The part of an upper stream. */
typedef struct tls {
  layered layered;
  tls_context *context; /* that it began with */
  tls_rules *rules;     /* its, or those of the name that the client called */
  SSL *ssl;             /* NULL: not yet, or no more */
  char *kept;           /* of the peer's first record; or NULL */
  char *expected; /* client: whom the certificate is to name; server: whom the
                     client calls; or NULL */
  char *key;      /* client: by which its session is saved; or NULL */
  char *why;      /* it has failed, or why its peer's certificate is refused, in
                     words; or NULL */
  stream *next, **at; /* in the list of those whose handshakes are under way */
  uint64_t deadline;
  union {
    uint32_t kept_size; /* while there is no SSL */
    uint32_t silent;    /* then: bytes that came to nothing for the script */
  };
  int16_t failed; /* negative status */
  bool server : 1;
  bool begun : 1;    /* the handshake is, or was, under way */
  bool open : 1;     /* it has succeeded */
  bool told : 1;     /* the stream knows that it has failed */
  bool writing : 1;  /* in try_write */
  bool shut_due : 1; /* half close, when it is open */
  bool attended : 1; /* a task is in stream:handshake() */
  bool choosing : 1; /* and is to choose a context by the peer's name for us */
  bool asked : 1;    /* the task is about it */
  bool chosen : 1;
} tls;

/* Of one server's session, which are its SSL's app data; in most there are none. */
typedef struct tls_protocols {
  unsigned size;
  unsigned char list[]; /* as the extension has them */
} tls_protocols;

static inline tls *tls_of(stream *s) {
  return stream_part(s);
}

static inline tls_host *tls_host_of(stream *s) {
  return s->host->tls;
}

/* layer.c: make the upper stream, which takes over a reference to the context.  NULL:
 * too many layers; the reference stays the caller's. */
stream *tls_new(stream *lower, tls_context *c, bool server);

/* Is it one? */
bool tls_is(const stream *s);

/* The handshake begins, if it has not. */
void tls_begin(stream *s);

/* It fails if its time is up. */
void tls_look_at_deadline(stream *s);

/* It has failed, and who waits for it is told. */
void tls_fail(stream *s, int status, const char *words);

/* It waits for this: by a context for the name that the peer calls us (NULL: that of
 * before); or refuse that one. */
void tls_go_on(stream *s, tls_context *c, bool refuse);

/* session.c: make the SSL; 0 or a negative status. */
int session_open(stream *s);

/* A server's goes on by those rules; and by which, says the client's hello. */
void session_use(stream *s, tls_rules *r);
int session_choose(SSL *ssl, int *alert, void *about);

/* Give what has arrived to it: bytes for the script are handed up, and records to be
 * sent, notes of failures and ends are left behind.  Has its handshake ended well by
 * this? */
bool session_feed(stream *s, const char *bytes, size_t n);

/* Make records of at most `most` bytes of those pieces, from `skip` on; how many. */
size_t session_seal(stream *s, const struct iovec *v, int n, size_t skip,
                    size_t most);

/* Say the last word, once. */
void session_farewell(stream *s);

/* Free it; what its peer may want to resume stays good. */
void session_close(tls *t);

void session_forget_protocols(SSL *ssl);

/* The first reason counts.  `words` are copied; NULL: the status's own. */
void session_fail(stream *s, int status, const char *words);

/* Send the records that were made, if they are not yet; 0, or why that fails. */
int session_send(stream *s);

/* verify.c: have the peer's certificate looked at, by this host's time. */
int verify_expect(stream *s);
int verify_look(int ok, X509_STORE_CTX *x);
stream *session_stream(const SSL *ssl);

/* Is the text an IP address? */
bool verify_is_address(const char *text);

/* The text of a name (RFC 2253), in to, always ended. */
void verify_print(const X509_NAME *name, char *to, size_t size);

/* ticket.c: of hosts that do the same each time.  A session that is about to be used;
 * and what a server's tickets say. */
void ticket_renew(SSL_SESSION *session);
void ticket_watch(SSL_CTX *c);

/* bio.c */
BIO_METHOD *bio_method(void);
void bio_reserve(tls_host *h);
void bio_put(tls_host *h, const char *bytes, size_t n); /* to be sent */

/* about.c: push what the script is told; and a line of it. */
void tls_about(lua_State *L, stream *s);
bool tls_brief(stream *s, char *to, size_t size);

/* Its session, which the stack holds from now on; NULL: it is not open, or no more. */
SSL *session_hold(lua_State *L, stream *s);

/* facts.c: for Lua. */
int session_facts_lua(lua_State *L);
int session_certificates_lua(lua_State *L);
int session_material_lua(lua_State *L);
int session_offered_lua(lua_State *L);
int session_prefer_lua(lua_State *L);

/* library.c: of a host. */
int tls_open(lua_State *L);
void tls_close(host *h);

#endif
