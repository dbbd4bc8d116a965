/*
** A segment as who watches the network sees it: with the numbers that TCP gives it.  A
** SYN has the first number of a direction, the end has the last.
*/

#include <netinet/in.h>

#include "sim/end.h"
#include "sim/passage.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };


/* The next number that a side sends. */
static uint32_t next_of(const flow *f) {
  return (uint32_t)(1 + f->sent + (f->fin_sent ? 1 : 0));
}


/* The next one that it awaits. */
static uint32_t awaited(const flow *in) {
  return (uint32_t)(1 + in->arrived + (in->fin_arrived ? 1 : 0));
}


static uint8_t flags_of(const flow *f, uint8_t flags, size_t n) {
  if ((flags & SEGMENT_SYN) != 0)
    return f->side == 0 ? SYN : SYN | ACK;
  if ((flags & SEGMENT_RST) != 0)
    return RST | ACK;
  return ACK | ((flags & SEGMENT_FIN) != 0 ? FIN : 0) | (n > 0 ? PSH : 0);
}


bool flow_passage(const flow *f, const char *bytes, size_t n, uint8_t flags,
                  passage *p) {
  const connection *c = f->connection;
  const flow *in = &c->flows[1 - f->side];
  const end *e = c->ends[f->side], *peer = c->ends[1 - f->side];
  bool nobody =
      f->side == 1 && e == NULL && f->sent == 0; /* a SYN is refused */
  if (e == NULL && peer == NULL)
    return false;
  *p = (passage){
      .from = c->nodes[f->side],
      .to = c->nodes[1 - f->side],
      .source = e != NULL ? &e->local : &peer->remote,
      .target = e != NULL ? &e->remote : &peer->local,
      .protocol = IPPROTO_TCP,
      .bytes = bytes,
      .size = n,
      .seq = (flags & SEGMENT_SYN) != 0 || nobody ? 0 : next_of(f),
      .ack = (flags & SEGMENT_SYN) != 0 && f->side == 0 ? 0 : awaited(in),
      .flags = flags_of(f, flags, n)};
  return true;
}


void flow_shows(flow *f, uint64_t at, const char *bytes, size_t n,
                uint8_t flags) {
  const connection *c = f->connection;
  flow *in = &f->connection->flows[1 - f->side];
  passage p;
  if (c->sim->outside.passes == NULL || c->local ||
      !flow_passage(f, bytes, n, flags, &p))
    return;
  in->shown = in->arrived + in->fin_arrived;
  p.arrives = at;
  c->sim->outside.passes(c->sim, &p);
}


void flow_shows_ack(flow *f, uint64_t at) {
  if (f->arrived + f->fin_arrived > f->shown)
    flow_shows(&f->connection->flows[1 - f->side], at, NULL, 0, 0);
}
