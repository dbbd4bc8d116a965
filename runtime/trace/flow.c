#include "trace/flow.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "net/layer.h"


unsigned flow_serial(const trace_event *e) {
  if (e->stream != NULL)
    return e->stream->serial;
  if (e->datagram != NULL)
    return e->datagram->serial;
  return e->listener != NULL ? e->listener->serial : 0;
}


static unsigned other_end(const trace_event *e) {
  unsigned pair = e->stream != NULL     ? e->stream->pair
                  : e->datagram != NULL ? e->datagram->pair
                                        : ALONE;
  return pair == FIRST_OF_TWO    ? flow_serial(e) + 1
         : pair == SECOND_OF_TWO ? flow_serial(e) - 1
                                 : 0;
}


bool flow_is_unnamed(const address *a) {
  return a->length == 0 ||
         (a->u.any.sa_family == AF_UNIX && a->length <= sizeof(sa_family_t));
}


static void settle(address *a, int status) {
  if (status < 0)
    a->length = 0;
  if (a->length > 0)
    address_normalise(a);
}


static void ask_stream(flow *f, stream *s) {
  settle(&f->local, s->transport->localaddr(s, &f->local));
  settle(&f->remote, s->transport->remoteaddr(s, &f->remote));
  if (f->remote.length > 0 && address_is_any(&f->remote)) /* it means this */
    address_loopback(&f->remote, f->remote.u.any.sa_family,
                     address_port(&f->remote));
}


static void ask_datagram(flow *f, datagram *d) {
  settle(&f->local, d->transport->localaddr(d, &f->local));
  settle(&f->remote, d->transport->remoteaddr(d, &f->remote));
}


void flow_ask(flow *f, const trace_event *e) {
  if (e->stream != NULL)
    ask_stream(f, e->stream);
  else if (e->datagram != NULL)
    ask_datagram(f, e->datagram);
  else
    f->local = e->listener->addr;
}


static const char *own_kind(const trace_event *e) {
  if (e->stream != NULL)
    return e->stream->transport->kind.name;
  return e->datagram != NULL ? datagram_kind(e->datagram) : "listener";
}


bool flow_look(flow *f, const trace_event *e) {
  const char *before = f->kind;
  f->own = own_kind(e);
  f->kind = e->stream != NULL && e->stream->use > 0
                ? stream_uses[e->stream->use]
                : f->own;
  f->below = e->stream != NULL ? layer_bottom(e->stream)->transport->kind.name
                               : f->own;
  return f->kind != before;
}


/* Where the addresses do not tell: an endpoint. */
static const char *name_of(const trace_event *e) {
  if (e->listener != NULL)
    return e->listener->where;
  return e->stream != NULL ? stream_where(e->stream) : NULL;
}


static bool begins(const trace_event *e) {
  return e->kind == TRACE_LISTEN || e->kind == TRACE_CONNECT ||
         e->kind == TRACE_ACCEPT || e->kind == TRACE_OPEN;
}


flow *flow_new(const trace_event *e) {
  flow *f = memory_new(sizeof *f);
  const char *name = name_of(e);
  f->serial = flow_serial(e);
  f->other = other_end(e);
  flow_look(f, e);
  f->name = name != NULL ? memory_text(name, strlen(name)) : NULL;
  f->is_message = e->datagram != NULL;
  f->is_late = !begins(e);
  f->is_waiting = f->is_late && e->stream != NULL && e->stream->box == NULL &&
                  e->stream->state == OPEN;
  flow_ask(f, e);
  return f;
}


void flow_free(flow *f) {
  free(f->name);
  free(f);
}
