/*
** A channel of c-ares on the loop.
**
** Its sockets are ours: the loop's epoll watches them, they have their owner
** (uv/owned.h), and why there is none is known.  One of c-ares 1.18 has one socket for
** each server, and so one port for all that is asked by it; and only all of it can be
** cancelled.
*/

#ifndef UV_CARES_H
#define UV_CARES_H

#include <ares.h>

#include "uv/loop.h"
#include "uv/resolv_conf.h"
#include "uv/timer.h"

typedef struct cares cares;

struct cares {
  cares *next; /* of those that nobody asks by */
  ares_channel channel;
  loop *loop;
  loop_timer timer;
  struct port *ports;
  address servers[RESOLV_SERVERS];
  int lack; /* no socket can be had: -EMFILE or the like; 0 */
  void *of; /* who asks by it */
  void (*moved)(
      cares *c); /* from the loop: callbacks of c-ares may have run; none runs
                              now, and it may be closed */
};

/* Make one, without servers; returns ARES_x. */
int cares_open(cares **out, loop *l, const resolv_conf *conf);

/* While nothing is asked.  The servers take turns in being the first here, for c-ares
 * lets them for a channel only.  Returns ARES_x. */
int cares_set_servers(cares *c, const resolv_conf *conf, unsigned turn);

/* When something was asked, and behind each `moved`: wait for what comes. */
void cares_wait(cares *c);

/* All is answered: wait for nothing.  Its sockets are closed. */
void cares_rest(cares *c);

/* Callbacks come from inside it, with ARES_EDESTRUCTION; then it is freed. */
void cares_close(cares *c);

#endif
