/*
** Which sockets a tracer hears of.
*/

#ifndef TRACE_FILTER_H
#define TRACE_FILTER_H

#include "trace/flow.h"

enum { FILTERS = 16 }; /* of one tracer; any of them lets an event through */

/* One of them: what is set must be true of either end. */
typedef struct filter {
  char kind[12];               /* "tcp", ...; "": any */
  int family;                  /* AF_INET, AF_INET6; 0: any */
  int bits;                    /* of ip that count; -1: any address */
  unsigned char ip[16];        /* 4 of them for AF_INET */
  int port;                    /* -1: any */
  char path[ADDRESS_PATH + 1]; /* of unix, or mem:'s name; "": any */
  bool is_beginning;           /* the path need only begin so */
} filter;

/* Does it let through what happens on f?  `peer` is the other end of a
 * message, or NULL. */
bool filter_takes(const filter *x, const flow *f, const address *peer);

#endif
