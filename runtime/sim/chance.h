/*
** Chance that a seed decides: the same seed and the same stream give the same
** numbers, on every machine.
**
** Each purpose draws from a *stream* of its own, so one more draw for one of them
** moves nothing in the others.
*/

#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct chance {
  uint64_t state[4];
} chance;

/* The beginning of a stream: by its name and a number, of a node for one. */
void chance_seed(chance *c, uint64_t seed, const char *stream, uint64_t number);

uint64_t chance_next(chance *c); /* 64 bits */

/* 0..n-1, each as likely; n is not 0. */
uint64_t chance_below(chance *c, uint64_t n);

/* low..high, each as likely. */
uint64_t chance_between(chance *c, uint64_t low, uint64_t high);

/* True in so many cases of a million.  It draws nothing for 0. */
bool chance_happens(chance *c, uint32_t millionths);

/* Of a memoryless wait of that mean, ns or any other unit: computed in integers, and
 * 44 means at most. */
uint64_t chance_exponential(chance *c, uint64_t mean);

void chance_fill(chance *c, void *bytes, size_t n);

#endif
