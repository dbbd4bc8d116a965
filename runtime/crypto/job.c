#include "crypto/job.h"

#include "crypto/crypto.h"
#include "host/error.h"


static const job_kind *kind_of(const job *j) {
  return (const job_kind *)(const void *)j->work.kind;
}


job *job_new(lua_State *L, const job_kind *kind) {
  work_gate *gate = &crypto_need(L)->gate;
  gate->most = JOBS;
  return (job *)work_new(L, &kind->work, gate);
}


void job_compute(work *w) {
  job *j = (job *)w;
  openssl_begin();
  j->ok = kind_of(j)->run(j);
  if (!j->ok)
    openssl_take_error(&j->error);
  ERR_clear_error();
}


int job_push(lua_State *L, work *w) {
  job *j = (job *)w;
  if (j->ok)
    return kind_of(j)->push(L, j);
  lua_pushnil(L);
  error_push_code(L, j->error.code, w->kind->op, NULL, j->error.message);
  return 2;
}


int job_run(lua_State *L, job *j, bool is_long) {
  return work_run(L, &j->work, is_long);
}
