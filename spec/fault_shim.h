/*
** What fault_shim.c makes fail, and what it has in common with who watches it, which is
** another process.
*/

#ifndef FAULT_SHIM_H
#define FAULT_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>

enum { MOST_ERRORS = 10 };

/* The functions, by number. */
enum {
#define CALL(type, name, failed, parameters, arguments, ...) CALL_##name,
#define VARIADIC(type, name, parameters, arguments, last, ...) CALL_##name,
#define SYSTEM_CALL(name, ...) SYSTEM_##name,
#define ALLOCATION(name, parameters, arguments) ALLOCATION_##name,
#include "fault_calls.h"
  CALLS
};

typedef struct fault_call {
  const char *name;
  bool allocates;
  int errors[MOST_ERRORS]; /* 0 behind the last */
} fault_call;

extern const fault_call fault_calls[CALLS];

typedef struct fault_plan {
  int feature;
  int call, error; /* which is to fail */
  long n;          /* from 1; 0: none */
  atomic_bool armed, reached;
  atomic_bool over; /* there is no such feature */
  atomic_long counts[CALLS];
  int descriptors; /* when it ended; -1: it did not come to that */
} fault_plan;

extern fault_plan *plan; /* NULL: nothing fails, as with who watches */

int fault_descriptors(void); /* how many are open */

#endif
