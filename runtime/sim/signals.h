/*
** The signals of a node, as the kernel and neap's own answer to them are for a real
** process.
*/

#ifndef SIM_SIGNALS_H
#define SIM_SIGNALS_H

#include "sim/node.h"
#include "sys/signals.h"

extern const struct signals sim_signals;

/* Its host has gone. */
void signals_drop(node *n);

#endif
