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

/* For a successor: the variable of its environment that says what it gets, which begins
 * with its pid, in HOLDING_PID characters behind the =, that the caller prints; and the
 * descriptors, ended by -1, that must be open in it.  What is held stays so until the
 * caller is done: holding_handed. */
enum { HOLDING_PID = 10 };
char *holding_hand(int pipe, int **fds);
void holding_handed(char *text, int *fds);

/* What this process holds is the successor's; or it is not. */
void holding_passed(bool well);

#endif
