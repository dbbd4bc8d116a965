/*
** What the files of the pcapng form share: the blocks of the format (block.c),
** the headers of packets (packet.c), and the TCP that is invented for streams
** (talk.c).  The form itself is pcapng.c.
*/

#ifndef TRACE_PCAPNG_H
#define TRACE_PCAPNG_H

#include <arpa/inet.h>
#include <string.h>
#include <sys/uio.h>

#include "trace/tracer.h"

enum { LINK_RAW = 101, LINK_ETHERNET = 1 };

enum { COMMENT_MOST = ADDRESS_TEXT + 64 };

enum { INBOUND = 1, OUTBOUND = 2 };

/* Of a talk that has ended, how many are kept for an end that is yet to be
 * accepted. */
enum { ENDED = 256 };

/* How many messages on their way to another socket of ours are known again. */
enum { UNDERWAY = 1024 };

struct capture {
  table talks;
  struct talk *ended[ENDED];
  unsigned oldest;             /* of these */
  unsigned count;              /* of all talks */
  uint64_t underway[UNDERWAY]; /* a ring of what tells a message; 0: none */
  unsigned next;               /* place in it */
  uint16_t id;                 /* of the next IPv4 packet */
  int ethernet;                /* the number of this interface; -1: none yet */
};

/* A packet on its way: from whom to whom, and what is in it. */
typedef struct packet {
  const address *from, *to;
  const struct iovec *v; /* the payload begins `skip` bytes in */
  size_t skip, size;
  int protocol;
  unsigned direction; /* of a message; 0: the addresses tell */
  uint64_t now;
  const char *comment; /* NULL: none */
} packet;


/*
** Blocks
*/

static inline char *put16(char *at, uint16_t n) {
  memcpy(at, &n, sizeof n);
  return at + sizeof n;
}


static inline char *put32(char *at, uint32_t n) {
  memcpy(at, &n, sizeof n);
  return at + sizeof n;
}


/* What a capture begins with, and each interface of it. */
void block_section(tracer *t);
void block_interface(tracer *t, uint16_t link, const char *name);

/* Room for the block of a packet; its beginning, which tells where the packet
 * goes; what is behind that, of so many bytes of headers and the payload. */
char *block_room(tracer *t, const packet *p);
char *block_begin(char *start, uint32_t interface, uint64_t wall);
void block_end(tracer *t, char *start, const packet *p, size_t headers);

void block_payload(char *at, const packet *p);


static inline uint64_t wall(const tracer *t, uint64_t now) {
  return now + (uint64_t)t->epoch;
}


/*
** Packets
*/

static inline char *net16(char *at, uint16_t n) {
  return put16(at, htons(n));
}


static inline char *net32(char *at, uint32_t n) {
  return put32(at, htonl(n));
}


static inline bool is_v4(const address *a) {
  return a->u.any.sa_family == AF_INET;
}


static inline bool is_ip(const address *a) {
  return a->length > 0 &&
         (a->u.any.sa_family == AF_INET || a->u.any.sa_family == AF_INET6);
}


static inline const void *ip_of(const address *a) {
  return is_v4(a) ? (const void *)&a->u.in4.sin_addr
                  : (const void *)&a->u.in6.sin6_addr;
}


/* As it goes into a header. */
static inline uint16_t port_of(const address *a) {
  return is_v4(a) ? a->u.in4.sin_port : a->u.in6.sin6_port;
}


static inline size_t ip_size(const packet *p) {
  return is_v4(p->from) ? 20 : 40;
}


/* The sum of 16-bit words in the order of the wire (RFC 1071), many at a time;
 * carries come round. */
uint64_t packet_sum(const char *bytes, size_t n);

/* As it goes into the header by memcpy. */
uint16_t packet_folded(uint64_t sum);

/* The header of IP for so many bytes behind it. */
void packet_ip(tracer *t, char *at, const packet *p, size_t size);

/* Over the addresses, the protocol, and so many bytes from its header on. */
uint16_t packet_checksum(const packet *p, const char *at, size_t size);

/* Addresses for the ends of what has none of ip. */
void packet_make_up(address *local, address *remote, const flow *f);

/* What stands in a comment where the addresses do not tell it. */
void packet_describe(char out[COMMENT_MOST], const tracer *t, const flow *f,
                     const address *peer);


/*
** Talks
*/

/* What a stream has done, as segments.  The same where there is no room for it: the numbers
 * go on without what was dropped. */
void talk_event(tracer *t, const seen *x);
void talk_lost(tracer *t, const seen *x);

/* The flow is freed next. */
void talk_forget(tracer *t, flow *f);

/* The capture ends: free them all. */
void talks_end(tracer *t);

#endif
