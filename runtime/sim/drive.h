/*
** What node.c and drive.c have in common: the turns of nodes, and their ends.
*/

#ifndef SIM_DRIVE_H
#define SIM_DRIVE_H

#include "sim/node.h"

void drive_init(node *n);

/* It gets a turn, as soon as it is free; or none any more. */
void drive_wake(node *n);
void drive_rest(node *n);

/* Lua of this node's runs now, and is counted; and behind it that of who did before. */
node *drive_enter(node *n);
void drive_leave(node *n, node *before);

/* Its program has ended (node.c). */
void node_end(node *n);
void node_free(node *n);

#endif
