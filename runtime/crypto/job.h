/*
** Jobs: computations of OpenSSL's that take long, as work (sched/work.h).
**
**   job *j = job_new(L, &kind);          -- leaves its box on the stack
**   ...fill...
**   return job_run(L, j, it_takes_long); -- as the caller's results
**
** At most JOBS of a host compute at a time.
*/

#ifndef CRYPTO_JOB_H
#define CRYPTO_JOB_H

#include <lua.h>
#include <stdbool.h>

#include "crypto/openssl.h"
#include "sched/work.h"

enum { JOBS = 4 };

typedef struct job job;

typedef struct job_kind {
  work_kind work; /* JOB_WORK of its name, type, and what frees what it holds */

  /* In any thread, without Lua: false, and OpenSSL's queue says why. */
  bool (*run)(job *j);
  int (*push)(lua_State *L, job *j); /* its result, once */
} job_kind;

struct job {
  work work;
  bool ok;
  openssl_error error;
};

#define JOB_WORK(name, type, clear) \
  { name, sizeof(type), job_compute, job_push, clear, false }

void job_compute(work *w);
int job_push(lua_State *L, work *w);

/* Zeroed but for the job itself. */
job *job_new(lua_State *L, const job_kind *kind);

/* To be returned, with the job on top: nil, error, or what the kind pushes. */
int job_run(lua_State *L, job *j, bool is_long);

#endif
