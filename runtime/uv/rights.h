/*
** Descriptors in control messages, out and in (SCM_RIGHTS, unix(7)).
*/

#ifndef UV_RIGHTS_H
#define UV_RIGHTS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "net/backend.h"

enum { RIGHTS_MAX = PASSED_MAX };

/* Room for all that one message may carry; credentials come along where they
 * were asked for. */
typedef struct rights {
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(RIGHTS_MAX * sizeof(int)) +
                                        CMSG_SPACE(sizeof(struct ucred))];
} rights;

/* Make n descriptors m's control message. */
void rights_put(rights *r, struct msghdr *m, const int *fds, int n);

/* Give m room for those that arrive. */
void rights_expect(rights *r, struct msghdr *m);

/* Those that have arrived: how many of fds, which has room for RIGHTS_MAX. */
int rights_take(struct msghdr *m, int *fds);

#endif
