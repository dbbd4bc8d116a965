/*
** The headers of packets, and the addresses of what has none of ip.
*/

#include "trace/pcapng.h"

#include <stdio.h>


/*
** Headers
*/

uint64_t packet_sum(const char *bytes, size_t n) {
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


uint16_t packet_folded(uint64_t sum) {
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
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
  put16(at + 10, packet_folded(packet_sum(at, 20)));
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


void packet_ip(tracer *t, char *at, const packet *p, size_t size) {
  if (is_v4(p->from))
    put_v4(t, at, p, size);
  else
    put_v6(at, p, size);
}


uint16_t packet_checksum(const packet *p, const char *at, size_t size) {
  size_t n = is_v4(p->from) ? 4 : 16;
  uint64_t sum = packet_sum(ip_of(p->from), n) + packet_sum(ip_of(p->to), n);
  sum += htons((uint16_t)p->protocol);
  sum += htonl((uint32_t)size);
  return packet_folded(sum + packet_sum(at, size));
}


/*
** Made-up addresses: 127.1 is our end, 127.2 the other, and the rest is the
** serial number: of the first, where both are ours.  Ports that no protocol is known
** by.
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


void packet_make_up(address *local, address *remote, const flow *f) {
  bool is_second = f->other != 0 && f->other < f->serial;
  unsigned serial = is_second ? f->other : f->serial;
  make_up(local, serial, is_second);
  make_up(remote, serial, !is_second);
}


void packet_describe(char out[COMMENT_MOST], const tracer *t, const flow *f,
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
