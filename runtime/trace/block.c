/*
** The blocks of pcapng: a section, its interfaces, and the packets.
*/

#include "trace/pcapng.h"

#include <stdio.h>

enum {
  SECTION_BLOCK = 0x0a0d0d0a,
  INTERFACE_BLOCK = 1,
  PACKET_BLOCK = 6,
  COMMENT = 1,
  PACKET_FLAGS = 2,
  IF_NAME = 2,
  IF_TSRESOL = 9,
  USER_APPLICATION = 4,
  NANOSECONDS = 9
};

enum {
  HEADERS = 96,    /* more than all of a packet have */
  BLOCK_SIZE = 28, /* of a packet's block, before the packet */
  BLOCK_TAIL = 24  /* behind it, without a comment */
};


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


void block_section(tracer *t) {
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


void block_interface(tracer *t, uint16_t link, const char *name) {
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


char *block_begin(char *start, uint32_t interface, uint64_t wall) {
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
void block_end(tracer *t, char *start, const packet *p, size_t headers) {
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


char *block_room(tracer *t, const packet *p) {
  return sink_room(&t->out, BLOCK_SIZE + HEADERS + padded(p->size) +
                                BLOCK_TAIL + 8 + COMMENT_MOST);
}


void block_payload(char *at, const packet *p) {
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
