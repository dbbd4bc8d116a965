/*
** Segments whose fate a rule decides (flight.h).
**
** Bytes, and the end behind them, wait until it has said what becomes of the next
** segment of them: a direction has one such question at a time, so that what is lost is
** sent again by what sends again anyway.  What opens a connection, or resets it, is
** asked about, too; nothing waits for that.
*/

#include <netinet/in.h>

#include "sim/end.h"
#include "sim/flight.h"
#include "sim/passage.h"

/* As the header of TCP has them. */
enum { FIN = 1, SYN = 2, RST = 4 };

#define PAUSE (UINT64_C(200) * 1000000)


bool rule_applies(const flow *f) {
  const connection *c = f->connection;
  return !c->local && c->nodes[0] != NULL && c->nodes[1] != NULL &&
         flight_rules_streams(c->sim);
}


void rule_forget(flow *f) {
  if (f->asks > 0)
    flight_disown(f->connection->sim, f);
  f->asks = 0;
}


static uint8_t flags_of(const flight *x) {
  return (uint8_t)(((x->flags & SYN) != 0 ? SEGMENT_SYN : 0) |
                   ((x->flags & FIN) != 0 ? SEGMENT_FIN : 0) |
                   ((x->flags & RST) != 0 ? SEGMENT_RST : 0));
}


/* As if both ends were told that the other one does not know them. */
static void cut(connection *c) {
  for (unsigned side = 0; side < 2; side++)
    flow_drop(&c->flows[side]);
  for (unsigned side = 0; side < 2; side++)
    if (c->ends[side] != NULL)
      end_receive(c->ends[side], &c->flows[1 - side],
                  &(segment){.flags = SEGMENT_RST});
}


static void go_on(flow *f, const flight *x, bool lost, uint64_t delay) {
  uint8_t flags = flags_of(x);
  bool waits = x->size > 0 || (flags & SEGMENT_FIN) != 0;
  if (waits && (!f->asking || f->waiting.size < x->size))
    return; /* it was reset meanwhile */
  if (waits)
    f->asking = f->fin_sent = false;
  bool sent = !lost && flow_launch(f, x->bytes, x->size, flags, delay);
  if (!waits)
    return;
  if (sent) {
    f->fin_sent = (flags & SEGMENT_FIN) != 0;
    flow_sent(f, x->size);
    flow_push(f);
  } else if (f->connection->ends[f->side] != NULL) {
    flow_stall(f, PAUSE);
  }
}


static void on_decided(flight *x, flight_verdict verdict, uint64_t delay) {
  flow *f = x->about;
  if (f == NULL)
    return;
  connection *c = f->connection;
  connection_hold(c);
  f->asks--;
  if (verdict == FLIGHT_CUT)
    cut(c);
  else
    go_on(f, x, verdict == FLIGHT_DROP, verdict == FLIGHT_DELAY ? delay : 0);
  connection_let_go(c);
}


void rule_ask(flow *f, size_t n, uint8_t flags) {
  const connection *c = f->connection;
  const char *bytes = n > 0 ? f->waiting.at + f->waiting.start : NULL;
  passage p;
  if (!flow_passage(f, bytes, n, flags, &p))
    return;
  flight *x =
      flight_new(c->sim, c->nodes[f->side], c->nodes[1 - f->side], bytes, n);
  x->source = *p.source;
  x->target = *p.target;
  x->protocol = IPPROTO_TCP;
  x->seq = p.seq;
  x->ack = p.ack;
  x->flags = p.flags;
  x->decided = on_decided;
  x->about = f;
  f->asks++;
  f->asking = f->asking || n > 0 || (flags & SEGMENT_FIN) != 0;
  flight_ask(x);
}
