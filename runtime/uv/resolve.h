/*
** Looking up hosts by name, for the backend's table.
*/

#ifndef UV_RESOLVE_H
#define UV_RESOLVE_H

#include "net/backend.h"
#include "uv/loop.h"

int resolve_begin(host *h, lookup *l);
void resolve_give_up(lookup *l);

/* When all lookups of the loop are given up. */
void resolve_close(loop *l);

#endif
