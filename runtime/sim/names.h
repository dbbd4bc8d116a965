/*
** Names of a simulated network: its nodes', those that a world gives besides, and what
** becomes of a lookup.
**
** A lookup takes a time that is drawn, and gives what the name has then.  A name can be
** made to fail: it is not there, or nobody answers, or it is tried again in vain.
*/

#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include "net/backend.h"
#include "sim/sim.h"

/* How names are found in all of the network. */
typedef struct names_manner {
  uint64_t least, most; /* ns that a lookup takes */
  uint32_t failures;    /* in millionths: EAI_AGAIN, after `timeout` */
  uint64_t timeout;     /* ns until who gets no answer gives up */
} names_manner;

void names_set_manner(sim *s, const names_manner *m);

/* From now on a name has these addresses, and no others; status: 0, or what a lookup
 * fails by (ERROR_EAI + EAI_x, or -errno).  NULL addresses and 0: what the node of that
 * name has. */
void names_set(sim *s, const char *name, const address *list, size_t count,
               int status);

void names_close(sim *s);

/* For the backend's table. */
int names_resolve(host *h, lookup *l);
void names_unresolve(lookup *l);
#endif
