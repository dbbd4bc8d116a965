/*
** Listening sockets, and their queues.
*/

#include <errno.h>
#include <stdlib.h>

#include "host/memory.h"
#include "net/round.h"
#include "sim/ports.h"

enum { BACKLOG_MOST = 4096 }; /* somaxconn */

/* A listener's own part. */
typedef struct door {
  later later;
  listening *listening; /* NULL: its node has crashed */
} door;


static door *door_of(listener *l) {
  return listener_part(l);
}


/*
** The queue
*/

static void on_ready(sim_event *x) {
  listening *l = (listening *)((char *)x - offsetof(listening, ready));
  if (!l->watched || l->count == 0 || l->listener->host->quiet)
    return;
  listener_ready(l->listener);
  node_delivered(l->node);
}


static void announce(listening *l) {
  if (l->watched && l->count > 0)
    sim_schedule(l->node->sim, &l->ready, l->node->sim->now);
}


bool listening_is_full(const listening *l) {
  return l->count + l->half > l->backlog;
}


void listening_add(listening *l, end *e) {
  l->half--;
  l->count++;
  e->queued = NULL;
  *l->last = e;
  l->last = &e->queued;
  announce(l);
}


static bool is_queued(const listening *l, const end *e) {
  const end *x = l->first;
  while (x != NULL && x != e)
    x = x->queued;
  return x != NULL;
}


static void take_out(listening *l, end *e) {
  end **at = &l->first;
  while (*at != e)
    at = &(*at)->queued;
  *at = e->queued;
  if (*at == NULL)
    l->last = at;
  l->count--;
}


void listening_remove(listening *l, end *e) {
  if (is_queued(l, e))
    take_out(l, e);
  else
    l->half--;
  e->listening = NULL;
}


/* Who waits in it is reset, as who has just begun. */
static void empty(listening *l) {
  end *next;
  for (end *e = ports_of(l->node)->ends; e != NULL; e = next) {
    next = e->next;
    if (e->listening != l)
      continue;
    e->listening = NULL;
    connection_hold(e->connection);
    connection *c = e->connection;
    end_close(e, true);
    connection_let_go(c);
  }
}


void listening_free(listening *l) {
  sim_cancel(l->node->sim, &l->ready);
  *l->at = l->next;
  if (l->next != NULL)
    l->next->at = l->at;
  ports_name_drop(l->node, l);
  options_close(&l->options);
  if (l->listener != NULL)
    door_of(l->listener)->listening = NULL;
  free(l);
}


/*
** Listening
*/

static int bind_to(listening *l, const sockspec *spec) {
  if (l->family == AF_UNIX)
    return ports_name_add(l->node, &l->addr, l->type, l, spec->unlink_stale);
  int status = ports_check_local(l->node, &l->addr);
  return status < 0 ? status : ports_bind(l->node, &l->addr, &l->options);
}


static listening *listening_new(node *n, const sockspec *spec) {
  listening *l = memory_new(sizeof *l);
  node_ports *p = ports_of(n);
  l->node = n;
  l->family = spec->family;
  l->type = spec->type;
  l->addr = spec->addr;
  l->last = &l->first;
  l->ready.fire = on_ready;
  l->backlog =
      (unsigned)(spec->backlog < BACKLOG_MOST ? spec->backlog : BACKLOG_MOST);
  l->next = p->listening;
  l->at = &p->listening;
  if (l->next != NULL)
    l->next->at = &l->next;
  p->listening = l;
  return l;
}


static int check_spec(const sockspec *spec) {
  if (spec->family == AF_UNIX)
    return spec->type == SOCK_STREAM ? 0 : -ESOCKTNOSUPPORT;
  if (spec->family != AF_INET && spec->family != AF_INET6)
    return -EAFNOSUPPORT;
  return spec->protocol == 0 || spec->protocol == IPPROTO_TCP
             ? 0
             : -EPROTONOSUPPORT;
}


int sim_listen(host *h, const sockspec *spec, listener **out) {
  node *n = node_of(h);
  int status = check_spec(spec);
  if (status < 0)
    return status;
  listening *l = listening_new(n, spec);
  options_open(&l->options, spec->family, spec->type);
  l->options.reuseaddr = spec->family != AF_UNIX; /* by neap, not the kernel */
  status = options_set_all(&l->options, spec);
  if (status == 0)
    status = bind_to(l, spec);
  if (status < 0) {
    listening_free(l);
    return status;
  }
  l->listener = listener_new(h, sizeof(door), spec);
  l->listener->addr = l->addr;
  door_of(l->listener)->listening = l;
  *out = l->listener;
  return 0;
}


/*
** Accepting
*/

int sim_accept(listener *l, stream **out, datagram **message_socket) {
  listening *x = door_of(l)->listening;
  if (x == NULL || x->count == 0)
    return -EAGAIN;
  end *e = x->first;
  take_out(x, e);
  e->listening = NULL;
  *message_socket = NULL;
  *out = end_plug(e, false);
  return 0;
}


bool sim_acceptable(listener *l) {
  const listening *x = door_of(l)->listening;
  return x != NULL && x->count > 0;
}


int sim_watch(listener *l) {
  listening *x = door_of(l)->listening;
  if (x == NULL)
    return 0;
  x->watched = true;
  announce(x);
  return 0;
}


void sim_rest(listener *l) {
  if (door_of(l)->listening != NULL)
    door_of(l)->listening->watched = false;
}


static void on_closed(later *x) {
  door *d = (door *)((char *)x - offsetof(door, later));
  listener_closed((listener *)(void *)d - 1);
}


void sim_close_listener(listener *l) {
  listening *x = door_of(l)->listening;
  if (x != NULL) {
    empty(x);
    listening_free(x);
  }
  round_later(l->host, &door_of(l)->later, on_closed);
}


/*
** Asking
*/

int sim_set_listener(listener *l, const sockopt *o) {
  listening *x = door_of(l)->listening;
  return x == NULL ? -EBADF : options_set(&x->options, x->family, x->type, o);
}


int sim_get_listener(listener *l, sockopt *o) {
  const listening *x = door_of(l)->listening;
  if (x == NULL)
    return -EBADF;
  if (o->level == SOL_SOCKET && o->name == SO_ACCEPTCONN)
    return options_answer(o, 1);
  return options_get(&x->options, x->family, x->type, o);
}


int sim_fd_of_listener(listener *l) {
  (void)l;
  return -EBADF;
}
