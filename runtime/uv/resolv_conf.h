/*
** Which servers of names to ask, and how: resolv.conf(5).
**
** It is read here, and not by c-ares, which knows neither `timeout` and `attempts` nor
** the scope of a server's address, and reads it for each channel.
*/

#ifndef UV_RESOLV_CONF_H
#define UV_RESOLV_CONF_H

#include <stdbool.h>
#include <sys/stat.h>

#include "net/address.h"

enum { RESOLV_SERVERS = 3 }; /* as many as the C library takes */

typedef struct resolv_conf {
  address servers[RESOLV_SERVERS]; /* with their ports */
  unsigned server_count;           /* 1 at least: without any, 127.0.0.1 */
  char *search;   /* domains, a blank between them; malloc'ed */
  unsigned ndots; /* a name with so many dots is first tried as it is */
  unsigned timeout,
      attempts; /* seconds for each server, rounds: c-ares waits in each
                                 of them twice as long as in the one before */
  bool rotate;  /* the servers take turns in being the first */
  bool tcp;     /* use-vc */
  bool no_aaaa;
  struct stat file; /* what was read; zeroed where there was none */
} resolv_conf;

/* Read it, where it is another one than before: 1; 0: it is not; -errno for a lack, and
 * nothing has changed.  A zeroed one is one before the first. */
int resolv_conf_read(resolv_conf *c);

void resolv_conf_free(resolv_conf *c);

#endif
