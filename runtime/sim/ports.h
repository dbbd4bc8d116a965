/*
** What the sockets of a node are bound to: ports, and names of unix sockets.
**
** Who may bind where is as Linux has it.  A name of a unix socket is of any type of
** socket, so it is here for messages, too.  One that is a file's stays when its node
** crashes, and then refuses.
*/

#ifndef SIM_PORTS_H
#define SIM_PORTS_H

#include "net/listener.h"
#include "sim/end.h"

typedef struct listening listening;

/* A listening socket. */
struct listening {
  listening *next, **at; /* of the node's */
  node *node;
  listener *listener;
  address addr;
  int family, type;
  options options;
  end *first, **last; /* to be accepted, the oldest first */
  unsigned count;     /* of these */
  unsigned half;      /* that answer, and are not among them yet */
  unsigned backlog;
  bool watched;
  sim_event ready;
};

typedef struct unix_name unix_name;
struct unix_name {
  unix_name *next;
  address addr;
  int type;
  void *owner; /* NULL: dead */
};

typedef struct node_ports {
  listening *listening;
  end *ends;
  end *waits, **waits_end; /* END_WAITS, the oldest first */
  unix_name *names;
  unsigned lost; /* the node's life that a silent crash ended; 0: none */
} node_ports;

node_ports *ports_of(node *n); /* made if there are none */

/* An end is in the list of all, or of those that wait out their time. */
void ports_add_end(end *e);
void ports_remove_end(end *e);
void ports_let_wait(end *e);

/* Does nothing answer there, not even a kernel? */
bool ports_are_down(const node *n);

/* The node has crashed: its sockets are gone.  `silent`: and nobody is told; else all
 * are reset. */
void ports_vanish(node *n, bool silent);
void ports_close(node *n); /* and the rest, at the end of the simulation */


/* {== Ports of IP */

/* Is the address, without its port, the node's?  0 or -EADDRNOTAVAIL. */
int ports_check_local(node *n, const address *a);

/* Bind to *a who has these options; its port is chosen if it is 0: 0 or
 * -EADDRINUSE. */
int ports_bind(node *n, address *a, const options *o);

/* A port to connect to `remote` from: 0 or -EADDRNOTAVAIL. */
int ports_choose(node *n, address *local, const address *remote);

/* Is that pair of addresses taken? */
bool ports_is_connected(node *n, const address *local, const address *remote);

/* Who listens there: one of those that share it. */
listening *ports_find(node *n, const address *a);

/* ==} */


/* {== Names of unix sockets */

/* Bind to *a: 0 or -errno.  One without a name gets an abstract one.  `replace`: a dead
 * one's file. */
int ports_name_add(node *n, address *a, int type, void *owner, bool replace);
unix_name *ports_name_find(node *n, const address *a);
void ports_name_drop(node *n, const void *owner);

/* ==} */


/* {== listener.c */

/* It has answered: it is to be accepted. */
void listening_add(listening *l, end *e);
void listening_remove(listening *l, end *e);
bool listening_is_full(const listening *l);
void listening_free(listening *l); /* and those in its queue */

int sim_listen(host *h, const sockspec *spec, listener **out);
int sim_accept(listener *l, stream **out, datagram **message_socket);
bool sim_acceptable(listener *l);
int sim_watch(listener *l);
void sim_rest(listener *l);
void sim_close_listener(listener *l);
int sim_set_listener(listener *l, const sockopt *o);
int sim_get_listener(listener *l, sockopt *o);
int sim_fd_of_listener(listener *l);

/* ==} */

#endif
