#include "net/layer.h"

#include <assert.h>
#include <errno.h>

#include "net/inbox.h"
#include "net/outbox.h"
#include "net/state.h"


static stream *above(const stream *lower) {
  return lower->upper;
}


static const layer *layer_of(const stream *s) {
  return (const layer *)s->transport;
}


stream *layer_top(stream *s) {
  while (s->state == UNDER)
    s = above(s);
  return s;
}


stream *layer_bottom(stream *s) {
  while (s->layered)
    s = layer_lower(s);
  return s;
}


/*
** The lower one's news
*/

static bool is_closing(const stream *s) {
  return s->state > UNDER;
}


/* Is what arrives for nobody?  Not while one of those above must go on with it. */
static bool is_unwanted(stream *lower) {
  stream *s = lower;
  do {
    s = above(s);
    if (layer_of(s)->hungry != NULL && layer_of(s)->hungry(s))
      return false;
  } while (s->state == UNDER);
  return is_closing(s);
}


/* To make something of bytes that nobody wants would be in vain; and some may be
 * lacking (layer_discard). */
void layer_tell_data(stream *lower, char *bytes, size_t n) {
  rounds *r = &net_of(lower->host)->rounds;
  stream *top = layer_top(lower), *s = above(lower);
  bool before = r->lends;
  if (is_closing(top) && is_unwanted(lower)) {
    stream_data(top, bytes, n);
    return;
  }
  if (round_layer_room(s->host) ==
      NULL) { /* an answer to an answer to an answer ... */
    stream_error(s, -ENOBUFS);
    return;
  }
  r->lends = !r->gives;
  layer_of(s)->data(s, bytes, n);
  r->lends = before;
}


void layer_tell_end(stream *lower) {
  stream *s = above(lower);
  if (is_closing(s) && is_unwanted(lower))
    stream_eof(s);
  else
    layer_of(s)->end(s);
}


void layer_tell_error(stream *lower, int status) {
  stream *s = above(lower);
  if (is_closing(s) && is_unwanted(lower))
    stream_error(s, status);
  else
    layer_of(s)->error(s, status);
}


void layer_tell_writable(stream *lower) {
  stream *s = above(lower);
  if (lower->write_error != 0)
    outbox_fail(s, lower->write_error);
  layer_of(s)->writable(s);
}


/*
** Reading
*/

char *layer_room(stream *s) {
  return round_layer_room(s->host);
}


void layer_data(stream *s, size_t n) {
  round_pass(s, n);
}


int layer_start_read(stream *s) {
  stream *lower = layer_lower(s);
  if (lower->reading || lower->eof || lower->read_error != 0)
    return 0;
  lower->reading = true;
  int status = lower->transport->start_read(lower);
  if (status < 0)
    lower->reading = false;
  return status;
}


/* It may deliver without having been asked (mem:). */
void layer_stop_read(stream *s) {
  stream *lower = layer_lower(s);
  lower->transport->stop_read(lower);
  lower->reading = false;
}


/*
** Writing
*/

int layer_ready(stream *s) {
  stream *lower = layer_lower(s);
  if (lower->write_error != 0)
    return lower->write_error;
  return stream_is_out(lower) ? 0 : -EAGAIN;
}


int layer_send(stream *s, struct iovec *v, int n) {
  stream *lower = layer_lower(s);
  if (lower->write_error == 0)
    outbox_send(lower, v, n, NULL, NULL);
  if (lower->write_error != 0)
    lower->transport->want_write(lower); /* who waits for it is to be told */
  return lower->write_error;
}


/* While the lower one has something to send it tells in any case. */
int layer_want_write(stream *s) {
  int status = layer_ready(s);
  if (status == -EAGAIN)
    return 0;
  stream *lower = layer_lower(s);
  return status < 0 ? status : lower->transport->want_write(lower);
}


int layer_shut(stream *s) {
  stream *lower = layer_lower(s);
  if (lower->shut)
    return 0;
  lower->shut = true;
  return layer_ready(s) == 0 ? stream_shut(lower) : 0;
}


/*
** Ending
*/

bool layer_is_out(stream *s) {
  return stream_is_out(layer_lower(s));
}


bool layer_discard(stream *s) {
  stream *lower = layer_lower(s);
  return lower->transport->discard(lower);
}


bool layer_takes_back(stream *s) {
  stream *lower = layer_lower(s);
  return lower->transport->takes_back != NULL &&
         lower->transport->takes_back(lower);
}


int layer_unacknowledged(stream *s) {
  stream *lower = layer_lower(s);
  return lower->transport->unacknowledged != NULL
             ? lower->transport->unacknowledged(lower)
             : 0;
}


void layer_close(stream *s, bool reset) {
  layered *x = stream_part(s);
  stream *lower = x->lower;
  lower->timeout = 0;
  lower->state = OPEN;
  lower->host->streams++;
  stream_let_go(lower, reset);
  stream_gone(s);
}


/*
** Asking
*/

int layer_set(stream *s, const sockopt *o) {
  stream *lower = layer_lower(s);
  return lower->transport->set(lower, o);
}


int layer_get(stream *s, sockopt *o) {
  stream *lower = layer_lower(s);
  return lower->transport->get(lower, o);
}


int layer_localaddr(stream *s, address *a) {
  stream *lower = layer_lower(s);
  return lower->transport->localaddr(lower, a);
}


int layer_remoteaddr(stream *s, address *a) {
  stream *lower = layer_lower(s);
  return lower->transport->remoteaddr(lower, a);
}


int layer_fd(stream *s) {
  (void)s;
  return -EBADF;
}


const char *layer_words(stream *s, int status) {
  if (!s->layered || s->state == CLOSED || layer_of(s)->words == NULL)
    return NULL;
  return layer_of(s)->words(s, status);
}


void layer_push_about(lua_State *L, stream *s) {
  if (s->layered && layer_of(s)->about != NULL)
    layer_of(s)->about(L, s);
  else
    lua_pushnil(L);
}


bool layer_brief(stream *s, char *to, size_t size) {
  return s->layered && s->state != CLOSED && layer_of(s)->brief != NULL &&
         layer_of(s)->brief(s, to, size);
}


/*
** Beginning
*/

static int depth_of(stream *s) {
  int depth = 0;
  for (; s->layered; s = layer_lower(s))
    depth++;
  return depth;
}


/* Traces go on with the same stream: its bytes are the upper's now.  And the two
 * count as one. */
static void take_over(stream *s, stream *lower) {
  unsigned serial = s->serial;
  s->serial = lower->serial;
  lower->serial = serial;
  s->pair = lower->pair;
  lower->pair = ALONE;
  s->hidden = lower->hidden;
  lower->hidden = true;
  s->shared = lower->shared;
  s->host->streams--;
}


stream *layer_new(stream *lower, const layer *l, bool connecting) {
  assert(lower->state == OPEN);
  if (depth_of(lower) >= LAYERS)
    return NULL;
  stream *s = stream_new(lower->host, &l->transport, connecting);
  ((layered *)stream_part(s))->lower = lower;
  s->outside = lower->outside;
  s->lingers = lower->lingers;
  s->layered = true;
  stream_leave(lower);
  take_over(s, lower);
  lower->upper = s;
  return s;
}


/* The inbox is taken out first: the news may be more of it. */
void layer_begin(stream *s) {
  stream *lower = layer_lower(s);
  inbox in = lower->in;
  lower->in = (inbox){.bytes = NULL};
  lower->state = UNDER;
  if (inbox_size(&in) > 0)
    layer_of(s)->data(s, (char *)inbox_bytes(&in), inbox_size(&in));
  inbox_clear(&in);
  if (lower->read_error != 0)
    layer_tell_error(lower, lower->read_error);
  else if (lower->eof)
    layer_tell_end(lower);
}
