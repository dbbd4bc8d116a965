/*
** What a node, and a simulation, has of messages and addresses, besides what its sockets
** keep.
*/

#ifndef SIM_MAILS_H
#define SIM_MAILS_H

#include "net/backend.h"
#include "sim/node.h"

enum { PLACES = 64 }; /* of a node's table of sockets; a power of two */

struct node_mails {
  netifs interfaces;                     /* interfaces.c */
  struct message_socket *places[PLACES]; /* by the port */
};

/* Made if there is none. */
struct node_mails *node_mails_of(node *n);

/* At the end of the node; what sockets there were is closed. */
void mails_close_node(node *n);

#endif
