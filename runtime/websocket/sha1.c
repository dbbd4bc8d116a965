/*
** SHA-1: five words, turned by 80 steps for each block of 64 bytes.
*/

#include <string.h>

#include "websocket/websocket.h"

enum { BLOCK = 64 };


static uint32_t rotate(uint32_t x, int n) {
  return x << n | x >> (32 - n);
}


static uint32_t choose(int step, uint32_t b, uint32_t c, uint32_t d) {
  if (step < 20)
    return ((b & c) | (~b & d)) + UINT32_C(0x5a827999);
  if (step < 40)
    return (b ^ c ^ d) + UINT32_C(0x6ed9eba1);
  if (step < 60)
    return ((b & c) | (b & d) | (c & d)) + UINT32_C(0x8f1bbcdc);
  return (b ^ c ^ d) + UINT32_C(0xca62c1d6);
}


static void turn(uint32_t h[5], const unsigned char *p) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++, p += 4)
    w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
  for (int i = 16; i < 80; i++)
    w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
  for (int i = 0; i < 80; i++) {
    uint32_t next = rotate(a, 5) + choose(i, b, c, d) + e + w[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}


void sha1(unsigned char digest[SHA1_SIZE], const char *bytes, size_t n) {
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const unsigned char *p = (const unsigned char *)bytes;
  size_t left = n;
  for (; left >= BLOCK; left -= BLOCK, p += BLOCK)
    turn(h, p);
  unsigned char last[2 * BLOCK] = {0};
  size_t size = left < BLOCK - 8 ? BLOCK : 2 * BLOCK;
  memcpy(last, p, left);
  last[left] = 0x80;
  uint64_t bits = (uint64_t)n * 8;
  for (size_t i = 0; i < 8; i++)
    last[size - 1 - i] = (unsigned char)(bits >> 8 * i);
  for (size_t at = 0; at < size; at += BLOCK)
    turn(h, last + at);
  for (int i = 0; i < SHA1_SIZE; i++)
    digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}
