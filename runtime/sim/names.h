/*
** Names of a simulated network: its nodes'.  A lookup takes a time that is drawn, and
** gives what the name has then.
*/

#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include "net/backend.h"
#include "sim/sim.h"

/* For the backend's table. */
int names_resolve(host *h, lookup *l);
void names_unresolve(lookup *l);
#endif
