/*
** Listening sockets, as the whole process holds them, and how they are handed on.
**
** When a listening socket is closed, who waits in its queue is reset.  So a worker that
** takes another one's place, and a process that takes ours, gets the very sockets: when
** it asks to listen where its predecessor did.  Which one that is, is known by the
** worker's number (host.slot) and what was asked for, as port 0, in order.
**
** A successor has *settled* when it has, and serves, all that its predecessor had;
** then that one may drain.
*/

#ifndef UV_HOLDING_H
#define UV_HOLDING_H

#include "net/backend.h"
#include "uv/bound_path.h"

typedef struct holding holding;

/* The predecessor's socket for this, a descriptor of the caller's own, and its path;
 * or -ENOENT. */
int holding_take(host *h, const sockspec *spec, bound_path *path);

/* The host listens by fd, which was made for spec, or (NULL) came as a descriptor of
 * that number. */
holding *holding_add(host *h, int fd, const sockspec *spec);

/* Before fd is closed.  True: somebody else goes on with the socket. */
bool holding_drop(holding *x);

/* Somebody accepts by it. */
void holding_serves(holding *x);

/* Does somebody else go on with it? */
bool holding_is_passed(const holding *x);

/* Has the host settled, which has a settled() to call?  Then call it, once. */
void holding_look(host *h);

/* Another descriptor of one that the process was started with, which nobody else gets
 * by its number; -errno. */
int holding_copy(host *h, int fd);

/* Start the program anew, as a process that gets all that this one holds.  *ready is the
 * end of a pipe, on which a byte comes when it has settled; *pid is its.  0 or -errno. */
int holding_restart(host *h, int *ready, int *pid);

/* It has settled: what this process holds is the successor's.  Or it is not to be one. */
void holding_restarted(int pid, bool well);

#endif
