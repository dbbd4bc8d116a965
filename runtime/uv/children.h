/*
** Processes that are made and reaped by hand: uv/process.c.
*/

#ifndef UV_CHILDREN_H
#define UV_CHILDREN_H

/* As fork(2), for a child that is to become another program. */
int children_fork(void);

/* Reap this child when it ends, whichever hosts there are by then, for nobody else
 * waits for it any more.  Where no thread can be had for that, nobody does. */
void children_leave(int pid);

#endif
