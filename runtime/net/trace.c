#include "net/trace.h"

#include <errno.h>


void trace_unsent(stream *s, size_t size) {
  if (trace_is_on(s->host))
    trace_tell(s->host, &(trace_event){.kind = TRACE_ERROR,
                                       .stream = s,
                                       .op = "close",
                                       .status = -ETIMEDOUT,
                                       .size = size});
}


void trace_accept(listener *l, stream *s, datagram *d) {
  if (trace_is_on(l->host))
    trace_tell(l->host, &(trace_event){.kind = TRACE_ACCEPT,
                                       .listener = l,
                                       .stream = s,
                                       .datagram = d});
}


void trace_accept_error(listener *l, int status) {
  if (trace_is_on(l->host))
    trace_tell(l->host, &(trace_event){.kind = TRACE_ERROR,
                                       .listener = l,
                                       .op = "accept",
                                       .status = status});
}


void trace_failure(host *h, const char *op, const char *where, int status) {
  if (trace_is_on(h))
    trace_tell(h, &(trace_event){.kind = TRACE_ERROR,
                                 .op = op,
                                 .where = where,
                                 .status = status});
}


static void tell_arrival(datagram *d, const arrival *m) {
  struct iovec v = {m->bytes, m->size};
  trace_event e = {.kind = TRACE_READ, .datagram = d, .v = &v, .size = m->size};
  e.full = m->full;
  e.peer = m->from_size > 0 ? m->from : NULL;
  e.peer_size = m->from_size;
  if (m->extras != NULL && m->extras->has_to)
    e.local = &m->extras->to;
  trace_tell(d->host, &e);
}


void trace_arrivals(datagram *d, const arrival *list, unsigned n) {
  for (unsigned i = 0; i < n && trace_is_on(d->host); i++)
    tell_arrival(d, &list[i]);
}


static void set_peer(trace_event *e, const address *to) {
  if (to == NULL || to->length == 0)
    return;
  e->peer = &to->u.any;
  e->peer_size = to->length;
}


static void tell_outgoing(datagram *d, const outgoing *o) {
  struct iovec v = {(char *)o->bytes, o->size};
  trace_event e = {
      .kind = TRACE_WRITE, .datagram = d, .v = &v, .size = o->size};
  e.full = o->size;
  set_peer(&e, o->to);
  trace_tell(d->host, &e);
}


void trace_outgoing(datagram *d, const outgoing *list, int n) {
  for (int i = 0; i < n && trace_is_on(d->host); i++)
    tell_outgoing(d, &list[i]);
}


void trace_datagram_error(datagram *d, const char *op, const address *to,
                          int status) {
  trace_event e = {
      .kind = TRACE_ERROR, .datagram = d, .op = op, .status = status};
  if (!trace_is_on(d->host))
    return;
  set_peer(&e, to);
  trace_tell(d->host, &e);
}


void trace_child(host *h, trace_kind kind, int pid, const char *command,
                 int code, int signal) {
  if (trace_is_on(h))
    trace_tell(h, &(trace_event){.kind = kind,
                                 .where = command,
                                 .pid = pid,
                                 .code = code,
                                 .signal = signal});
}
