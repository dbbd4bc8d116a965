/*
** Interfaces of a node, their addresses, and the way to others.
**
** Each node has lo, and eth0 with its two addresses in one network of all (10.0.0.0/8,
** fd00::/64); more are added.  There are no routers: whoever has an address is reached
** from everywhere.
*/

#ifndef SIM_INTERFACES_H
#define SIM_INTERFACES_H

#include <netinet/in.h>

#include "net/backend.h"
#include "sim/sim.h"

enum {
  ETHERNET_MTU = 1500,
  LOOPBACK_MTU = 65536,
  LOOPBACK_INTERFACE = 1, /* lo's number */
  FIRST_INTERFACE = 2     /* eth0's */
};

typedef enum route_kind {
  ROUTE_LOCAL,     /* the node itself */
  ROUTE_NODE,      /* another one */
  ROUTE_NOBODY,    /* an address of a network of ours, which nobody has */
  ROUTE_NONE,      /* no network of ours */
  ROUTE_GROUP,     /* multicast */
  ROUTE_BROADCAST, /* all of the network */
} route_kind;

typedef struct route {
  route_kind kind;
  struct node *node;  /* LOCAL, NODE */
  unsigned interface; /* by which it leaves */
  int mtu;            /* of that interface */
  address source;     /* of ours, port 0; of no length where there is none */
} route;

/* The way to an IP address.  interface: of a script's choice; 0: any. */
void route_find(struct node *n, const address *to, unsigned interface,
                route *out);

/* Is it an address of the node's own: 127.0.0.0/8 and ::1, too?  Of which interface;
 * 0: no. */
unsigned netif_owns(struct node *n, const address *a);

/* Has it an interface of that number? */
bool netif_has(struct node *n, unsigned index);

/* All of a node, lo first; made if there are none. */
netifs *netifs_of(struct node *n);

/* For the backend's table. */
int netif_index(host *h, const char *name);
int netif_name(host *h, unsigned index, char out[16]);
int netif_list(host *h, netifs *all);

#endif
