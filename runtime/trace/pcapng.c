/*
** The pcapng form: the bytes in packets, as a capture would have them.
**
** Headers are made up.  A stream becomes a TCP connection (talk.c), a message a
** datagram.  What has no ip addresses (unix, mem:, pipes) gets some that nothing
** else uses, and a comment that says what it is (packet.c).
**
** lua/neap/pcap.lua and neap.packet write captures, too, from Lua.  This runs
** under each read and write of a socket, where no Lua may run.
*/

#include "trace/pcapng.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/memory.h"


/*
** Messages
*/

/* Written whole as they are: a packet, or a frame. */
static void put_whole(tracer *t, uint32_t interface, packet *p) {
  char *start = block_room(t, p);
  char *at = block_begin(start, interface, wall(t, p->now));
  block_payload(at, p);
  block_end(t, start, p, 0);
}


static void put_udp(tracer *t, packet *p) {
  p->protocol = IPPROTO_UDP;
  char *start = block_room(t, p);
  char *ip = block_begin(start, 0, wall(t, p->now));
  char *udp = ip + ip_size(p);
  size_t size = 8 + p->size;
  packet_ip(t, ip, p, size);
  put16(udp, port_of(p->from));
  put16(udp + 2, port_of(p->to));
  net16(udp + 4, (uint16_t)size);
  put16(udp + 6, 0);
  block_payload(udp + 8, p);
  uint16_t sum = packet_checksum(p, udp, size);
  put16(udp + 6, sum == 0 ? 0xffff : sum);
  block_end(t, start, p, ip_size(p) + 8);
}


/*
** What goes to another socket of ours is written where it is sent, and known again
** where it arrives: by whom it goes to, and its bytes.
*/

static uint64_t udp_target(const packet *p) {
  uint16_t ports[] = {port_of(p->from), port_of(p->to)};
  return table_hash(ip_of(p->to), is_v4(p->to) ? 4 : 16) ^
         table_hash(ports, sizeof ports);
}


static bool is_told(tracer *t, const packet *p, uint64_t target) {
  struct capture *c = t->capture;
  uint64_t key = table_hash(p->v->iov_base, p->size) ^ target;
  if (target == 0 || key == 0)
    return false;
  if (p->direction == OUTBOUND) {
    c->underway[c->next++ % UNDERWAY] = key;
    return false;
  }
  for (unsigned i = 1; i <= UNDERWAY; i++)
    if (c->underway[(c->next - i) % UNDERWAY] == key)
      return true;
  return false;
}


/* The kernel sets the packet_checksum of an ICMP message that it sends. */
static void put_checksum_icmp(const packet *p, char *icmp) {
  if (p->size < 4)
    return;
  put16(icmp + 2, 0);
  put16(icmp + 2, is_v4(p->from) ? packet_folded(packet_sum(icmp, p->size))
                                 : packet_checksum(p, icmp, p->size));
}


/* The id of what a ping socket asks is the kernel's: it is the socket's port. */
static void put_id(const datagram *d, const packet *p, char *icmp) {
  if (d->type == SOCK_DGRAM && p->size >= 8)
    put16(icmp + 4, port_of(p->from));
}


static void put_bare(tracer *t, const datagram *d, packet *p) {
  char *start = block_room(t, p);
  char *ip = block_begin(start, 0, wall(t, p->now));
  char *payload = ip + ip_size(p);
  packet_ip(t, ip, p, p->size);
  block_payload(payload, p);
  if (p->direction == OUTBOUND &&
      (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)) {
    put_id(d, p, payload);
    put_checksum_icmp(p, payload);
  }
  block_end(t, start, p, ip_size(p));
}


static void put_frame(tracer *t, packet *p) {
  struct capture *c = t->capture;
  if (c->ethernet < 0) {
    block_interface(t, LINK_ETHERNET, "packet");
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
  if (strcmp(x->f->kind, "udp") != 0)
    put_bare(t, d, p);
  else if (!is_told(t, p, udp_target(p)))
    put_udp(t, p);
}


/* Whose is it?  The other end of a pair, or who has the path; 0: unknown. */
static uint64_t unix_target(const seen *x, const address *peer,
                            unsigned direction) {
  const flow *f = x->f;
  unsigned serial = direction == OUTBOUND ? f->other : f->serial;
  const address *a = direction == OUTBOUND ? peer : &f->local;
  if (f->other != 0)
    return table_hash(&serial, sizeof serial);
  return flow_is_unnamed(a) ? 0 : table_hash(&a->u, a->length);
}


/* Longer ones than a datagram can be are cut. */
static void put_unix_message(tracer *t, const seen *x, packet *p) {
  enum { MOST = 65507 };
  char comment[COMMENT_MOST];
  address ends[2];
  const address *peer = x->peer != NULL ? x->peer : &x->f->remote;
  if (is_told(t, p, unix_target(x, peer, p->direction)))
    return;
  packet_make_up(&ends[0], &ends[1], x->f);
  packet_describe(comment, t, x->f, peer);
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
  block_section(t);
  block_interface(t, LINK_RAW, "neap");
}


static void event(tracer *t, const seen *x) {
  if (x->e->stream != NULL)
    talk_event(t, x);
  else if (x->e->datagram != NULL)
    message_event(t, x);
  tracer_ready(t);
}


static void end(tracer *t) {
  talks_end(t);
  free(t->capture);
  t->capture = NULL;
}


const form pcapng_form = {
    .name = "pcapng",
    .begin = begin,
    .event = event,
    .lost = talk_lost,
    .forget = talk_forget,
    .end = end,
};
