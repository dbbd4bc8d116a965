/*
** What a node, and a simulation, has of messages and addresses, besides what its sockets
** keep.
*/

#ifndef SIM_MAILS_H
#define SIM_MAILS_H

#include "net/backend.h"
#include "sim/holders.h"
#include "sim/node.h"

enum { PLACES = 64 }; /* of a node's table of sockets; a power of two */

struct node_mails {
  netifs interfaces;                     /* interfaces.c */
  struct message_socket *places[PLACES]; /* by the port */
};

struct mails {
  holders holders; /* of addresses that were added: interfaces.c */
};

/* Made if there are none. */
struct node_mails *node_mails_of(node *n);
struct mails *mails_of(sim *s);

/* At the end of the simulation; what sockets there were is closed. */
void mails_close_node(node *n);
void mails_close(sim *s);

#endif
