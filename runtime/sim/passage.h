/*
** What passes between two nodes, for who watches the network (sim_outside.passes): a
** message, or a segment of a stream as a packet of TCP would have it, when it leaves.
*/

#ifndef SIM_PASSAGE_H
#define SIM_PASSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

struct node;

typedef struct passage {
  const struct node *from, *to;
  const address *source, *target;
  int protocol;     /* IPPROTO_x */
  uint64_t arrives; /* NEVER: it is lost */
  const char *bytes;
  size_t size;
  uint32_t seq, ack; /* of TCP, from 0 */
  uint8_t flags;     /* as TCP's header has them */
} passage;

#endif
