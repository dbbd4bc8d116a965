/*
** Descriptors that are not ours, and who waits for them (net/backend.h).
*/

#ifndef UV_FOREIGN_H
#define UV_FOREIGN_H

#include "net/backend.h"
#include "uv/loop.h"

int foreign_look(host *h, int fd, unsigned events);
int foreign_attend(host *h, attention *a);
void foreign_unattend(host *h, attention *a);

/* For the loop: is this such a watch?  Its descriptor was closed by its owner: who
 * waits for it is told. */
bool foreign_is(const watch *w);
void foreign_gone(loop *l, watch *w);

#endif
