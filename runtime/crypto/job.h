/*
** Jobs: computations that take long, in a thread, while only the task waits that
** wants them.
**
** A job is made, filled with copies of all that it needs, and run:
**
**   job *j = job_new(L, &kind);          -- leaves its box on the stack
**   ...fill...
**   return job_run(L, j, it_takes_long); -- as the caller's results
**
** What does not take long, and where no thread can be had, is computed on the spot.
** Nothing can stop a thread: who gives up lets it compute on, and what it found is
** dropped.  At most JOBS of a host compute at a time, these included.
*/

#ifndef CRYPTO_JOB_H
#define CRYPTO_JOB_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "crypto/openssl.h"
#include "host/host.h"
#include "sched/wait.h"

enum { JOBS = 4 };

typedef struct job job;

typedef struct job_kind {
  const char *op; /* for who waits, and of errors */
  size_t size;    /* of the kind's struct, which begins with a job */

  /* In any thread, without Lua: false, and OpenSSL's queue says why. */
  bool (*run)(job *j);
  int (*push)(lua_State *L, job *j); /* its result, once */
  void (*clear)(job *j);             /* free what the job holds */
} job_kind;

struct job {
  const job_kind *kind;
  host *host;
  waitq waiters;
  bool ok;
  openssl_error error;
  enum { JOB_NEW, JOB_RUNNING, JOB_ENDED } state;
  atomic_bool dropped; /* nobody wants it any more */
};

/* Zeroed but for the job itself. */
job *job_new(lua_State *L, const job_kind *kind);

/* To be returned, with the job on top: nil, error, or what the kind pushes. */
int job_run(lua_State *L, job *j, bool is_long);

void job_open(lua_State *L);

#endif
