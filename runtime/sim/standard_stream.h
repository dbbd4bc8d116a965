/*
** Standard input and outputs of a simulated host as streams: what neap.stdio and
** neap.log have.
*/

#ifndef SIM_STANDARD_STREAM_H
#define SIM_STANDARD_STREAM_H

#include "net/backend.h"

/* backend.borrow. */
int standard_borrow(host *h, int fd, bool reading, stream **out);

#endif
