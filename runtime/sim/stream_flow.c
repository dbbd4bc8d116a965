/*
** The bytes of one direction of a connection: cut into segments, under way,
** acknowledged, and tried again.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/end.h"
#include "sim/link.h"
#include "sim/ports.h"

#define MICROSECOND UINT64_C(1000)
#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

enum {
  HEADERS = 60,        /* of IP and TCP, with options, bytes */
  SEGMENT = 16 * 1024, /* bytes of one, at most */
  UNCUT = 750000,      /* so many of a million are as large as they can be */
};

/* As Linux has it: between two tries, and before it gives up (tcp_retries2,
 * tcp_orphan_retries). */
#define PAUSE_LEAST (200 * MILLISECOND)
#define PAUSE_MOST (120 * SECOND)
#define PATIENCE (924600 * MILLISECOND)
#define PATIENCE_OF_ORPHANS (102 * SECOND)

/* On one node. */
#define LOCAL_LEAST (2 * MICROSECOND)
#define LOCAL_MOST (12 * MICROSECOND)


static flow *of_arrival(sim_event *e) {
  return (flow *)((char *)e - offsetof(flow, arrival));
}


static end *sender(const flow *f) {
  return f->connection->ends[f->side];
}


static end *receiver(const flow *f) {
  return f->connection->ends[1 - f->side];
}


/*
** Bytes
*/

static void add(store *b, const char *at, size_t n) {
  if (b->start + b->size + n > b->room && b->start > 0) {
    memmove(b->at, b->at + b->start, b->size);
    b->start = 0;
  }
  if (b->size + n > b->room) {
    size_t room = b->room < 512 ? 512 : b->room * 2;
    while (room < b->size + n)
      room *= 2;
    b->at = memory_grow(b->at, room);
    b->room = room;
  }
  memcpy(b->at + b->start + b->size, at, n);
  b->size += n;
}


static void forget(store *b) {
  free(b->at);
  *b = (store){.at = NULL};
}


static void take_off(store *b, size_t n) {
  b->start += n;
  b->size -= n;
  if (b->size == 0)
    forget(b);
}


/*
** Under way
*/

static void on_arrival(sim_event *e);
static void on_ack(sim_event *e);
static void on_retry(sim_event *e);
static void on_release(link_waiter *w);


void flow_open(connection *c, unsigned side) {
  flow *f = &c->flows[side];
  f->connection = c;
  f->side = (uint8_t)side;
  f->last = &f->first;
  f->arrival.fire = on_arrival;
  f->ack.fire = on_ack;
  f->retry.fire = on_retry;
  f->release.open = on_release;
}


void flow_drop(flow *f) {
  sim *s = f->connection->sim;
  for (segment *x; (x = f->first) != NULL;) {
    f->first = x->next;
    free(x);
  }
  f->last = &f->first;
  forget(&f->waiting);
  rule_forget(f);
  sim_cancel(s, &f->arrival);
  sim_cancel(s, &f->ack);
  sim_cancel(s, &f->retry);
  link_forget(&f->release);
}


/* A host that computes is ahead of the clock. */
static uint64_t lead(const node *n) {
  const sim *s = n->sim;
  return s->current == n && n->seen > s->now ? n->seen - s->now : 0;
}


/* When what is sent now from there is on the other side, or NEVER. */
static uint64_t way(const connection *c, unsigned from, size_t n) {
  sim *s = c->sim;
  node *here = c->nodes[from], *there = c->nodes[1 - from];
  if (c->local)
    return s->now + lead(here) +
           chance_between(&s->network, LOCAL_LEAST, LOCAL_MOST);
  if (there == NULL)
    return NEVER;
  uint64_t at = link_arrival(s, here, there, n + HEADERS, LINK_STREAM);
  return at == NEVER ? NEVER : at + lead(here);
}


static void launch(flow *f, uint64_t at, const char *bytes, size_t n,
                   uint8_t flags) {
  segment *s = memory_grow(NULL, sizeof *s + n);
  if (at < f->latest)
    at = f->latest;
  flow_shows(f, at, bytes, n, flags);
  *s = (segment){.arrives = at, .size = (uint32_t)n, .flags = flags};
  if (n > 0)
    memcpy(s->bytes, bytes, n);
  if (f->first == NULL)
    sim_schedule(f->connection->sim, &f->arrival, at);
  *f->last = s;
  f->last = &s->next;
  f->latest = at;
  f->sent += n;
}


bool flow_launch(flow *f, const char *bytes, size_t n, uint8_t flags,
                 uint64_t delay) {
  uint64_t at = way(f->connection, f->side, n);
  if (at != NEVER)
    launch(f, at + delay, bytes, n, flags);
  return at != NEVER;
}


bool flow_signal(flow *f, uint8_t flags) {
  if (flags == SEGMENT_PROBE || !rule_applies(f))
    return flow_launch(f, NULL, 0, flags, 0);
  rule_ask(f, 0, flags);
  return true;
}


/*
** Trying again
*/

void flow_heard(flow *f) {
  f->trouble = 0;
  f->attempts = 0;
}


static uint64_t patience(const end *e) {
  if (e->options.user_timeout > 0)
    return e->options.user_timeout * MILLISECOND;
  return end_is_orphan(e) ? PATIENCE_OF_ORPHANS : PATIENCE;
}


/* A link that is held is released some time, and then nobody waits for a pause to be
 * over. */
static void await_release(flow *f) {
  connection *c = f->connection;
  node *from = c->nodes[f->side], *to = c->nodes[1 - f->side];
  if (c->local || from == NULL || to == NULL)
    return;
  if (link_is_held(c->sim, from, to))
    link_await(c->sim, from, to, &f->release);
  else if (link_is_held(c->sim, to, from))
    link_await(c->sim, to, from, &f->release);
}


static void on_release(link_waiter *w) {
  flow *f = (flow *)((char *)w - offsetof(flow, release));
  if (sim_is_scheduled(&f->retry))
    sim_schedule(f->connection->sim, &f->retry, f->connection->sim->now);
}


/* A patience that the script has set ends a pause. */
void flow_stall(flow *f, uint64_t first) {
  sim *s = f->connection->sim;
  uint64_t pause = first;
  if (sim_is_scheduled(&f->retry))
    return;
  if (f->trouble == 0)
    f->trouble = s->now;
  for (unsigned i = 0; i < f->attempts && pause < PAUSE_MOST; i++)
    pause *= 2;
  uint64_t at = s->now + (pause < PAUSE_MOST ? pause : PAUSE_MOST);
  uint64_t end_at = f->trouble + patience(sender(f));
  if (sender(f)->options.user_timeout > 0 && end_at < at)
    at = end_at;
  sim_schedule(s, &f->retry, at);
  await_release(f);
}


/* Something of it is not known to have arrived. */
static bool is_owed(const flow *f) {
  return f->waiting.size > 0 || f->sent > f->acked ||
         (f->fin && !f->fin_arrived);
}


static void try_again(flow *f, end *e) {
  sim *s = f->connection->sim;
  bool late = f->trouble != 0 && s->now - f->trouble >= patience(e);
  f->attempts++;
  if (late && (e->state != END_CONNECTING || e->options.user_timeout > 0)) {
    end_fail(e, -ETIMEDOUT);
  } else if (e->state == END_CONNECTING) {
    connect_again(e);
  } else if (is_owed(f) || e->state == END_OPEN) {
    flow_push(f);
    if (!f->asking && !sim_is_scheduled(&f->retry) && f->first == NULL &&
        !flow_signal(f, SEGMENT_PROBE))
      flow_stall(f, PAUSE_LEAST);
  }
}


static void on_retry(sim_event *e) {
  flow *f = (flow *)((char *)e - offsetof(flow, retry));
  end *from = sender(f);
  connection *c = f->connection;
  connection_hold(c);
  if (from != NULL)
    try_again(f, from);
  connection_let_go(c);
}


/*
** Sending
*/

size_t flow_room(const flow *f) {
  uint64_t kept = f->sent - f->acked + f->waiting.size;
  unsigned room = sender(f)->options.sndbuf;
  return kept < room ? room - (size_t)kept : 0;
}


/* How much goes in the next segment: one write is not one read. */
static size_t cut(const flow *f, size_t n) {
  chance *c = &f->connection->sim->network;
  uint64_t room = f->window > f->sent ? f->window - f->sent : 0;
  if (n > room)
    n = (size_t)room;
  if (n > SEGMENT)
    n = SEGMENT;
  if (n > 1 && !f->connection->sim->whole && !chance_happens(c, UNCUT))
    n = (size_t)chance_between(c, 1, n);
  return n;
}


/* As many of these bytes as may be sent now. */
static size_t send_some(flow *f, const char *at, size_t n) {
  size_t done = 0;
  while (done < n && !sim_is_scheduled(&f->retry)) {
    size_t size = cut(f, n - done);
    if (size == 0)
      break;
    if (!flow_launch(f, at + done, size, 0, 0)) {
      flow_stall(f, PAUSE_LEAST);
      break;
    }
    done += size;
  }
  return done;
}


void flow_take(flow *f, const struct iovec *v, size_t n) {
  bool ruled = rule_applies(f);
  for (; n > 0; v++) {
    size_t size = v->iov_len < n ? v->iov_len : n, sent = 0;
    if (f->waiting.size == 0 && !ruled)
      sent = send_some(f, v->iov_base, size);
    if (sent < size)
      add(&f->waiting, (char *)v->iov_base + sent, size - sent);
    n -= size;
  }
  if (ruled)
    flow_push(f);
}


void flow_sent(flow *f, size_t n) {
  take_off(&f->waiting, n);
}


/* What waits; of a rule the next of it is asked. */
static void push_bytes(flow *f) {
  if (!rule_applies(f)) {
    take_off(&f->waiting,
             send_some(f, f->waiting.at + f->waiting.start, f->waiting.size));
    return;
  }
  size_t next = sim_is_scheduled(&f->retry) ? 0 : cut(f, f->waiting.size);
  if (next > 0)
    rule_ask(f, next, 0);
}


void flow_push(flow *f) {
  if (f->asking)
    return;
  if (f->waiting.size > 0)
    push_bytes(f);
  if (!f->fin || f->fin_sent || f->waiting.size > 0 ||
      sim_is_scheduled(&f->retry))
    return;
  f->fin_sent = flow_signal(f, SEGMENT_FIN);
  if (!f->fin_sent)
    flow_stall(f, PAUSE_LEAST);
}


void flow_finish(flow *f) {
  f->fin = true;
  flow_push(f);
}


void flow_reset(flow *f) {
  forget(&f->waiting);
  f->asking = false;
  sim_cancel(f->connection->sim, &f->retry);
  flow_signal(f, SEGMENT_RST);
}


/*
** Acknowledging
*/

static void take_ack(flow *f) {
  const end *to = receiver(f);
  flow_heard(f);
  f->acked = f->connection->is_unix ? f->consumed : f->arrived;
  if (to != NULL && !f->connection->is_unix)
    f->window = f->consumed + to->options.rcvbuf;
}


/* Enough room for a writer to be woken: a third, as the kernel has it. */
static bool is_roomy(const flow *f) {
  return flow_room(f) * 3 >= sender(f)->options.sndbuf;
}


static void on_ack(sim_event *e) {
  flow *f = (flow *)((char *)e - offsetof(flow, ack));
  end *from = sender(f);
  if (from == NULL)
    return;
  keepalive_heard(from);
  take_ack(f);
  flow_push(f);
  if (from->wants && is_roomy(f)) {
    from->writable = true;
    end_tell(from);
  }
}


/* Would anybody notice when the sender learns of it? */
static bool is_noticed(const flow *f) {
  const connection *c = f->connection;
  const end *from = sender(f);
  return from->wants || f->waiting.size > 0 || from->probes > 0 ||
         (!c->local &&
          link_is_cut(c->sim, c->nodes[1 - f->side], c->nodes[f->side]));
}


void flow_acknowledge(flow *f) {
  connection *c = f->connection;
  if (sender(f) == NULL || sim_is_scheduled(&f->ack))
    return;
  if (!is_noticed(f)) {
    flow_shows_ack(f, c->sim->now);
    take_ack(f);
    return;
  }
  uint64_t at = way(c, 1U - f->side, 0);
  if (at == NEVER) {
    flow_stall(f, PAUSE_LEAST);
    return;
  }
  flow_shows_ack(f, at);
  sim_schedule(c->sim, &f->ack, at);
}


/*
** Arriving
*/

/* Whoever answers resets it, unless that was a reset itself. */
static void arrive_nowhere(flow *f, const segment *s) {
  connection *c = f->connection;
  bool refused = true;
  if ((s->flags & SEGMENT_RST) != 0)
    return;
  if ((s->flags & SEGMENT_SYN) != 0 && f->side == 0) {
    if (connect_answer(c, &refused) != NULL || !refused)
      return;
  }
  flow_reset(&c->flows[1 - f->side]);
}


static void arrive(flow *f, segment *s) {
  end *to = receiver(f);
  const node *there = f->connection->nodes[1 - f->side];
  if (there == NULL || ports_are_down(there)) {
    if (sender(f) != NULL)
      flow_stall(f, PAUSE_LEAST);
  } else if (to == NULL) {
    arrive_nowhere(f, s);
  } else {
    if (s->size > 0)
      sim_note(f->connection->sim, HISTORY_BYTES, there->index, s->size,
               history_hash(s->bytes, s->size));
    end_receive(to, f, s);
  }
}


static void on_arrival(sim_event *e) {
  flow *f = of_arrival(e);
  connection *c = f->connection;
  segment *s = f->first;
  f->first = s->next;
  if (f->first != NULL)
    sim_schedule(c->sim, &f->arrival, f->first->arrives);
  else
    f->last = &f->first;
  connection_hold(c);
  arrive(f, s);
  free(s);
  connection_let_go(c);
}
