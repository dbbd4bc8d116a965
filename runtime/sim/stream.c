/*
** The transports of simulated streams: what net/ asks of an end.
**
** What is told to the stream comes from events only (stream_end.c), but for what its own
** call returns.
*/

#include <errno.h>
#include <string.h>

#include "sim/end.h"

static end *end_of(stream *s) {
  return ((plug *)stream_part(s))->end;
}


static int start_read(stream *s) {
  end *e = end_of(s);
  if (e == NULL || e->ended)
    return 0;
  e->reading = true;
  if (e->received.size > 0 || e->fin || e->state == END_FAILED || e->error != 0)
    end_tell(e);
  return 0;
}


static void stop_read(stream *s) {
  if (end_of(s) != NULL)
    end_of(s)->reading = false;
}


/*
** Writing
*/

/* Which of its errors the kernel tells a writer: the reader is told of it, too. */
static int broken(end *e) {
  int status = e->connection->is_unix ? 0 : end_take_error(e);
  if (status == 0)
    return -EPIPE;
  if (status != -EPIPE)
    e->failed = (int16_t)status;
  return status;
}


static bool is_broken(const end *e) {
  return e->state == END_FAILED || e->shut ||
         (e->connection->is_unix && end_peer(e) == NULL);
}


static ssize_t try_write(stream *s, const struct iovec *v, int n) {
  end *e = end_of(s);
  size_t size = 0;
  if (e == NULL)
    return -EPIPE;
  if (is_broken(e))
    return broken(e);
  for (int i = 0; i < n; i++)
    size += v[i].iov_len;
  size_t room = flow_room(end_out(e));
  if (room < size)
    size = room;
  if (size == 0)
    return -EAGAIN;
  flow_take(end_out(e), v, size);
  return (ssize_t)size;
}


/* Room may be there already, or somebody reset it meanwhile. */
static int want_write(stream *s) {
  end *e = end_of(s);
  if (e == NULL)
    return -EPIPE;
  e->wants = true;
  e->writable = is_broken(e) || flow_room(end_out(e)) * 3 >= e->options.sndbuf;
  if (e->writable)
    end_tell(e);
  return 0;
}


static int half_close(stream *s) {
  end *e = end_of(s);
  if (e == NULL || e->state != END_OPEN)
    return -ENOTCONN;
  if (!e->shut) {
    e->shut = true;
    e->active = !e->fin;
    flow_finish(end_out(e));
  }
  return 0;
}


/*
** Closing
*/

/* Of what has come; what is under way has not. */
static bool discard(stream *s) {
  end *e = end_of(s);
  if (e == NULL || e->received.size == 0)
    return false;
  end_forget_received(e);
  return !e->fin && e->state == END_OPEN;
}


static bool takes_back(stream *s) {
  return end_of(s) != NULL && end_of(s)->options.linger != 0;
}


static int unacknowledged(stream *s) {
  const end *e = end_of(s);
  if (e == NULL)
    return 0;
  const flow *out = end_out(e);
  return (int)(out->sent - out->acked + out->waiting.size);
}


static void close_end(stream *s, bool reset) {
  plug *p = stream_part(s);
  end *e = p->end;
  p->end = NULL;
  if (e != NULL)
    end_close(e, reset);
  stream_gone(s);
}


/*
** Asking
*/

static int set_option(stream *s, const sockopt *o) {
  end *e = end_of(s);
  if (e == NULL)
    return -EBADF;
  int status =
      options_set(&e->options, e->local.u.any.sa_family, SOCK_STREAM, o);
  if (status == 0)
    keepalive_set(e);
  return status;
}


/* A unix socket's is of the same host, whose one process is root's. */
static int get_peer(const end *e, sockopt *o) {
  struct ucred peer = {.pid = node_pid(e->node)};
  memcpy(o->value, &peer, sizeof peer);
  o->length = sizeof peer;
  return 0;
}


static int get_option(stream *s, sockopt *o) {
  end *e = end_of(s);
  if (e == NULL)
    return -EBADF;
  if (o->level == SOL_SOCKET && o->name == SO_ERROR)
    return options_answer(o, -end_take_error(e));
  if (o->level == SOL_SOCKET && o->name == SO_PEERCRED)
    return get_peer(e, o);
  return options_get(&e->options, e->local.u.any.sa_family, SOCK_STREAM, o);
}


static int local_address(stream *s, address *a) {
  if (end_of(s) == NULL)
    return -EBADF;
  *a = end_of(s)->local;
  return 0;
}


static int remote_address(stream *s, address *a) {
  if (end_of(s) == NULL)
    return -ENOTCONN;
  *a = end_of(s)->remote;
  return 0;
}


static int no_descriptor(stream *s) {
  (void)s;
  return -EBADF;
}


#define END(named, number, takes, lacks) \
  { \
    .kind = {named, NULL, number, true}, .size = sizeof(plug), \
    .start_read = start_read, .stop_read = stop_read, .try_write = try_write, \
    .want_write = want_write, .shutdown = half_close, .discard = discard, \
    .takes_back = takes, .unacknowledged = lacks, .close = close_end, \
    .set = set_option, .get = get_option, .localaddr = local_address, \
    .remoteaddr = remote_address, .fd = no_descriptor, \
  }

const transport sim_tcp = END("tcp", IPPROTO_TCP, takes_back, unacknowledged);
const transport sim_unix = END("unix", 0, NULL, NULL);
