/*
** What a child's descriptors are to be: our ends of its pipes and its terminal become
** streams, its own ends are opened for it.
*/

#ifndef UV_PLACES_H
#define UV_PLACES_H

#include "sys/process.h"

typedef struct places {
  spawn_fd *fds; /* 0, 1, 2, and those of the spec */
  unsigned count;
  int opened[PROCESS_STREAMS]; /* for the child only; -1: none */
  int terminal;                /* of these the one of its session, or -1 */
} places;

/* Fills *x and p->io; a failure's culprit is the spec's.  Also behind a failure
 * places_close follows. */
int places_open(host *h, spawnspec *spec, process *p, places *x);
void places_close(places *x);

#endif
