/*
** Which node has which IP address: a table of all of them.
*/

#ifndef SIM_HOLDERS_H
#define SIM_HOLDERS_H

#include "net/address.h"
#include "sim/sim.h"

typedef struct holder {
  struct node *node; /* NULL: a free place */
  unsigned char ip[16];
} holder;

/* Zeroed: empty. */
typedef struct holders {
  holder *table;
  size_t count, room;
} holders;

struct node *holders_find(const holders *all, const address *a); /* or NULL */
void holders_add(holders *all, const address *a, struct node *n);
void holders_remove(holders *all, const address *a);
void holders_close(holders *all);

#endif
