/*
** The pcapng form: the bytes in packets, as a capture would have them.
**
** Headers are made up.  A stream becomes a TCP connection whose sequence and
** acknowledgement numbers follow its bytes, a message a datagram.  What has no
** ip addresses (unix, mem:, pipes) gets some that nothing else uses, and a
** comment that says what it is.
**
** When both ends of a connection are this process's, its bytes pass here
** twice: they are written where they are sent, and not where they arrive.
** Such ends share a *talk*.
**
** lua/neap/pcap.lua and neap.packet write captures, too, from Lua.  This runs
** under each read and write of a socket, where no Lua may run.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "trace/tracer.h"

enum {
  SECTION_BLOCK = 0x0a0d0d0a,
  INTERFACE_BLOCK = 1,
  PACKET_BLOCK = 6,
  LINK_RAW = 101,
  LINK_ETHERNET = 1,
  COMMENT = 1,
  PACKET_FLAGS = 2,
  IF_NAME = 2,
  IF_TSRESOL = 9,
  USER_APPLICATION = 4,
  NANOSECONDS = 9
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

enum {
  SEGMENT = 65495, /* bytes in one packet, at most: 65,535 with its headers */
  UNACKED = 32768, /* bytes before the other end acknowledges them */
  TCP_SIZE = 20,
  SYN_OPTIONS = 8, /* the largest segment, and the scale of windows */
  HEADERS = 96,    /* more than all of a packet have */
  BLOCK_SIZE = 28, /* of a packet's block, before the packet */
  BLOCK_TAIL = 24, /* behind it, without a comment */
  COMMENT_MOST = ADDRESS_TEXT + 64
};

enum { INBOUND = 1, OUTBOUND = 2 };

/* A connection: its ends, each with the number of its next byte. */
typedef struct talk {
  entry entry; /* by its two addresses; first */
  address ends[2];
  uint32_t next[2];
  uint32_t unacked[2];
  unsigned flows; /* that are in it */
  bool both;      /* two sockets of ours are its ends */
  bool taken[2];  /* an end is, or was, a socket of ours */
  bool begun;     /* its first SYN is written */
  bool open;      /* both are, or it was open before */
  bool fin[2];
  bool reset;
} talk;

/* Of a talk that has ended, how many are kept for an end that is yet to be
 * accepted. */
enum { ENDED = 256 };

struct capture {
  table talks;
  talk *ended[ENDED];
  unsigned oldest; /* of these */
  uint16_t id;     /* of the next IPv4 packet */
  int ethernet;    /* the number of this interface; -1: none yet */
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

static char *put16(char *at, uint16_t n) {
  memcpy(at, &n, sizeof n);
  return at + sizeof n;
}


static char *put32(char *at, uint32_t n) {
  memcpy(at, &n, sizeof n);
  return at + sizeof n;
}


static size_t padded(size_t n) {
  return (n + 3) & ~(size_t)3;
}


static char *put_padded(char *at, const void *bytes, size_t n) {
  memcpy(at, bytes, n);
  memset(at + n, 0, padded(n) - n);
  return at + padded(n);
}


static char *put_option(char *at, uint16_t code, const void *bytes, size_t n) {
  at = put16(at, code);
  at = put16(at, (uint16_t)n);
  return put_padded(at, bytes, n);
}


/* End the block that begins at `start`, where its length is left out. */
static void end_block(tracer *t, char *start, char *at) {
  uint32_t size = (uint32_t)(at - start) + 4;
  put32(start + 4, size);
  put32(at, size);
  sink_add(&t->out, size);
}


static void put_section(tracer *t) {
  static const uint64_t unknown = UINT64_MAX;
  static const char name[] = "neap " NEAP_VERSION;
  char *start = sink_room(&t->out, 128);
  char *at = put32(start, SECTION_BLOCK) + 4;
  at = put32(at, 0x1a2b3c4d);
  at = put16(at, 1);
  at = put16(at, 0);
  memcpy(at, &unknown, sizeof unknown);
  at = put_option(at + sizeof unknown, USER_APPLICATION, name, strlen(name));
  end_block(t, start, put32(at, 0));
}


static void put_interface(tracer *t, uint16_t link, const char *name) {
  static const unsigned char resolution = NANOSECONDS;
  char *start = sink_room(&t->out, 128);
  char *at = put32(start, INTERFACE_BLOCK) + 4;
  at = put16(at, link);
  at = put16(at, 0);
  at = put32(at, 0); /* whole packets */
  at = put_option(at, IF_NAME, name, strlen(name));
  at = put_option(at, IF_TSRESOL, &resolution, 1);
  end_block(t, start, put32(at, 0));
}


static char *begin_packet(char *start, uint32_t interface, uint64_t wall) {
  char *at = put32(start, PACKET_BLOCK) + 4;
  at = put32(at, interface);
  at = put32(at, (uint32_t)(wall >> 32));
  at = put32(at, (uint32_t)wall);
  return at + 8; /* the two sizes */
}


static size_t limited(const tracer *t, size_t headers, size_t payload) {
  return headers + (payload < t->bytes ? payload : t->bytes);
}


/* What was dropped before this packet is told at it. */
static char *put_comment(tracer *t, char *at, const char *comment) {
  char text[COMMENT_MOST];
  int n = snprintf(text, sizeof text, "%s", comment != NULL ? comment : "");
  if (t->untold > 0)
    n = snprintf(text, sizeof text, "%llu events were dropped before this. %s",
                 (unsigned long long)t->untold, comment != NULL ? comment : "");
  t->untold = 0;
  if (n >= COMMENT_MOST)
    n = COMMENT_MOST - 1;
  return put_option(at, COMMENT, text, (size_t)n);
}


/* Behind the packet: padding and options. */
static void end_packet(tracer *t, char *start, const packet *p,
                       size_t headers) {
  size_t whole = headers + p->size;
  size_t taken = limited(t, headers, p->size);
  put32(start + BLOCK_SIZE - 8, (uint32_t)taken);
  put32(start + BLOCK_SIZE - 4, (uint32_t)whole);
  char *at = start + BLOCK_SIZE + taken;
  for (size_t i = taken; i < padded(taken); i++)
    *at++ = 0;
  at = start + BLOCK_SIZE + padded(taken);
  bool told = p->comment != NULL || t->untold > 0;
  if (p->direction != 0)
    at = put_option(at, PACKET_FLAGS, &(uint32_t){p->direction}, 4);
  if (told)
    at = put_comment(t, at, p->comment);
  end_block(t, start, told || p->direction != 0 ? put32(at, 0) : at);
}


static char *room_for(tracer *t, const packet *p) {
  return sink_room(&t->out, BLOCK_SIZE + HEADERS + padded(p->size) +
                                BLOCK_TAIL + 8 + COMMENT_MOST);
}


static void put_payload(char *at, const packet *p) {
  const struct iovec *v = p->v;
  size_t skip = p->skip, left = p->size;
  for (; left > 0; v++) {
    if (skip >= v->iov_len) {
      skip -= v->iov_len;
      continue;
    }
    size_t n = v->iov_len - skip < left ? v->iov_len - skip : left;
    memcpy(at, (const char *)v->iov_base + skip, n);
    at += n;
    left -= n;
    skip = 0;
  }
}


static uint64_t wall(const tracer *t, uint64_t now) {
  return now + (uint64_t)t->epoch;
}


/*
** Headers
*/

static char *net16(char *at, uint16_t n) {
  return put16(at, htons(n));
}


static char *net32(char *at, uint32_t n) {
  return put32(at, htonl(n));
}


/* The sum of 16-bit words in the order of the wire (RFC 1071), many at a time;
 * carries come round. */
static uint64_t sum_of(const char *bytes, size_t n) {
  uint64_t sum = 0, word;
  for (; n >= sizeof word; n -= sizeof word, bytes += sizeof word) {
    memcpy(&word, bytes, sizeof word);
    sum += word;
    sum += sum < word;
  }
  word = 0;
  memcpy(&word, bytes, n);
  sum += word;
  sum += sum < word;
  return (sum & UINT32_MAX) + (sum >> 32);
}


/* As it goes into the header by memcpy. */
static uint16_t folded(uint64_t sum) {
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}


static bool is_v4(const address *a) {
  return a->u.any.sa_family == AF_INET;
}


static const void *ip_of(const address *a) {
  return is_v4(a) ? (const void *)&a->u.in4.sin_addr
                  : (const void *)&a->u.in6.sin6_addr;
}


/* As it goes into a header. */
static uint16_t port_of(const address *a) {
  return is_v4(a) ? a->u.in4.sin_port : a->u.in6.sin6_port;
}


static size_t ip_size(const packet *p) {
  return is_v4(p->from) ? 20 : 40;
}


static void put_v4(tracer *t, char *at, const packet *p, size_t size) {
  memset(at, 0, 20);
  at[0] = 0x45;
  net16(at + 2, (uint16_t)(size + 20));
  net16(at + 4, t->capture->id++);
  net16(at + 6, 0x4000); /* not to be fragmented */
  at[8] = 64;
  at[9] = (char)p->protocol;
  memcpy(at + 12, ip_of(p->from), 4);
  memcpy(at + 16, ip_of(p->to), 4);
  put16(at + 10, folded(sum_of(at, 20)));
}


static void put_v6(char *at, const packet *p, size_t size) {
  memset(at, 0, 8);
  at[0] = 0x60;
  net16(at + 4, (uint16_t)size);
  at[6] = (char)p->protocol;
  at[7] = 64;
  memcpy(at + 8, ip_of(p->from), 16);
  memcpy(at + 24, ip_of(p->to), 16);
}


/* For so many bytes behind it. */
static void put_ip(tracer *t, char *at, const packet *p, size_t size) {
  if (is_v4(p->from))
    put_v4(t, at, p, size);
  else
    put_v6(at, p, size);
}


/* Over the addresses, the protocol, and so many bytes from its header on. */
static uint16_t checksum(const packet *p, const char *at, size_t size) {
  size_t n = is_v4(p->from) ? 4 : 16;
  uint64_t sum = sum_of(ip_of(p->from), n) + sum_of(ip_of(p->to), n);
  sum += htons((uint16_t)p->protocol);
  sum += htonl((uint32_t)size);
  return folded(sum + sum_of(at, size));
}


/*
** Made-up addresses: 127.1 is our end, 127.2 the other, and the rest is the
** serial number.  Ports that no protocol is known by.
*/

enum { FIRST_PORT = 61000, PORTS = 4000 };


static void make_up(address *a, unsigned serial, int end) {
  uint32_t ip = UINT32_C(0x7f000000) | (uint32_t)(end + 1) << 16 |
                (serial / PORTS & 0xffff);
  memset(a, 0, sizeof *a);
  a->length = sizeof a->u.in4;
  a->u.in4.sin_family = AF_INET;
  a->u.in4.sin_addr.s_addr = htonl(ip);
  a->u.in4.sin_port = htons((uint16_t)(FIRST_PORT + serial % PORTS));
}


static bool is_ip(const address *a) {
  return a->length > 0 &&
         (a->u.any.sa_family == AF_INET || a->u.any.sa_family == AF_INET6);
}


/* What stands in a comment where the addresses do not tell it. */
static void describe(char out[COMMENT_MOST], const tracer *t, const flow *f,
                     const address *peer) {
  char local[ADDRESS_TEXT] = "", remote[ADDRESS_TEXT] = "";
  if (!flow_is_unnamed(&f->local))
    address_print(t->host, &f->local, local, sizeof local);
  if (peer != NULL && !flow_is_unnamed(peer))
    address_print(t->host, peer, remote, sizeof remote);
  const char *name = local[0] == '\0' && remote[0] == '\0' && f->name != NULL
                         ? f->name
                         : local;
  snprintf(out, COMMENT_MOST, "%s %u %.200s%s%.200s", f->kind, f->serial, name,
           remote[0] != '\0' ? " - " : "", remote);
}


/*
** TCP
*/

/* The same for both directions. */
static uint64_t key_of(const address *a, const address *b) {
  return table_hash(&a->u, a->length) + table_hash(&b->u, b->length);
}


static uint32_t numbers(uint8_t flags, size_t size) {
  return (uint32_t)size + ((flags & (SYN | FIN)) != 0);
}


static char *put_tcp(char *at, const talk *k, int from, uint8_t flags) {
  const address *a = &k->ends[from], *b = &k->ends[1 - from];
  size_t options = (flags & SYN) != 0 ? SYN_OPTIONS : 0;
  at = put16(at, port_of(a));
  at = put16(at, port_of(b));
  at = net32(at, k->next[from]);
  at = net32(at, (flags & ACK) != 0 ? k->next[1 - from] : 0);
  *at++ = (char)((TCP_SIZE + options) / 4 << 4);
  *at++ = (char)flags;
  at = net16(at, 65535);
  at = net32(at, 0); /* checksum, urgent */
  if (options == 0)
    return at;
  at = net32(at, UINT32_C(0x02040000) | SEGMENT);
  return net32(at, UINT32_C(0x01030307));
}


static void put_segment(tracer *t, talk *k, int from, uint8_t flags,
                        packet *p) {
  p->from = &k->ends[from];
  p->to = &k->ends[1 - from];
  p->protocol = IPPROTO_TCP;
  char *start = room_for(t, p);
  char *ip = begin_packet(start, 0, wall(t, p->now));
  char *tcp = ip + ip_size(p);
  char *payload = put_tcp(tcp, k, from, flags);
  size_t headers = (size_t)(payload - tcp);
  put_payload(payload, p);
  put_ip(t, ip, p, headers + p->size);
  put16(tcp + 16, checksum(p, tcp, headers + p->size));
  end_packet(t, start, p, ip_size(p) + headers);
  k->next[from] += numbers(flags, p->size);
  k->unacked[from] += (uint32_t)p->size;
  if ((flags & ACK) != 0)
    k->unacked[1 - from] = 0;
}


/* One without bytes. */
static void put_control(tracer *t, flow *f, int from, uint8_t flags,
                        const seen *x, const char *comment) {
  packet p = {.now = x->now, .comment = comment};
  put_segment(t, f->talk, from, flags, &p);
}


static void begin_talk(tracer *t, flow *f, int from, const seen *x) {
  char comment[COMMENT_MOST];
  talk *k = f->talk;
  bool made_up = !is_ip(&f->local) || !is_ip(&f->remote);
  if (k->begun)
    return;
  k->begun = true;
  if (made_up)
    describe(comment, t, f, &f->remote);
  put_control(t, f, from, SYN, x, made_up ? comment : NULL);
}


/* The end `from` has asked to connect. */
static void open_talk(tracer *t, flow *f, int from, const seen *x) {
  talk *k = f->talk;
  if (k->open || k->reset)
    return;
  begin_talk(t, f, from, x);
  k->open = true;
  put_control(t, f, 1 - from, SYN | ACK, x, NULL);
  put_control(t, f, from, ACK, x, NULL);
}


static void put_fin(tracer *t, flow *f, int from, const seen *x) {
  talk *k = f->talk;
  if (!k->open || k->fin[from] || k->reset)
    return;
  k->fin[from] = true;
  put_control(t, f, from, FIN | ACK, x, NULL);
  put_control(t, f, 1 - from, ACK, x, NULL);
}


static void put_reset(tracer *t, flow *f, int from, const seen *x,
                      const char *comment) {
  talk *k = f->talk;
  if (!k->begun && !k->open)
    return;
  if (k->reset || (k->fin[0] && k->fin[1]))
    return;
  k->reset = true;
  put_control(t, f, from, RST | ACK, x, comment);
}


/* Bytes that are not written have only a number. */
static void skip_data(talk *k, int from, size_t size) {
  k->next[from] += (uint32_t)size;
}


static void put_data(tracer *t, flow *f, int from, const seen *x) {
  talk *k = f->talk;
  const trace_event *e = x->e;
  for (size_t at = 0; at < e->size;) {
    if (!sink_takes(&t->out)) {
      tracer_drop(t);
      skip_data(k, from, e->size - at);
      return;
    }
    packet p = {.v = e->v, .skip = at, .now = x->now};
    p.size = e->size - at < SEGMENT ? e->size - at : SEGMENT;
    at += p.size;
    put_segment(t, k, from, PSH | ACK, &p);
    if (k->unacked[from] >= UNACKED)
      put_control(t, f, 1 - from, ACK, x, NULL);
  }
}


/*
** Talks
*/

static talk *new_talk(tracer *t, const address *a, const address *b) {
  talk *k = memory_new(sizeof *k);
  k->ends[0] = *a;
  k->ends[1] = *b;
  table_add(&t->capture->talks, &k->entry, key_of(a, b));
  return k;
}


/* The other end of this connection, if that is ours, too. */
static talk *find_talk(const tracer *t, const address *a, const address *b) {
  entry *l = table_find(&t->capture->talks, key_of(a, b));
  for (; l != NULL; l = table_next(l)) {
    talk *k = (talk *)l;
    if (address_equal(&k->ends[0], b) && address_equal(&k->ends[1], a) &&
        !k->taken[1])
      return k;
  }
  return NULL;
}


static void free_talk(tracer *t, talk *k) {
  if (k == NULL)
    return;
  table_remove(&t->capture->talks, &k->entry);
  free(k);
}


/* Nobody refers to it any more, but perhaps somebody will: what a client has
 * sent and left is accepted later. */
static void retire(tracer *t, talk *k) {
  talk **at = &t->capture->ended[t->capture->oldest++ % ENDED];
  free_talk(t, *at);
  *at = k;
}


static void revive(tracer *t, const talk *k) {
  for (int i = 0; i < ENDED; i++)
    if (t->capture->ended[i] == k)
      t->capture->ended[i] = NULL;
}


static void join(flow *f, talk *k, uint8_t side) {
  f->talk = k;
  f->side = side;
  k->taken[side] = true;
  k->both = k->taken[0] && k->taken[1];
  k->flows++;
}


static void join_made_up(tracer *t, flow *f) {
  address a, b;
  make_up(&a, f->serial, 0);
  make_up(&b, f->serial, 1);
  join(f, new_talk(t, &a, &b), 0);
}


/* One that was open before has no beginning. */
static void join_late(flow *f) {
  talk *k = f->talk;
  if (!f->is_late || k->begun)
    return;
  k->begun = k->open = true;
  k->next[0] = k->next[1] = 1;
}


static void find_or_make(tracer *t, flow *f) {
  if (!is_ip(&f->local) || !is_ip(&f->remote) ||
      is_v4(&f->local) != is_v4(&f->remote)) {
    join_made_up(t, f);
  } else {
    talk *k = find_talk(t, &f->local, &f->remote);
    if (k != NULL) {
      if (k->flows == 0)
        revive(t, k);
      join(f, k, 1);
    } else {
      join(f, new_talk(t, &f->local, &f->remote), 0);
    }
  }
  join_late(f);
}


static void forget(tracer *t, flow *f) {
  talk *k = f->talk;
  f->talk = NULL;
  if (k == NULL || --k->flows > 0)
    return;
  if (k->both)
    free_talk(t, k);
  else
    retire(t, k);
}


/*
** Streams
*/

static bool is_reset(int status) {
  return status == -ECONNRESET || status == -ECONNREFUSED || status == -EPIPE;
}


static void stream_failed(tracer *t, flow *f, const seen *x) {
  if (is_reset(x->e->status) && !f->talk->both)
    put_reset(t, f, 1 - f->side, x, NULL);
}


/* Is it written where it is sent, by another socket of ours? */
static bool is_told(const talk *k, const trace_event *e) {
  return k->both && (e->kind == TRACE_READ || e->kind == TRACE_END);
}


static void stream_moved(tracer *t, flow *f, int from, const seen *x) {
  open_talk(t, f, f->side, x);
  if (x->e->v == NULL)
    skip_data(f->talk, from, x->e->size);
  else
    put_data(t, f, from, x);
}


/* One that never was connected ends without a packet. */
static void stream_event(tracer *t, const seen *x) {
  flow *f = x->f;
  if (f->talk == NULL)
    find_or_make(t, f);
  if (is_told(f->talk, x->e))
    return;
  int ours = f->side, theirs = 1 - f->side;
  switch (x->e->kind) {
  case TRACE_CONNECT:
    begin_talk(t, f, ours, x);
    break;
  case TRACE_CONNECTED:
  case TRACE_OPEN:
    open_talk(t, f, ours, x);
    break;
  case TRACE_ACCEPT:
    open_talk(t, f, theirs, x);
    break;
  case TRACE_READ:
    stream_moved(t, f, theirs, x);
    break;
  case TRACE_WRITE:
    stream_moved(t, f, ours, x);
    break;
  case TRACE_END:
    put_fin(t, f, theirs, x);
    break;
  case TRACE_SHUTDOWN:
  case TRACE_CLOSED:
    put_fin(t, f, ours, x);
    break;
  case TRACE_RESET:
    put_reset(t, f, ours, x, NULL);
    break;
  case TRACE_ERROR:
    stream_failed(t, f, x);
    break;
  default:
    break;
  }
}


/*
** Messages
*/

/* Written whole as they are: a packet, or a frame. */
static void put_whole(tracer *t, uint32_t interface, packet *p) {
  char *start = room_for(t, p);
  char *at = begin_packet(start, interface, wall(t, p->now));
  put_payload(at, p);
  end_packet(t, start, p, 0);
}


static void put_udp(tracer *t, packet *p) {
  p->protocol = IPPROTO_UDP;
  char *start = room_for(t, p);
  char *ip = begin_packet(start, 0, wall(t, p->now));
  char *udp = ip + ip_size(p);
  size_t size = 8 + p->size;
  put_ip(t, ip, p, size);
  put16(udp, port_of(p->from));
  put16(udp + 2, port_of(p->to));
  net16(udp + 4, (uint16_t)size);
  put16(udp + 6, 0);
  put_payload(udp + 8, p);
  uint16_t sum = checksum(p, udp, size);
  put16(udp + 6, sum == 0 ? 0xffff : sum);
  end_packet(t, start, p, ip_size(p) + 8);
}


/* The kernel sets the checksum of an ICMP message that it sends. */
static void put_checksum_icmp(const packet *p, char *icmp) {
  if (p->size < 4)
    return;
  put16(icmp + 2, 0);
  put16(icmp + 2, is_v4(p->from) ? folded(sum_of(icmp, p->size))
                                 : checksum(p, icmp, p->size));
}


static void put_bare(tracer *t, packet *p) {
  char *start = room_for(t, p);
  char *ip = begin_packet(start, 0, wall(t, p->now));
  char *payload = ip + ip_size(p);
  put_ip(t, ip, p, p->size);
  put_payload(payload, p);
  if (p->direction == OUTBOUND &&
      (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6))
    put_checksum_icmp(p, payload);
  end_packet(t, start, p, ip_size(p));
}


static void put_frame(tracer *t, packet *p) {
  struct capture *c = t->capture;
  if (c->ethernet < 0) {
    put_interface(t, LINK_ETHERNET, "packet");
    c->ethernet = 1;
  }
  put_whole(t, (uint32_t)c->ethernet, p);
}


/* Does a raw socket's message begin with its IPv4 header?  Those that arrive
 * do; those that are sent may. */
static bool has_header(const packet *p) {
  const unsigned char *b = p->v->iov_base;
  return p->size >= 20 && b[0] >> 4 == 4 &&
         (size_t)(b[2] << 8 | b[3]) == p->size;
}


/* Our own address, of the family of the other end.  Where the socket has all
 * of them, loopback stands for it opposite a loopback address. */
static void set_own(address *own, const address *local, const address *peer) {
  int port = local->length > 0 ? address_port(local) : 0;
  if (is_ip(local) && is_v4(local) == is_v4(peer) && !address_is_any(local)) {
    *own = *local;
    return;
  }
  const unsigned char *ip = ip_of(peer);
  bool loops =
      is_v4(peer) ? ip[0] == 127 : memcmp(ip, &in6addr_loopback, 16) == 0;
  if (loops)
    address_loopback(own, peer->u.any.sa_family, port < 0 ? 0 : port);
  else
    address_any(own, peer->u.any.sa_family, port < 0 ? 0 : port);
}


static void choose_ends(const seen *x, const address *peer, address *own) {
  const flow *f = x->f;
  address_any(own, AF_INET, 0);
  set_own(own, x->local != NULL ? x->local : &f->local, peer);
  if (is_ip(&f->local) && address_port(own) == 0)
    address_set_port(own, address_port(&f->local));
}


static void put_ip_message(tracer *t, const datagram *d, const seen *x,
                           packet *p) {
  address own;
  const address *peer = x->peer != NULL ? x->peer : &x->f->remote;
  if (d->type == SOCK_RAW && d->family == AF_INET && has_header(p)) {
    put_whole(t, 0, p);
    return;
  }
  if (!is_ip(peer)) {
    tracer_drop(t); /* nobody knows to whom */
    return;
  }
  choose_ends(x, peer, &own);
  p->from = p->direction == OUTBOUND ? &own : peer;
  p->to = p->direction == OUTBOUND ? peer : &own;
  p->protocol = d->protocol;
  if (strcmp(x->f->kind, "udp") == 0)
    put_udp(t, p);
  else
    put_bare(t, p);
}


/* Longer ones than a datagram can be are cut. */
static void put_unix_message(tracer *t, const seen *x, packet *p) {
  enum { MOST = 65507 };
  char comment[COMMENT_MOST];
  address ends[2];
  const address *peer = x->peer != NULL ? x->peer : &x->f->remote;
  make_up(&ends[0], x->f->serial, 0);
  make_up(&ends[1], x->f->serial, 1);
  describe(comment, t, x->f, peer);
  size_t n = strlen(comment);
  if (p->size > MOST)
    snprintf(comment + n, sizeof comment - n, ", the first of %zu bytes",
             p->size);
  p->size = p->size > MOST ? MOST : p->size;
  p->comment = comment;
  p->from = &ends[p->direction == OUTBOUND ? 0 : 1];
  p->to = &ends[p->direction == OUTBOUND ? 1 : 0];
  put_udp(t, p);
}


static void message_event(tracer *t, const seen *x) {
  const trace_event *e = x->e;
  packet p = {.v = e->v, .size = e->size, .now = x->now};
  if (e->kind != TRACE_READ && e->kind != TRACE_WRITE)
    return;
  p.direction = e->kind == TRACE_READ ? INBOUND : OUTBOUND;
  if (e->datagram->family == AF_PACKET)
    put_frame(t, &p);
  else if (e->datagram->family == AF_UNIX)
    put_unix_message(t, x, &p);
  else
    put_ip_message(t, e->datagram, x, &p);
}


/*
** The form
*/

static void begin(tracer *t) {
  t->capture = memory_new(sizeof *t->capture);
  t->capture->ethernet = -1;
  put_section(t);
  put_interface(t, LINK_RAW, "neap");
}


static void event(tracer *t, const seen *x) {
  if (x->e->stream != NULL)
    stream_event(t, x);
  else if (x->e->datagram != NULL)
    message_event(t, x);
  tracer_ready(t);
}


/* The numbers go on without what was dropped. */
static void lost(tracer *t, const seen *x) {
  flow *f = x->f;
  trace_kind kind = x->e->kind;
  if (x->e->stream == NULL || (kind != TRACE_READ && kind != TRACE_WRITE))
    return;
  if (f->talk == NULL)
    find_or_make(t, f);
  if (!is_told(f->talk, x->e))
    skip_data(f->talk, kind == TRACE_WRITE ? f->side : 1 - f->side, x->e->size);
}


static void end(tracer *t) {
  for (int i = 0; i < ENDED; i++)
    free_talk(t, t->capture->ended[i]);
  table_clear(&t->capture->talks);
  free(t->capture);
  t->capture = NULL;
}


const form pcapng_form = {
    .name = "pcapng",
    .begin = begin,
    .event = event,
    .lost = lost,
    .forget = forget,
    .end = end,
};
