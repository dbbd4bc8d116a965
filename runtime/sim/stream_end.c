/*
** One end of a connection: what has come and was not read, how it ends, and what of
** that its stream is told.
*/

#include "sim/end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/layer.h"
#include "net/round.h"
#include "sim/ports.h"

#define TIME_WAIT (UINT64_C(60) * 1000000000)


/*
** Connections
*/

connection *connection_new(sim *s, node *from, node *to, bool is_unix) {
  connection *c = memory_new(sizeof *c);
  c->sim = s;
  c->nodes[0] = from;
  c->nodes[1] = to;
  c->local = from == to;
  c->is_unix = is_unix;
  flow_open(c, 0);
  flow_open(c, 1);
  return c;
}


void connection_hold(connection *c) {
  c->held++;
}


static void check_use(connection *c) {
  if (c->held > 0 || c->ends[0] != NULL || c->ends[1] != NULL)
    return;
  flow_drop(&c->flows[0]);
  flow_drop(&c->flows[1]);
  free(c);
}


void connection_let_go(connection *c) {
  c->held--;
  check_use(c);
}


/*
** Ends
*/

static void on_news(sim_event *x);


end *end_new(connection *c, unsigned side, node *n) {
  end *e = memory_new(sizeof *e);
  e->connection = c;
  e->side = (uint8_t)side;
  e->node = n;
  e->state = END_CONNECTING;
  e->news.fire = on_news;
  c->ends[side] = e;
  ports_add_end(e);
  return e;
}


static void forget(store *b) {
  free(b->at);
  *b = (store){.at = NULL};
}


/* It is not the connection's any more. */
static void disconnect(end *e) {
  connection *c = e->connection;
  if (c == NULL)
    return;
  keepalive_stop(e);
  sim_cancel(c->sim, &e->news);
  sim_cancel(c->sim, &end_out(e)->retry);
  forget(&e->received);
  e->connection = NULL;
  c->ends[e->side] = NULL;
  check_use(c);
}


void end_free(end *e) {
  if (e->stream != NULL)
    ((plug *)stream_part(e->stream))->end = NULL;
  disconnect(e);
  ports_remove_end(e);
  options_close(&e->options);
  free(e);
}


stream *end_plug(end *e, bool connecting) {
  e->stream =
      stream_new(&e->node->host, e->connection->is_unix ? &sim_unix : &sim_tcp,
                 connecting);
  ((plug *)stream_part(e->stream))->end = e;
  return e->stream;
}


void end_open(end *e) {
  e->state = END_OPEN;
  flow_heard(end_out(e));
  keepalive_set(e);
}


int end_take_error(end *e) {
  int status = e->error;
  e->error = 0;
  return status;
}


/*
** Telling the stream
**
** It may be closed by what it is told, and with it the end go: so the connection is
** held, and the end looked for again.
*/

static bool is_heard(const end *e) {
  return e->stream != NULL && e->reading &&
         !(e->stream->host->quiet && layer_top(e->stream)->state == OPEN);
}


static bool is_there(const connection *c, unsigned side, const end *e) {
  return c->ends[side] == e;
}


/* What has come goes up, in pieces, while the stream takes it. */
static void give_received(end *e) {
  const connection *c = e->connection;
  unsigned side = e->side;
  while (is_there(c, side, e) && is_heard(e) && e->received.size > 0) {
    store b = e->received;
    size_t n = b.size < ROUND_ROOM ? b.size : ROUND_ROOM;
    char *piece = memory_grow(NULL, n);
    memcpy(piece, b.at + b.start, n);
    e->received.start += n;
    e->received.size -= n;
    if (e->received.size == 0)
      forget(&e->received);
    end_in(e)->consumed += n;
    round_give(e->stream, piece, n);
    free(piece);
  }
}


/* As recv(2) says: an end that has come, or an error that was not told, or that it
 * failed. */
static void give_end(end *e) {
  int status = 0;
  if (!is_heard(e) || e->received.size > 0)
    return;
  bool over = e->fin || e->state == END_FAILED || e->error != 0;
  if (!over || e->ended)
    return;
  if (!e->fin || e->connection->is_unix)
    status = end_take_error(e);
  if (status == 0)
    status = e->failed;
  e->ended = true;
  e->reading = false;
  if (status == 0)
    stream_eof(e->stream);
  else
    stream_error(e->stream, status);
}


static void tell(end *e) {
  connection *c = e->connection;
  unsigned side = e->side;
  if (e->connected) {
    int status = e->state == END_FAILED ? end_take_error(e) : 0;
    e->connected = false;
    stream_connected(e->stream, status);
  }
  if (e->writable) {
    e->writable = e->wants = false;
    stream_writable(e->stream);
  }
  if (!is_there(c, side, e))
    return;
  give_received(e);
  if (is_there(c, side, e))
    give_end(e);
  if (is_there(c, side, e) && e->state == END_OPEN)
    flow_acknowledge(end_in(e));
}


static void on_news(sim_event *x) {
  end *e = (end *)((char *)x - offsetof(end, news));
  connection *c = e->connection;
  node *n = e->node;
  connection_hold(c);
  if (e->stream != NULL)
    tell(e);
  connection_let_go(c);
  node_delivered(n);
}


void end_tell(end *e) {
  sim *s = e->connection->sim;
  if (e->stream != NULL && !sim_is_scheduled(&e->news))
    sim_schedule(s, &e->news, s->now);
}


/*
** What comes
*/

static void keep(store *b, const char *at, size_t n) {
  if (b->start + b->size + n > b->room) {
    size_t room = b->room < 1024 ? 1024 : b->room;
    while (room < b->size + n)
      room *= 2;
    char *to = memory_grow(NULL, room);
    if (b->size > 0)
      memcpy(to, b->at + b->start, b->size);
    free(b->at);
    *b = (store){to, 0, b->size, room};
  }
  memcpy(b->at + b->start + b->size, at, n);
  b->size += n;
}


/* At once, if nothing is before it. */
static void receive_bytes(end *e, segment *s) {
  flow *f = end_in(e);
  f->arrived += s->size;
  if (is_heard(e) && e->received.size == 0) {
    f->consumed += s->size;
    round_give(e->stream, s->bytes, s->size);
  } else {
    keep(&e->received, s->bytes, s->size);
  }
}


void end_forget_received(end *e) {
  flow *in = end_in(e);
  in->consumed += e->received.size;
  forget(&e->received);
  flow_acknowledge(in);
}


/* A reset has come.  What the peer had ended before is a broken pipe. */
static void receive_reset(end *e) {
  if (e->state == END_CONNECTING)
    end_fail(e, -ECONNREFUSED);
  else if (e->state != END_FAILED)
    end_fail(e, e->fin ? -EPIPE : -ECONNRESET);
}


/* Of unix: that the peer is gone is news for a writer, too; and it may have been closed
 * with bytes that it had not read. */
static void receive_end(end *e, const segment *s) {
  end_in(e)->fin_arrived = true;
  e->fin = true;
  if ((s->flags & SEGMENT_RST) != 0)
    e->error = -ECONNRESET;
  if (e->wants && e->connection->is_unix && end_peer(e) == NULL) {
    e->writable = true;
    end_tell(e);
  }
}


static void receive_open(end *e, flow *f, segment *s) {
  connection *c = e->connection;
  unsigned side = e->side;
  node *n = e->node;
  if (s->size > 0 && end_is_orphan(e)) {
    flow_reset(end_out(e));
    end_free(e);
    return;
  }
  if (s->size > 0)
    receive_bytes(e, s);
  if (is_there(c, side, e) && (s->flags & SEGMENT_FIN) != 0)
    receive_end(e, s);
  if (is_there(c, side, e) && e->stream != NULL)
    give_end(e);
  flow_acknowledge(f);
  if (c->ends[1 - side] != NULL)
    end_check(c->ends[1 - side]);
  if (is_there(c, side, e))
    end_check(e);
  node_delivered(n);
}


/* The answer to the SYN. */
static void receive_answer(end *e, const segment *s) {
  if ((s->flags & SEGMENT_SYN) == 0)
    return;
  sim_cancel(e->connection->sim, &end_out(e)->retry);
  end_open(e);
  if (!flow_signal(end_out(e), SEGMENT_PROBE))
    flow_stall(end_out(e), UINT64_C(200) * 1000000);
  e->connected = true;
  end_tell(e);
}


void end_receive(end *e, flow *f, segment *s) {
  bool resets = (s->flags & SEGMENT_RST) != 0 && (s->flags & SEGMENT_FIN) == 0;
  keepalive_heard(e);
  if (resets) {
    receive_reset(e);
    return;
  }
  if (e->state == END_ANSWERING && (s->flags & SEGMENT_SYN) != 0) {
    flow_signal(end_out(e), SEGMENT_SYN);
    return;
  }
  if (e->state == END_ANSWERING) {
    end_open(e);
    listening_add(e->listening, e);
  }
  if (e->state == END_CONNECTING)
    receive_answer(e, s);
  else if (e->state == END_OPEN)
    receive_open(e, f, s);
  else
    flow_reset(end_out(e));
}


/*
** How it ends
*/

void end_fail(end *e, int status) {
  bool connecting = e->state == END_CONNECTING;
  if (end_is_orphan(e) || e->state == END_ANSWERING) {
    if (e->listening != NULL)
      listening_remove(e->listening, e);
    end_free(e);
    return;
  }
  e->state = END_FAILED;
  e->error = (int16_t)status;
  e->connected = connecting;
  e->writable = e->wants;
  keepalive_stop(e);
  sim_cancel(e->connection->sim, &end_out(e)->retry);
  forget(&end_out(e)->waiting);
  end_tell(e);
}


/* The port stays taken for a while where this side ended first. */
static void wait_out(end *e) {
  uint64_t now = e->connection->sim->now;
  disconnect(e);
  e->state = END_WAITS;
  e->expires = now + TIME_WAIT;
  ports_let_wait(e);
}


void end_check(end *e) {
  if (!end_is_orphan(e) || e->state != END_OPEN || !e->fin ||
      !end_out(e)->fin_arrived)
    return;
  if (e->active && !e->connection->is_unix)
    wait_out(e);
  else
    end_free(e);
}


/* What has come to it, or is under way: of unix sockets that has come. */
static bool is_unread(const end *e) {
  const flow *in = end_in(e);
  if (e->connection->is_unix)
    return in->sent > in->consumed;
  return e->received.size > 0;
}


static void close_unix(end *e, bool accepted) {
  bool lost = is_unread(e) || !accepted;
  if (e->state == END_OPEN)
    flow_signal(end_out(e), lost ? SEGMENT_FIN | SEGMENT_RST : SEGMENT_FIN);
  end_free(e);
}


static void close_gently(end *e) {
  if (!e->shut) {
    e->shut = true;
    e->active = !e->fin;
    flow_finish(end_out(e));
  }
  end_check(e);
}


void end_close(end *e, bool reset) {
  connection *c = e->connection;
  bool accepted = e->stream != NULL;
  e->stream = NULL;
  e->reading = e->wants = e->connected = e->writable = false;
  sim_cancel(c->sim, &e->news);
  if (c->is_unix) {
    close_unix(e, accepted);
  } else if (e->state == END_FAILED || e->state == END_CONNECTING) {
    end_free(e);
  } else if (reset || is_unread(e) || e->options.linger == 0) {
    flow_reset(end_out(e));
    end_free(e);
  } else {
    close_gently(e);
  }
}


void end_abort(end *e) {
  if (e->stream != NULL)
    ((plug *)stream_part(e->stream))->end = NULL;
  e->listening = NULL;
  end_close(e, true);
}


/* What the peer still waits to be told it will ask for. */
void end_vanish(end *e) {
  connection *c = e->connection;
  flow *in = end_in(e);
  bool owed = in->waiting.size > 0 || in->sent > in->acked ||
              (in->fin && !in->fin_arrived);
  connection_hold(c);
  forget(&end_out(e)->waiting);
  sim_cancel(c->sim, &in->ack);
  end_free(e);
  if (c->ends[in->side] != NULL && owed)
    flow_stall(in, UINT64_C(200) * 1000000);
  connection_let_go(c);
}
