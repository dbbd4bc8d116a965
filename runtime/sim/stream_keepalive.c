/*
** Keepalive: who hears nothing asks, and gives up when nobody answers.
*/

#include <errno.h>

#include "sim/end.h"

#define SECOND UINT64_C(1000000000)


static void probe(end *e) {
  sim *s = e->connection->sim;
  if (e->probes >= e->options.probes) {
    flow_reset(end_out(e));
    end_fail(e, -ETIMEDOUT);
    return;
  }
  e->probes++;
  flow_signal(end_out(e), SEGMENT_PROBE);
  sim_schedule(s, &e->keep, s->now + e->options.interval * SECOND);
}


static void on_keep(sim_event *x) {
  end *e = (end *)((char *)x - offsetof(end, keep));
  sim *s = e->connection->sim;
  uint64_t idle = e->heard + e->options.idle * SECOND;
  if (e->probes == 0 && idle > s->now)
    sim_schedule(s, &e->keep, idle);
  else
    probe(e);
}


void keepalive_set(end *e) {
  sim *s = e->connection->sim;
  bool on =
      e->options.keepalive && e->state == END_OPEN && !e->connection->is_unix;
  e->keep.fire = on_keep;
  if (!on)
    keepalive_stop(e);
  else if (e->probes == 0)
    sim_schedule(s, &e->keep, s->now + e->options.idle * SECOND);
}


void keepalive_stop(end *e) {
  e->probes = 0;
  sim_cancel(e->connection->sim, &e->keep);
}


void keepalive_heard(end *e) {
  sim *s = e->connection->sim;
  if (!e->options.keepalive)
    return;
  e->heard = s->now;
  if (e->probes > 0) {
    e->probes = 0;
    sim_schedule(s, &e->keep, s->now + e->options.idle * SECOND);
  }
}
