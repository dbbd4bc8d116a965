/*
** xoshiro256** of Blackman and Vigna, seeded by splitmix64.  Nothing here depends on
** the order of bytes of a machine, nor on its floating point.
*/

#include "sim/chance.h"

enum { MILLION = 1000000 };


static uint64_t rotate(uint64_t x, int n) {
  return x << n | x >> (64 - n);
}


static uint64_t split(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}


void chance_seed(chance *c, uint64_t seed, const char *stream,
                 uint64_t number) {
  uint64_t state = seed;
  for (const char *p = stream; *p != '\0'; p++)
    state = split(&state) ^ (unsigned char)*p;
  state = split(&state) ^ number;
  for (int i = 0; i < 4; i++)
    c->state[i] = split(&state);
}


uint64_t chance_next(chance *c) {
  uint64_t *s = c->state, out = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return out;
}


/* What lies below the largest multiple of n is fair. */
uint64_t chance_below(chance *c, uint64_t n) {
  uint64_t unfair = -n % n, x;
  do
    x = chance_next(c);
  while (x < unfair);
  return x % n;
}


uint64_t chance_between(chance *c, uint64_t low, uint64_t high) {
  uint64_t n = high - low + 1;
  return n == 0 ? chance_next(c) : low + chance_below(c, n);
}


bool chance_happens(chance *c, uint32_t millionths) {
  return millionths > 0 && chance_below(c, MILLION) < millionths;
}


/* -log2 of x / 2^64, in units of 2^-32: the place of the highest bit, and behind it
 * a bit a step, by squaring what is left. */
static uint64_t minus_log2(uint64_t x) {
  int zeros = __builtin_clzll(x);
  uint64_t rest = x << zeros >> 32, log = 0; /* 1 <= rest / 2^31 < 2 */
  for (int i = 0; i < 32; i++) {
    rest = rest * rest >> 31;
    log <<= 1;
    if (rest >= UINT64_C(1) << 32) {
      log |= 1;
      rest >>= 1;
    }
  }
  return ((uint64_t)(zeros + 1) << 32) - log;
}


/* By ln 2 in units of 2^-32, in two steps, each of which fits. */
uint64_t chance_exponential(chance *c, uint64_t mean) {
  const uint64_t ln2 = UINT64_C(2977044472);
  uint64_t log = minus_log2(chance_next(c) | 1);
  uint64_t factor = (log >> 8) * (ln2 >> 8) >> 16; /* of the mean, 2^-32 */
  uint64_t low = (mean & UINT32_MAX) * (factor >> 8) >> 24;
  return (mean >> 32) * factor + low;
}


void chance_fill(chance *c, void *bytes, size_t n) {
  unsigned char *p = bytes;
  for (uint64_t x = 0; n > 0; n--, x >>= 8) {
    if (((uintptr_t)(p - (unsigned char *)bytes) & 7) == 0)
      x = chance_next(c);
    *p++ = (unsigned char)x;
  }
}
