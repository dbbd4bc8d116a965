/*
** Heads of frames, read and written, and masks (RFC 6455 §5.2, §5.3).
*/

#include <string.h>

#include "websocket/websocket.h"

enum { FIN = 0x80, RSV1 = 0x40, RSV23 = 0x30, MASKED = 0x80 };
enum { LENGTH16 = 126, LENGTH64 = 127 };


static const char *check(const frame *f, unsigned first) {
  if ((first & RSV23) != 0)
    return "a reserved bit is set";
  if (f->opcode > PONG || (f->opcode > BINARY && f->opcode < CLOSES))
    return "an unknown opcode";
  if (f->opcode >= CLOSES && !f->fin)
    return "a control frame in fragments";
  if (f->opcode >= CLOSES && f->length > CONTROL_MAX)
    return "a control frame of more than 125 bytes";
  return NULL;
}


static uint64_t read_big(const unsigned char *p, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++)
    value = value << 8 | p[i];
  return value;
}


int frame_read(frame *f, const char *bytes, size_t n, const char **why) {
  const unsigned char *p = (const unsigned char *)bytes;
  if (n < 2)
    return 0;
  *f = (frame){.length = p[1] & 0x7f,
               .opcode = p[0] & 0x0f,
               .fin = (p[0] & FIN) != 0,
               .rsv1 = (p[0] & RSV1) != 0,
               .masked = (p[1] & MASKED) != 0};
  if ((*why = check(f, p[0])) != NULL)
    return -1;
  size_t more = f->length == LENGTH16 ? 2 : f->length == LENGTH64 ? 8 : 0;
  f->size = 2 + more + (f->masked ? sizeof f->mask.key : 0);
  if (more > 0 && n >= 2 + more) {
    f->length = read_big(p + 2, more);
    if (f->length < (more == 2 ? LENGTH16 : 0x10000) || f->length >> 63 != 0)
      *why = "a length that is not written in the shortest form";
  }
  if (*why != NULL)
    return -1;
  if (n < f->size)
    return 0;
  if (f->masked)
    memcpy(f->mask.key, p + 2 + more, sizeof f->mask.key);
  return (int)f->size;
}


static size_t write_big(char *to, uint64_t value, size_t n) {
  for (size_t i = n; i-- > 0; value >>= 8)
    to[i] = (char)(value & 0xff);
  return n;
}


size_t frame_write(char *to, const frame *f) {
  size_t n = 2;
  to[0] = (char)((f->fin ? FIN : 0) | (f->rsv1 ? RSV1 : 0) | f->opcode);
  char masked = (char)(f->masked ? MASKED : 0);
  if (f->length < LENGTH16) {
    to[1] = (char)(masked | (char)f->length);
  } else if (f->length < 0x10000) {
    to[1] = (char)(masked | LENGTH16);
    n += write_big(to + n, f->length, 2);
  } else {
    to[1] = (char)(masked | LENGTH64);
    n += write_big(to + n, f->length, 8);
  }
  if (f->masked) {
    memcpy(to + n, f->mask.key, sizeof f->mask.key);
    n += sizeof f->mask.key;
  }
  return n;
}


/* Eight bytes at once: the mask comes twice in them, so it is not turned by that. */
void mask_copy(mask *m, char *to, const char *from, size_t n) {
  uint64_t word, twice;
  memcpy(&twice, m->key, sizeof m->key);
  memcpy((char *)&twice + sizeof m->key, m->key, sizeof m->key);
  size_t i = 0;
  for (; n - i >= sizeof word; i += sizeof word) {
    memcpy(&word, from + i, sizeof word);
    word ^= twice;
    memcpy(to + i, &word, sizeof word);
  }
  for (; i < n; i++)
    to[i] = (char)(from[i] ^ m->key[i % sizeof m->key]);
  mask turned;
  for (size_t k = 0; k < sizeof m->key; k++)
    turned.key[k] = m->key[(n + k) % sizeof m->key];
  *m = turned;
}
