/*
** The TCP that is invented for streams.
**
** A stream becomes a TCP connection whose sequence and acknowledgement numbers
** follow its bytes, from a number of its own: who reads the capture knows by that
** where one has the ports of an earlier one.  When both ends of a connection are this process's, its
** bytes pass here twice: they are written where they are sent, and not where
** they arrive.  Such ends share a *talk*.
*/

#include "trace/pcapng.h"

#include <errno.h>
#include <stdlib.h>

#include "host/memory.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

enum {
  SEGMENT = 65495, /* bytes in one packet, at most: 65,535 with its headers */
  UNACKED = 32768, /* bytes before the other end acknowledges them */
  TCP_SIZE = 20,
  SYN_OPTIONS = 8 /* the largest segment, and the scale of windows */
};

/* A connection: its ends, each with the number of its next byte. */
typedef struct talk {
  entry entry; /* by its two addresses; first */
  address ends[2];
  uint32_t next[2];
  uint32_t unacked[2];
  uint64_t told[2]; /* bytes that were written where they were sent, and are not
                       read yet */
  unsigned flows;   /* that are in it */
  bool both;        /* two sockets of ours are its ends */
  bool taken[2];    /* an end is, or was, a socket of ours */
  bool begun;       /* its first SYN is written */
  bool open;        /* both are, or it was open before */
  bool fin[2];
  bool reset;
} talk;


/*
** TCP
*/

/* The same for both directions. */
static uint64_t key_of(const address *a, const address *b) {
  return table_hash(&a->u, a->length) + table_hash(&b->u, b->length);
}


static uint32_t numbers(uint8_t flags, size_t size) {
  return (uint32_t)size + ((flags & (SYN | FIN)) != 0);
}


static char *put_tcp(char *at, const talk *k, int from, uint8_t flags) {
  const address *a = &k->ends[from], *b = &k->ends[1 - from];
  size_t options = (flags & SYN) != 0 ? SYN_OPTIONS : 0;
  at = put16(at, port_of(a));
  at = put16(at, port_of(b));
  at = net32(at, k->next[from]);
  at = net32(at, (flags & ACK) != 0 ? k->next[1 - from] : 0);
  *at++ = (char)((TCP_SIZE + options) / 4 << 4);
  *at++ = (char)flags;
  at = net16(at, 65535);
  at = net32(at, 0); /* packet_checksum, urgent */
  if (options == 0)
    return at;
  at = net32(at, UINT32_C(0x02040000) | SEGMENT);
  return net32(at, UINT32_C(0x01030307));
}


static void put_segment(tracer *t, talk *k, int from, uint8_t flags,
                        packet *p) {
  p->from = &k->ends[from];
  p->to = &k->ends[1 - from];
  p->protocol = IPPROTO_TCP;
  char *start = block_room(t, p);
  char *ip = block_begin(start, 0, wall(t, p->now));
  char *tcp = ip + ip_size(p);
  char *payload = put_tcp(tcp, k, from, flags);
  size_t headers = (size_t)(payload - tcp);
  block_payload(payload, p);
  packet_ip(t, ip, p, headers + p->size);
  put16(tcp + 16, packet_checksum(p, tcp, headers + p->size));
  block_end(t, start, p, ip_size(p) + headers);
  k->next[from] += numbers(flags, p->size);
  k->unacked[from] += (uint32_t)p->size;
  if ((flags & ACK) != 0)
    k->unacked[1 - from] = 0;
}


/* One without bytes. */
static void put_control(tracer *t, flow *f, int from, uint8_t flags,
                        const seen *x, const char *comment) {
  packet p = {.now = x->now, .comment = comment};
  put_segment(t, f->talk, from, flags, &p);
}


static void begin_talk(tracer *t, flow *f, int from, const seen *x) {
  char comment[COMMENT_MOST];
  talk *k = f->talk;
  bool made_up = !is_ip(&f->local) || !is_ip(&f->remote);
  if (k->begun)
    return;
  k->begun = true;
  if (made_up)
    packet_describe(comment, t, f, &f->remote);
  put_control(t, f, from, SYN, x, made_up ? comment : NULL);
}


/* The end `from` has asked to connect. */
static void open_talk(tracer *t, flow *f, int from, const seen *x) {
  talk *k = f->talk;
  if (k->open || k->reset)
    return;
  begin_talk(t, f, from, x);
  k->open = true;
  put_control(t, f, 1 - from, SYN | ACK, x, NULL);
  put_control(t, f, from, ACK, x, NULL);
}


static void put_fin(tracer *t, flow *f, int from, const seen *x) {
  talk *k = f->talk;
  if (!k->open || k->fin[from] || k->reset)
    return;
  k->fin[from] = true;
  put_control(t, f, from, FIN | ACK, x, NULL);
  put_control(t, f, 1 - from, ACK, x, NULL);
}


static void put_reset(tracer *t, flow *f, int from, const seen *x,
                      const char *comment) {
  talk *k = f->talk;
  if (!k->begun && !k->open)
    return;
  if (k->reset || (k->fin[0] && k->fin[1]))
    return;
  k->reset = true;
  put_control(t, f, from, RST | ACK, x, comment);
}


/* Bytes that are not written have only a number. */
static void skip_data(talk *k, int from, size_t size) {
  k->next[from] += (uint32_t)size;
}


/* From `at` on. */
static void put_data(tracer *t, flow *f, int from, const seen *x, size_t at) {
  talk *k = f->talk;
  const trace_event *e = x->e;
  while (at < e->size) {
    if (!sink_takes(&t->out)) {
      tracer_drop(t);
      skip_data(k, from, e->size - at);
      return;
    }
    packet p = {.v = e->v, .skip = at, .now = x->now};
    p.size = e->size - at < SEGMENT ? e->size - at : SEGMENT;
    at += p.size;
    put_segment(t, k, from, PSH | ACK, &p);
    if (k->unacked[from] >= UNACKED)
      put_control(t, f, 1 - from, ACK, x, NULL);
  }
}


/*
** Talks
*/

static talk *new_talk(tracer *t, const address *a, const address *b) {
  talk *k = memory_new(sizeof *k);
  unsigned count = ++t->capture->count;
  uint64_t numbers = table_hash(&count, sizeof count);
  k->ends[0] = *a;
  k->ends[1] = *b;
  k->next[0] = (uint32_t)numbers;
  k->next[1] = (uint32_t)(numbers >> 32);
  table_add(&t->capture->talks, &k->entry, key_of(a, b));
  return k;
}


/* The other end of this connection, if that is ours, too. */
static talk *find_talk(const tracer *t, const address *a, const address *b) {
  entry *l = table_find(&t->capture->talks, key_of(a, b));
  for (; l != NULL; l = table_next(l)) {
    talk *k = (talk *)l;
    if (address_equal(&k->ends[0], b) && address_equal(&k->ends[1], a) &&
        !k->taken[1])
      return k;
  }
  return NULL;
}


static void free_talk(tracer *t, talk *k) {
  if (k == NULL)
    return;
  table_remove(&t->capture->talks, &k->entry);
  free(k);
}


/* Nobody refers to it any more, but perhaps somebody will: what a client has
 * sent and left is accepted later. */
static void retire(tracer *t, talk *k) {
  talk **at = &t->capture->ended[t->capture->oldest++ % ENDED];
  free_talk(t, *at);
  *at = k;
}


static void revive(tracer *t, const talk *k) {
  for (int i = 0; i < ENDED; i++)
    if (t->capture->ended[i] == k)
      t->capture->ended[i] = NULL;
}


static void join(flow *f, talk *k, uint8_t side) {
  f->talk = k;
  f->side = side;
  k->taken[side] = true;
  k->both = k->taken[0] && k->taken[1];
  k->flows++;
}


/* One that was open before has no beginning. */
static void join_late(flow *f) {
  talk *k = f->talk;
  if (!f->is_late || k->begun)
    return;
  k->begun = k->open = true;
}


static void find_or_make(tracer *t, flow *f) {
  address local = f->local, remote = f->remote;
  bool has_ip = is_ip(&local) && is_ip(&remote);
  if (!has_ip || is_v4(&local) != is_v4(&remote))
    packet_make_up(&local, &remote, f);
  talk *k = find_talk(t, &local, &remote);
  if (k == NULL) {
    join(f, new_talk(t, &local, &remote), 0);
  } else {
    if (k->flows == 0)
      revive(t, k);
    join(f, k, 1);
  }
  join_late(f);
}


void talk_forget(tracer *t, flow *f) {
  talk *k = f->talk;
  f->talk = NULL;
  if (k == NULL || --k->flows > 0)
    return;
  if (k->both)
    free_talk(t, k);
  else
    retire(t, k);
}


/*
** Streams
*/

static bool is_reset(int status) {
  return status == -ECONNRESET || status == -ECONNREFUSED || status == -EPIPE;
}


static void stream_failed(tracer *t, flow *f, const seen *x) {
  if (is_reset(x->e->status) && !f->talk->both)
    put_reset(t, f, 1 - f->side, x, NULL);
}


/* How many of the bytes are written already: those that another socket of ours has
 * sent.  The end may be another process's as well. */
static size_t told_before(talk *k, int from, const trace_event *e) {
  size_t told = 0;
  if (e->kind == TRACE_WRITE) {
    k->told[from] += e->size;
  } else {
    told = k->told[from] < e->size ? (size_t)k->told[from] : e->size;
    k->told[from] -= told;
  }
  return told;
}


static void stream_moved(tracer *t, flow *f, int from, const seen *x) {
  size_t told = told_before(f->talk, from, x->e);
  open_talk(t, f, f->side, x);
  if (x->e->v == NULL)
    skip_data(f->talk, from, x->e->size - told);
  else
    put_data(t, f, from, x, told);
}


/* One that never was connected ends without a packet. */
void talk_event(tracer *t, const seen *x) {
  flow *f = x->f;
  if (f->talk == NULL)
    find_or_make(t, f);
  int ours = f->side, theirs = 1 - f->side;
  switch (x->e->kind) {
  case TRACE_CONNECT:
    begin_talk(t, f, ours, x);
    break;
  case TRACE_CONNECTED:
  case TRACE_OPEN:
    open_talk(t, f, ours, x);
    break;
  case TRACE_ACCEPT:
    open_talk(t, f, theirs, x);
    break;
  case TRACE_READ:
    stream_moved(t, f, theirs, x);
    break;
  case TRACE_WRITE:
    stream_moved(t, f, ours, x);
    break;
  case TRACE_END:
    put_fin(t, f, theirs, x);
    break;
  case TRACE_SHUTDOWN:
  case TRACE_CLOSED:
    put_fin(t, f, ours, x);
    break;
  case TRACE_RESET:
    put_reset(t, f, ours, x, NULL);
    break;
  case TRACE_ERROR:
    stream_failed(t, f, x);
    break;
  default:
    break;
  }
}


void talk_lost(tracer *t, const seen *x) {
  flow *f = x->f;
  trace_kind kind = x->e->kind;
  if (x->e->stream == NULL || (kind != TRACE_READ && kind != TRACE_WRITE))
    return;
  if (f->talk == NULL)
    find_or_make(t, f);
  int from = kind == TRACE_WRITE ? f->side : 1 - f->side;
  skip_data(f->talk, from, x->e->size - told_before(f->talk, from, x->e));
}


void talks_end(tracer *t) {
  for (int i = 0; i < ENDED; i++)
    free_talk(t, t->capture->ended[i]);
  table_clear(&t->capture->talks);
}
