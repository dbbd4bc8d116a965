#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "net/outbox.h"
#include "sched/task.h"
#include "sched/world.h"
#include "tls/tls.h"

/* A record: its kind, its version, its length. */
enum { HEAD = 5, HANDSHAKE = 22, RECORD_MAX = 16 * 1024 };

/* Bytes that go to the lower stream at once. */
enum { PORTION = 64 * 1024 };

static const layer tls_layer;


bool tls_is(const stream *s) {
  return s->transport == &tls_layer.transport;
}


/*
** Handshakes have a deadline
*/

static void expire(host *h, uint64_t now);


static void set_alarm(tls_host *h, uint64_t at) {
  if (at >= h->alarm)
    return;
  h->alarm = at;
  sched_alarm(h->host, ALARM_TLS, at, expire);
}


static void begin_shaking(stream *s) {
  tls *t = tls_of(s);
  tls_host *h = tls_host_of(s);
  if (t->open || t->at != NULL)
    return;
  t->deadline = s->host->world->now(s->host->outside) + t->rules->now.timeout;
  t->next = h->shaking;
  t->at = &h->shaking;
  if (t->next != NULL)
    tls_of(t->next)->at = &t->next;
  h->shaking = s;
  set_alarm(h, t->deadline);
}


static void end_shaking(stream *s) {
  tls *t = tls_of(s);
  if (t->at == NULL)
    return;
  *t->at = t->next;
  if (t->next != NULL)
    tls_of(t->next)->at = t->at;
  t->at = NULL;
}


/*
** News
*/

/* Of what closes nothing more is to be said. */
static void tell_failure(stream *s) {
  tls *t = tls_of(s);
  if (t->told)
    return;
  t->told = true;
  end_shaking(s);
  if (!s->eof)
    stream_error(s, t->failed);
  outbox_fail(s, t->failed);
  wait_wake_all(&s->writers, 0);
  if (s->state == CLOSING)
    stream_writable(s);
}


void tls_fail(stream *s, int status, const char *words) {
  session_fail(s, status, words);
  tell_failure(s);
}


static void bid_farewell(stream *s) {
  session_farewell(s);
  session_send(s);
}


/* What waits for it goes out, unless somebody is about to send it already. */
static void tell_open(stream *s) {
  tls *t = tls_of(s);
  end_shaking(s);
  wait_wake_all(&s->writers, 0);
  if (t->shut_due) {
    bid_farewell(s);
    layer_shut(s);
  }
  if (!t->writing)
    stream_writable(s);
}


/* Who has begun it by a read or a write does not call functions; before that it is not
 * known who will. */
static void call_for_choice(stream *s) {
  const tls *t = tls_of(s);
  if (t->choosing && t->begun && !t->attended)
    tls_fail(s, ERROR_TLS_PROTO,
             "a function chooses its certificate: stream:handshake() calls it");
  else if (t->choosing)
    wait_wake_all(&s->writers, 0);
}


/* What arrives before its sending returns is told before. */
static void feed(stream *s, const char *bytes, size_t n) {
  tls *t = tls_of(s);
  bool opened = session_feed(s, bytes, n);
  bool ended = t->failed == 0 && t->open && t->ssl != NULL && !s->eof &&
               (SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
  session_send(s);
  if (t->failed != 0)
    tell_failure(s);
  else if (opened)
    tell_open(s);
  if (ended && !s->eof && s->state != CLOSED)
    stream_eof(s);
  call_for_choice(s);
}


static stream *find_late(const tls_host *h, uint64_t now) {
  stream *s = h->shaking;
  while (s != NULL && tls_of(s)->deadline > now)
    s = tls_of(s)->next;
  return s;
}


static void fail_late(stream *s) {
  tls_fail(s, -ETIMEDOUT, "the handshake took too long");
}


void tls_look_at_deadline(stream *s) {
  const host *h = s->host;
  if (tls_of(s)->at != NULL && tls_of(s)->deadline <= h->world->now(h->outside))
    fail_late(s);
}


/* What fails may take others with it. */
static void expire(host *x, uint64_t now) {
  tls_host *h = x->tls;
  for (stream *s; (s = find_late(h, now)) != NULL;)
    fail_late(s);
  h->alarm = NEVER;
  sched_alarm(x, ALARM_TLS, NEVER, expire);
  for (stream *s = h->shaking; s != NULL; s = tls_of(s)->next)
    set_alarm(h, tls_of(s)->deadline);
}


/*
** The beginning
*/

static bool make_session(stream *s) {
  int status = session_open(s);
  if (status < 0)
    tls_fail(s, status, NULL);
  return status == 0;
}


void tls_begin(stream *s) {
  tls *t = tls_of(s);
  if (t->begun || t->failed != 0)
    return;
  t->begun = true;
  begin_shaking(s);
  if (!t->server && make_session(s))
    feed(s, NULL, 0);
  int status = t->failed == 0 ? layer_start_read(s) : 0;
  if (status < 0)
    tls_fail(s, status, NULL);
  call_for_choice(s);
}


void tls_go_on(stream *s, tls_context *c, bool refuse) {
  tls *t = tls_of(s);
  if (c != NULL)
    session_use(s, c->rules);
  t->chosen = true;
  if (refuse)
    session_fail(s, ERROR_TLS_PROTO, "the name that the peer calls is refused");
  feed(s, NULL, 0);
}


/* Is the first record whole, or none at all? */
static bool is_whole(const char *bytes, size_t n) {
  const unsigned char *head = (const unsigned char *)bytes;
  if (n > 0 && head[0] != HANDSHAKE)
    return true;
  if (n < HEAD)
    return false;
  size_t size = (size_t)head[3] << 8 | head[4];
  return size > RECORD_MAX || n >= HEAD + size;
}


/* Those bytes are the whole record, or are kept until it is. */
static bool keep(stream *s, char **bytes, size_t *n) {
  tls *t = tls_of(s);
  if (t->kept == NULL && is_whole(*bytes, *n))
    return false;
  t->kept = memory_grow(t->kept, t->kept_size + *n);
  memcpy(t->kept + t->kept_size, *bytes, *n);
  t->kept_size += (uint32_t)*n;
  *bytes = t->kept;
  *n = t->kept_size;
  return !is_whole(*bytes, *n);
}


/*
** What net/layer.h asks for
*/

static void tls_data(stream *s, char *bytes, size_t n) {
  tls *t = tls_of(s);
  if (t->failed != 0)
    return;
  if (t->choosing) {
    tls_fail(s, ERROR_TLS_PROTO, "more than a hello");
    return;
  }
  if (t->ssl == NULL && (keep(s, &bytes, &n) || !make_session(s)))
    return;
  char *kept = t->kept;
  if (kept != NULL)
    t->silent = 0;
  t->kept = NULL;
  begin_shaking(s);
  feed(s, bytes, n);
  free(kept);
}


/* What was written may still arrive. */
static void tls_end(stream *s) {
  const tls *t = tls_of(s);
  if (t->failed != 0 || s->eof)
    return;
  if (t->open)
    stream_error(s, ERROR_TLS_CUT);
  else
    tls_fail(s, ERROR_TLS_CUT, "the connection has ended in the handshake");
}


static void tls_error(stream *s, int status) {
  tls *t = tls_of(s);
  if (t->failed != 0 || s->eof)
    return;
  if (t->open)
    stream_error(s, status);
  else
    tls_fail(s, status, NULL);
}


static int start_read(stream *s) {
  tls_begin(s);
  return tls_of(s)->failed != 0 ? 0 : layer_start_read(s);
}


/* While it is not open nothing is taken, and tell_open goes on. */
static ssize_t write_open(stream *s, const struct iovec *v, int n) {
  const tls *t = tls_of(s);
  size_t sum = 0, size;
  int status = 0;
  while (t->failed == 0 && (status = layer_ready(s)) == 0 &&
         (size = session_seal(s, v, n, sum, PORTION)) > 0) {
    sum += size;
    status = session_send(s);
    if (status < 0)
      return status;
  }
  if (t->failed != 0)
    return t->failed;
  return sum > 0 ? (ssize_t)sum : status < 0 ? status : 0;
}


static ssize_t try_write(stream *s, const struct iovec *v, int n) {
  tls *t = tls_of(s);
  bool before = t->writing;
  t->writing = true;
  tls_begin(s);
  ssize_t result = t->failed != 0 ? t->failed
                   : t->open      ? write_open(s, v, n)
                                  : -EAGAIN;
  t->writing = before;
  return result;
}


static int want_write(stream *s) {
  return tls_of(s)->open ? layer_want_write(s) : 0;
}


static int shut(stream *s) {
  tls *t = tls_of(s);
  if (t->failed == 0 && !t->open) {
    t->shut_due = true;
    tls_begin(s);
    return 0;
  }
  bid_farewell(s);
  return layer_shut(s);
}


/* Closing, with bytes that wait for the handshake. */
static bool is_hungry(stream *s) {
  const tls *t = tls_of(s);
  return s->state == CLOSING && !t->open && t->failed == 0 &&
         outbox_pending(s) > 0;
}


/* What arrives in the handshake is not to be forgotten. */
static bool discard(stream *s) {
  const tls *t = tls_of(s);
  bool shakes = t->begun && !t->open && t->failed == 0;
  return shakes || layer_discard(s);
}


static void close_tls(stream *s, bool reset) {
  tls *t = tls_of(s);
  if (!reset)
    bid_farewell(s);
  end_shaking(s);
  session_close(t);
  context_release(t->context);
  rules_release(t->rules);
  free(t->kept);
  free(t->expected);
  free(t->key);
  free(t->why);
  layer_close(s, reset);
}


static const char *words(stream *s, int status) {
  const tls *t = tls_of(s);
  return status == t->failed ? t->why : NULL;
}


static const layer tls_layer = {
    .transport = {.kind = {.name = "tls", .scheme = "tls"},
                  .size = sizeof(tls),
                  .start_read = start_read,
                  .stop_read = layer_stop_read,
                  .try_write = try_write,
                  .want_write = want_write,
                  .shutdown = shut,
                  .discard = discard,
                  .takes_back = layer_takes_back,
                  .unacknowledged = layer_unacknowledged,
                  .close = close_tls,
                  .set = layer_set,
                  .get = layer_get,
                  .localaddr = layer_localaddr,
                  .remoteaddr = layer_remoteaddr,
                  .fd = layer_fd},
    .data = tls_data,
    .end = tls_end,
    .error = tls_error,
    .writable = stream_writable,
    .words = words,
    .hungry = is_hungry,
    .about = tls_about,
    .brief = tls_brief,
};


stream *tls_new(stream *lower, tls_context *c, bool server) {
  stream *s = layer_new(lower, &tls_layer, false);
  if (s == NULL)
    return NULL;
  tls *t = tls_of(s);
  t->context = c;
  t->rules = rules_hold(c->rules);
  t->server = server;
  return s;
}
