/*
** Messages of unix sockets, which stay within their node: what is sent is there at once,
** or there is no room for it.
*/

#include <errno.h>
#include <string.h>

#include "sim/message.h"
#include "sim/ports.h"


static datagram *body(message_socket *m) {
  return message_datagram(m);
}


static bool is_stream_of_messages(message_socket *m) {
  return body(m)->type == SOCK_SEQPACKET;
}


int local_bind(message_socket *m, const address *a, bool replace) {
  m->local = *a;
  int status =
      ports_name_add(message_node(m), &m->local, body(m)->type, m, replace);
  if (status < 0)
    m->local.length = 0;
  return status;
}


/* Who has that name, of the same type: 0 or -errno. */
static int find(message_socket *m, const address *to, message_socket **out) {
  if (to->u.any.sa_family != AF_UNIX)
    return -EINVAL;
  const unix_name *name = ports_name_find(message_node(m), to);
  if (name == NULL)
    return to->u.un.sun_path[0] == '\0' ? -ECONNREFUSED : -ENOENT;
  if (name->owner == NULL)
    return -ECONNREFUSED;
  if (name->type != body(m)->type)
    return -EPROTOTYPE;
  *out = name->owner;
  return 0;
}


int local_connect(message_socket *m, const address *to) {
  message_socket *other;
  int status = find(m, to, &other);
  if (status == 0 && is_stream_of_messages(m))
    return message_knock(m, to);
  if (status < 0)
    return status;
  if (other->peer.length > 0 && other->other != m && other->other != NULL)
    return -EPERM;
  m->peer = *to;
  m->other = other;
  m->paired = false;
  return 0;
}


void local_join(message_socket *a, message_socket *b) {
  a->other = b;
  b->other = a;
  a->paired = b->paired = true;
  a->accepted = b->accepted = true;
  body(a)->connected = body(b)->connected = true;
}


/*
** Room.  Whoever has none is told when somebody receives.
*/

static size_t send_buffer(message_socket *m) {
  return (size_t)message_option(m, SOL_SOCKET, SO_SNDBUF, BUFFER);
}


static void wait_for(message_socket *m, message_socket *other) {
  if (m->waits_for != NULL)
    return;
  m->waits_for = other;
  m->waits = other->waiting;
  other->waiting = m;
}


static void wait_no_more(message_socket *m) {
  if (m->waits_for == NULL)
    return;
  message_socket **at = &m->waits_for->waiting;
  while (*at != m)
    at = &(*at)->waits;
  *at = m->waits;
  m->waits_for = NULL;
}


static void tell_waiting(message_socket *m) {
  for (message_socket *x; (x = m->waiting) != NULL;) {
    wait_no_more(x);
    message_tell(x);
  }
}


void local_taken(message_socket *m, message_socket *by, size_t charge) {
  by->sent -= charge;
  tell_waiting(m);
}


/*
** Sending
*/

/* The peer of a pair or of a connection; he may have gone. */
static int to_peer(message_socket *m, message_socket **out) {
  *out = m->other;
  if (m->other != NULL)
    return m->shut ? -EPIPE : 0;
  if (is_stream_of_messages(m))
    return m->paired ? -EPIPE : -ENOTCONN;
  if (!m->paired && m->peer.length == 0)
    return -ENOTCONN;
  bool first = !m->told_gone;
  m->told_gone = true;
  m->peer.length = 0;
  return first ? -ECONNREFUSED : -ENOTCONN;
}


static int to_named(message_socket *m, const address *to,
                    message_socket **out) {
  if (is_stream_of_messages(m))
    return -EISCONN;
  int status = find(m, to, out);
  if (status == 0 && (*out)->other != NULL && (*out)->other != m)
    return -EPERM;
  return status;
}


/* Who is connected to the sender has as much room as the sender. */
static bool is_full(message_socket *m, message_socket *other) {
  if (m->sent > 0 && m->sent >= send_buffer(m))
    return true;
  return other->other != m && other->count >= UNIX_QUEUE;
}


int local_send(message_socket *m, const outgoing *o) {
  message_socket *other;
  extras x = {.fds = NULL};
  if (message_node(m)->state == NODE_CRASHED)
    return 0;
  int status = o->to != NULL ? to_named(m, o->to, &other) : to_peer(m, &other);
  if (status < 0)
    return status;
  if (o->size + 32 > send_buffer(m))
    return -EMSGSIZE;
  if (is_full(m, other)) {
    wait_for(m, other);
    return -EAGAIN;
  }
  x.has_cred = message_option(other, SOL_SOCKET, SO_PASSCRED, 0) != 0;
  x.pid = node_pid(message_node(m));
  size_t before = other->held;
  arrival a = {.bytes = (char *)(uintptr_t)o->bytes,
               .size = (uint32_t)o->size,
               .full = (uint32_t)o->size,
               .extras = x.has_cred ? &x : NULL};
  if (!is_stream_of_messages(m)) {
    a.from = &m->local.u.any;
    a.from_size = m->local.length;
  }
  if (!message_arrived(other, &a, m))
    return -ENOBUFS;
  m->sent += other->held - before;
  return 0;
}


/*
** The end
*/

static void tell_end(message_socket *other) {
  other->ended = true;
  message_tell(other);
}


int local_shutdown(message_socket *m) {
  if (m->other == NULL)
    return m->paired ? 0 : -ENOTCONN;
  m->shut = true;
  tell_end(m->other);
  return 0;
}


/* Those of its host that are connected to it, or wait; and what it has sent is nobody's
 * any more. */
static void forget(message_socket *m, message_socket *x) {
  if (x->other == m) {
    x->other = NULL;
    if (is_stream_of_messages(x)) {
      if (m->first != NULL || !m->accepted)
        message_soft_error(x, -ECONNRESET);
      tell_end(x);
    }
  }
  for (letter *l = x->first; l != NULL; l = l->next)
    if (l->sender == m)
      l->sender = NULL;
}


void local_close(message_socket *m) {
  const datagram *d = body(m);
  ports_name_drop(message_node(m), m);
  m->other = NULL;
  wait_no_more(m);
  tell_waiting(m);
  for (datagram *x = net_of(d->host)->datagrams; x != NULL; x = x->next)
    if (x != d && x->transport == &message_transport && x->family == AF_UNIX)
      forget(m, message_of(x));
}
