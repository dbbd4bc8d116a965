/*
** Options of simulated sockets: those that have a meaning here, and all others as
** they were set.
*/

#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "net/backend.h"

typedef struct options {
  sockopt *kept; /* malloc'ed, those that were set */
  unsigned count;
  unsigned sndbuf, rcvbuf; /* bytes */
  unsigned user_timeout;   /* ms; 0: the kernel's patience */
  unsigned idle, interval; /* of keepalive, s */
  unsigned probes;
  int linger; /* s; -1: off */
  bool keepalive, reuseaddr, reuseport, v6only;
} options;

/* What a new socket of the family and type has. */
void options_open(options *o, int family, int type);
void options_close(options *o);
void options_copy(options *to,
                  const options *from); /* accepted sockets inherit */

/* 0 or -errno, as setsockopt. */
int options_set(options *o, int family, int type, const sockopt *x);
int options_set_all(options *o, const sockspec *spec);

/* As getsockopt, but for what only the socket knows: SO_ERROR and the like. */
int options_get(const options *o, int family, int type, sockopt *x);

/* x->value is this number now. */
int options_answer(sockopt *x, int n);

#endif
