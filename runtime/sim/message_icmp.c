/*
** ICMP: nodes answer echo requests as kernels do, and tell senders what did not
** arrive; and raw sockets, which have all of a protocol.
*/

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/message.h"

enum {
  HEADER = 8,     /* type, code, checksum, identifier, sequence */
  IDENTIFIER = 4, /* its place */
  ECHO4 = 8,
  REPLY4 = 0,
  ECHO6 = 128,
  REPLY6 = 129,
  UNREACHABLE4 = 3,
  UNREACHABLE6 = 1,
  PORT4 = 3, /* codes of it */
  PORT6 = 4,
  HOST4 = 1,
  HOST6 = 3,
  IP_HEADER = 20
};

/* Until a node holds that nobody has an address, ns. */
#define NO_ANSWER (3 * UINT64_C(1000000000))

#ifndef SOL_RAW
#define SOL_RAW 255
#endif
#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif


static bool is_four(const address *a) {
  return a->u.any.sa_family == AF_INET;
}


/*
** Checksums
*/

static uint32_t add_up(uint32_t sum, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++)
    sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
  return sum;
}


static void put_sum(char *at, uint32_t sum) {
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum;
  at[0] = (char)(sum >> 8);
  at[1] = (char)sum;
}


/* IPv6's has the addresses in it. */
static void sum_up(flight *f) {
  uint32_t sum = 0;
  f->bytes[2] = f->bytes[3] = 0;
  if (!is_four(&f->target)) {
    sum = add_up(sum, &f->source.u.in6.sin6_addr, 16);
    sum = add_up(sum, &f->target.u.in6.sin6_addr, 16);
    sum += (uint32_t)f->size + IPPROTO_ICMPV6;
  }
  put_sum(f->bytes + 2, add_up(sum, f->bytes, f->size));
}


/*
** Ping sockets
*/

int icmp_check(const message_socket *m, const outgoing *o) {
  int family = message_datagram((message_socket *)(uintptr_t)m)->family;
  unsigned char type = family == AF_INET ? ECHO4 : ECHO6;
  bool good = o->size >= HEADER && (unsigned char)o->bytes[0] == type &&
              o->bytes[1] == 0;
  return good ? 0 : -EINVAL;
}


/* The identifier is the socket's port. */
void icmp_write(message_socket *m, flight *f) {
  unsigned port = message_port(m);
  f->bytes[IDENTIFIER] = (char)(port >> 8);
  f->bytes[IDENTIFIER + 1] = (char)port;
  sum_up(f);
}


static unsigned identifier_of(const flight *f) {
  return (unsigned)(unsigned char)f->bytes[IDENTIFIER] << 8 |
         (unsigned char)f->bytes[IDENTIFIER + 1];
}


/* Back by the same way. */
static flight *answer(const flight *f, const char *bytes, size_t n,
                      void (*arrive)(flight *f)) {
  flight *a = flight_new(f->sim, f->to, f->from, bytes, n);
  a->source = f->target;
  a->target = f->source;
  if (f->many)
    a->source = is_four(&f->target) ? f->to->ip4 : f->to->ip6;
  a->protocol = f->protocol;
  a->ttl = 64;
  a->tos = f->tos;
  a->arrive = arrive;
  return a;
}


static void send_back(flight *f) {
  flight_send(f, f->from == f->to ? LOOPBACK_TIME : 0);
}


static void answer_echo(const flight *f) {
  flight *a = answer(f, f->bytes, f->size, icmp_arrived);
  a->fragments = f->fragments;
  a->bytes[0] = (char)(is_four(&f->target) ? REPLY4 : REPLY6);
  address_set_port(&a->source, 0);
  sum_up(a);
  send_back(a);
}


static void give_reply(const flight *f) {
  flight as_ping = *f;
  as_ping.raw = false;
  address_set_port(&as_ping.target, identifier_of(f));
  message_socket *m = message_find(f->to, &as_ping);
  if (m != NULL)
    message_give(m, f, f->bytes, f->size);
}


/*
** Raw sockets
*/

static bool lets_through(message_socket *m, const flight *f) {
  bool four = is_four(&f->target);
  const sockopt *o =
      message_setting(m, four ? SOL_RAW : IPPROTO_ICMPV6, ICMP_FILTER);
  unsigned type = f->size > 0 ? (unsigned char)f->bytes[0] : 0;
  uint32_t word;
  if (o == NULL || type / 32 * 4 + 4 > o->length || (four && type >= 32))
    return true;
  memcpy(&word, o->value + type / 32 * 4, sizeof word);
  return (word >> type % 32 & 1) == 0;
}


/* IPv4's header is before its bytes, which only raw sockets see. */
static void give_with_header(message_socket *m, const flight *f) {
  size_t n = IP_HEADER + f->size;
  char *packet = memory_new(n);
  packet[0] = 0x45;
  packet[1] = (char)f->tos;
  packet[2] = (char)(n >> 8);
  packet[3] = (char)n;
  packet[6] = 0x40; /* not in fragments */
  packet[8] = (char)f->ttl;
  packet[9] = (char)f->protocol;
  memcpy(packet + 12, &f->source.u.in4.sin_addr, 4);
  memcpy(packet + 16, &f->target.u.in4.sin_addr, 4);
  put_sum(packet + 10, add_up(0, packet, IP_HEADER));
  memcpy(packet + IP_HEADER, f->bytes, f->size);
  message_give(m, f, packet, n);
  free(packet);
}


static bool is_icmp(int protocol) {
  return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}


static void give_raw(const flight *f) {
  flight as_raw = *f;
  as_raw.raw = true;
  for (message_socket *m = message_first_raw(f->to); m != NULL; m = m->next) {
    if (message_score(m, &as_raw) < 0)
      continue;
    if (is_icmp(f->protocol) && !lets_through(m, f))
      continue;
    if (is_four(&f->target))
      give_with_header(m, f);
    else
      message_give(m, f, f->bytes, f->size);
  }
}


void icmp_arrived(flight *f) {
  bool four = is_four(&f->target);
  if (!node_lives(f->to) && f->to->state != NODE_ENDED)
    return;
  give_raw(f);
  if (f->protocol != (four ? IPPROTO_ICMP : IPPROTO_ICMPV6) || f->size < HEADER)
    return;
  unsigned type = (unsigned char)f->bytes[0];
  if (type == (four ? ECHO4 : ECHO6))
    answer_echo(f);
  else if (type == (four ? REPLY4 : REPLY6))
    give_reply(f);
}


/*
** What did not arrive
*/

static int status_of(uint8_t type, uint8_t code, bool four) {
  if (type != (four ? UNREACHABLE4 : UNREACHABLE6))
    return -EPROTO;
  return code == (four ? PORT4 : PORT6) ? -ECONNREFUSED : -EHOSTUNREACH;
}


static void on_refused(flight *f) {
  flight sent = *f; /* as the message was, turned round */
  sent.source = f->failure->to;
  if (!node_lives(f->to))
    return;
  message_socket *m = message_find(f->to, &sent);
  if (m == NULL)
    return;
  if (message_ip_option(m, f->target.u.any.sa_family, IP_RECVERR, IPV6_RECVERR,
                        0) != 0)
    message_failed(m, f->failure);
  else if (m->peer.length > 0)
    message_soft_error(m, f->failure->status);
}


static flight *refusal(const flight *f, const address *by, uint8_t code4,
                       uint8_t code6) {
  bool four = is_four(&f->target);
  flight *a = answer(f, "", 0, on_refused);
  failure *what = memory_new(sizeof *what);
  *what = (failure){.to = f->target, .by = *by, .icmp = true};
  what->type = four ? UNREACHABLE4 : UNREACHABLE6;
  what->code = four ? code4 : code6;
  what->status = status_of(what->type, what->code, four);
  address_set_port(&what->by, 0);
  a->failure = what;
  return a;
}


void icmp_refuse(const flight *f) {
  if (!f->many)
    send_back(refusal(f, &f->target, PORT4, PORT6));
}


void icmp_no_route(flight *f) {
  flight *a = refusal(f, &f->source, HOST4, HOST6);
  a->from = a->to = f->from;
  flight_send(a, NO_ANSWER);
  flight_free(f);
}
