/*
** The life of a stream: opened by a backend, fed by its transport, closed by
** the script, freed when the transport is done with it.
**
** The functions that a transport calls note and wake; no Lua runs in them.
*/

#include "net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "host/slab.h"
#include "net/closing.h"
#include "net/inbox.h"
#include "net/layer.h"
#include "net/outbox.h"
#include "net/passing.h"
#include "net/relay.h"
#include "net/state.h"
#include "net/stream_methods.h"
#include "net/trace.h"
#include "sched/task.h"
#include "sched/world.h"

/* How long a closed stream may send what it accepted, and wait for a peer that
 * still talks to see it. */
#define LINGER (10 * UINT64_C(1000000000))

/* How many bytes more a peer that was sent nothing may send meanwhile, which
 * nobody reads: after that it is reset, so that a writer without end learns of
 * the close. */
enum { FORGOTTEN = 256 * 1024 };


stream *stream_new(host *h, const transport *t, bool connecting) {
  stream *s = slab_take(net_of(h)->slab, sizeof *s + t->size);
  s->host = h;
  s->transport = t;
  s->outside = t->kind.outside;
  s->lingers = t->discard != NULL;
  s->state = connecting ? CONNECTING : OPEN;
  LIST_ADD(net_of(h)->streams, s);
  s->serial = host_serial(h);
  h->streams++;
  return s;
}


/* It is in one list, at most, of those that are to be flushed or given up. */
static void unlink_from(stream *s) {
  if (s->linked)
    outbox_unlink(s);
  else if (s->state == CLOSING || s->state == LINGERING)
    closing_remove(s);
}


void stream_closed(stream *s) {
  s->host->streams--;
  traffic_add(&net_of(s->host)->gone, s->outside && !s->layered, s->received,
              s->sent);
  LIST_REMOVE(s);
  unlink_from(s);
  outbox_drop(s);
  inbox_clear(&s->in);
  passing_drop(s);
  if (s->extra != NULL)
    free(s->extra->said);
  free(s->extra);
  slab_give(net_of(s->host)->slab, s, sizeof *s + s->transport->size);
}


static void on_gone(later *x) {
  stream_closed((stream *)((char *)x - offsetof(stream, gone)));
}


void stream_gone(stream *s) {
  round_later(s->host, &s->gone, on_gone);
}


struct extra *stream_extra(stream *s) {
  if (s->extra == NULL)
    s->extra = memory_new(sizeof *s->extra + 1);
  return s->extra;
}


void stream_name(stream *s, const char *text, size_t n) {
  struct extra old = {.relaying = NULL};
  if (s->extra != NULL)
    old = *s->extra;
  s->extra = memory_grow(s->extra, sizeof old + n + 1);
  *s->extra = old;
  memcpy(s->extra->where, text, n);
  s->extra->where[n] = '\0';
}


static void wake_reader(stream *s) {
  wait_wake(&s->readers, 0);
}


/* The process waits for it at its end, as it does for what is pending. */
static void linger(stream *s) {
  s->state = LINGERING;
  sched_hold(s->host);
}


static void release(stream *s, bool reset) {
  unlink_from(s);
  if (s->state == LINGERING)
    sched_release(s->host);
  trace_stream(s, reset && s->state != CONNECTING ? TRACE_RESET : TRACE_CLOSED,
               0);
  s->state = CLOSED;
  s->transport->close(s, reset);
}


static void stop_reading(stream *s) {
  if (s->reading)
    s->transport->stop_read(s);
  s->reading = false;
}


/* Who was sent nothing has nothing to lose. */
static bool is_enough(const stream *s) {
  return s->state == LINGERING && s->sent == 0 && s->want >= FORGOTTEN;
}


static void forget(stream *s, size_t n) {
  s->spoke = true;
  s->want += n < FORGOTTEN ? (uint32_t)n : FORGOTTEN;
  if (s->want > FORGOTTEN)
    s->want = FORGOTTEN;
  if (is_enough(s))
    release(s, true);
  else if (closing_forget(s->host, n))
    stop_reading(s);
}


static void pass_on(stream *s, char *bytes, size_t n) {
  if (s->state == UNDER)
    layer_tell_data(s, bytes, n);
  else if (s->state != CLOSED)
    forget(s, n);
}


/* There is no memory for what has arrived.  Behind what is there before it comes
 * that error, then, and never an end: nobody is to take this for all. */
static void lose(stream *s) {
  s->transport->stop_read(s);
  s->eof = false;
  stream_error(s, -ENOMEM);
}


void stream_data(stream *s, char *bytes, size_t n) {
  s->received += n;
  trace_read(s, bytes, n);
  if (s->state != OPEN) {
    pass_on(s, bytes, n);
    return;
  }
  if (!inbox_add(&s->in, bytes, n))
    lose(s);
  else if (inbox_size(&s->in) >= s->want)
    wake_reader(s);
}


/* A reader that waits for more than HIGH_WATER has a limit of its own. */
void stream_keep(stream *s) {
  if (s->state != OPEN)
    return;
  if (!inbox_keep(&s->in))
    lose(s);
  else if (inbox_size(&s->in) >= HIGH_WATER && wait_idle(&s->readers))
    stop_reading(s);
}


static bool hears(const stream *s) {
  return !s->eof && s->read_error == 0;
}


void stream_hear(stream *s) {
  if (s->reading || !hears(s))
    return;
  int status = s->transport->start_read(s);
  s->reading = status == 0;
  if (status < 0)
    s->read_error = (int16_t)status;
}


void stream_quiet(stream *s) {
  if (s->state != OPEN || !wait_idle(&s->readers))
    return;
  s->transport->stop_read(s);
  s->reading = false;
}


int stream_shut(stream *s) {
  trace_stream(s, TRACE_SHUTDOWN, 0);
  int status = s->transport->shutdown(s);
  if (status < 0)
    trace_stream_error(s, "shutdown", status);
  return status;
}


/* May the peer send what nobody reads?  Others may, where they have the
 * descriptor. */
static bool may_linger(const stream *s) {
  return hears(s) && s->write_error == 0 && s->lingers && !s->shared;
}


/* Closing a TCP socket to which the peer still sends would reset the connection,
 * and with it what we sent last: so the peer's end is awaited (LINGERING). */
static void leave(stream *s) {
  if (may_linger(s))
    linger(s);
  else
    release(s, false);
}


/* All that was accepted has gone out, or nothing more ever will. */
static void sent(stream *s) {
  if (s->shut && s->write_error == 0 && s->state != LINGERING)
    stream_shut(s);
  if (s->state == UNDER)
    layer_tell_writable(s);
  else if (s->state == CLOSING)
    leave(s);
}


static void ended(stream *s) {
  s->reading = false;
  wake_reader(s);
  if (s->state == LINGERING)
    release(s, false);
}


void stream_eof(stream *s) {
  trace_stream(s, TRACE_END, 0);
  s->eof = s->read_error == 0;
  ended(s);
  if (s->state == UNDER)
    layer_tell_end(s);
}


void stream_error(stream *s, int status) {
  trace_stream_error(s, "read", status);
  s->read_error = (int16_t)status;
  ended(s);
  if (s->state == UNDER)
    layer_tell_error(s, status);
}


void stream_writable(stream *s) {
  if (s->state == CLOSED)
    return;
  outbox_pump(s);
  if (outbox_pending(s) < HIGH_WATER) {
    wait_wake_all(&s->writers, 0);
    stream_next_turn(s);
  }
  if (stream_is_out(s))
    sent(s);
}


void stream_send(stream *s, char *bytes, size_t n) {
  struct iovec v[2] = {{NULL, 0}, {bytes, n}};
  if (s->state == OPEN && s->write_error == 0)
    outbox_send(s, v, 1, NULL, NULL);
}


void stream_connected(stream *s, int status) {
  if (status < 0)
    trace_stream_error(s, "connect", status);
  else
    trace_stream(s, TRACE_CONNECTED, 0);
  if (status == 0)
    s->state = OPEN;
  wait_wake_all(&s->writers, status);
}


static void forget_box(stream *s) {
  if (s->box != NULL)
    s->box->stream = NULL;
  s->box = NULL;
}


/* Go on behind the script's back, until all is sent.  What arrives meanwhile
 * is read and forgotten: two ends that both close would wait for each other. */
static void begin_closing(stream *s) {
  s->state = CLOSING;
  s->shut |= !s->shared;
  s->want = 0; /* counts what is forgotten */
  s->spoke = true;
  s->timeout = s->host->world->now(s->host->outside) + LINGER;
  closing_add(s);
  trace_stream(s, TRACE_CLOSE, outbox_pending(s));
  if (!s->shared)
    stream_hear(s);
  if (stream_is_out(s))
    sent(s);
}


static bool takes_back(stream *s) {
  return s->transport->takes_back != NULL && s->transport->takes_back(s);
}


static void drop_all(stream *s) {
  outbox_drop(s);
  if (s->layered)
    drop_all(layer_lower(s));
}


/* Has the peer sent what nobody read, or would it lose what it was sent if it
 * sent more? */
static bool must_linger(stream *s) {
  return s->state == OPEN && may_linger(s) &&
         ((s->sent > 0 && takes_back(s)) || inbox_size(&s->in) > 0 ||
          s->transport->discard(s));
}


/* Nobody has it any more. */
static inline void desert(stream *s) {
  forget_box(s);
  if (s->relayed)
    relay_interrupt(s->extra->relaying);
  wait_wake_all(&s->readers, -ECANCELED);
  wait_wake_all(&s->writers, -ECANCELED);
  wait_wake_all(&s->turns, -ECANCELED);
}


static inline void let_go(stream *s, bool reset, bool lingers) {
  if (lingers || !stream_is_out(s)) {
    begin_closing(s);
  } else {
    stop_reading(s);
    release(s, reset);
  }
}


int stream_close(stream *s, bool reset) {
  int status = s->reported ? 0 : s->write_error;
  desert(s);
  if (!reset && s->state == OPEN)
    outbox_flush(s);
  else if (reset)
    drop_all(s);
  unlink_from(s);
  bool lingers = !reset && must_linger(s);
  inbox_clear(&s->in);
  passing_drop(s);
  let_go(s, reset, lingers);
  return status;
}


int stream_detach(stream *s) {
  desert(s);
  unlink_from(s);
  passing_drop(s);
  trace_stream(s, TRACE_CLOSED, 0);
  s->state = CLOSED;
  return s->transport->detach(s);
}


void stream_leave(stream *s) {
  desert(s);
  outbox_flush(s);
  passing_drop(s);
}


void stream_let_go(stream *s, bool reset) {
  if (reset)
    drop_all(s);
  unlink_from(s);
  let_go(s, reset, false);
}


bool stream_is_settled(stream *s) {
  const transport *t = s->transport;
  bool silent = !s->spoke;
  s->spoke = false;
  return silent && (t->unacknowledged == NULL || t->unacknowledged(s) == 0);
}


/* The deadline of a closing stream has passed. */
void stream_give_up(stream *s) {
  trace_unsent(s, outbox_pending(s));
  drop_all(s);
  if (hears(s) && s->lingers)
    s->transport->discard(s);
  release(s, false);
}


uint64_t stream_deadline(stream *s) {
  const host *h = s->host;
  return s->timeout > 0 ? h->world->now(h->outside) + s->timeout : NEVER;
}
