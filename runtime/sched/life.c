#include "sched/life.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/profile.h"
#include "sched/sched.h"

/* How long the end waits for what sockets accepted to go out, ns. */
#define DRAIN (5 * UINT64_C(1000000000))


/*
** The beginning
*/

int life_open(host *h, int (*make)(host *h), const subsystem *all) {
  int status = make(h);
  if (status < 0)
    return status;
  world_check(h->world);
  h->subsystems = all;
  if (host_open(h))
    return 0;
  h->world->close(h);
  return -ENOMEM;
}


static bool open_one(host *h, lua_CFunction f) {
  if (f == NULL)
    return true;
  lua_pushcfunction(h->L, f);
  return host_call(h, 0, 0);
}


static bool is_last(const subsystem *s) {
  return s->open == NULL && s->end == NULL && s->close == NULL;
}


static bool open_all(host *h) {
  bool ok = open_one(h, sched_open);
  for (const subsystem *s = h->subsystems; ok && !is_last(s); s++)
    ok = open_one(h, s->open);
  return ok && open_one(h, host_seal);
}


/* Errors before the first task runs have no traceback to show.  It may be that a
 * signal has come. */
static void tell_failure(host *h) {
  const char *text = lua_tostring(h->L, -1);
  if (h->preempt_due && h->sched != NULL)
    h->world->hear(h->outside);
  if (h->exit_status < 0)
    return;
  host_tell(h, text, strcspn(text, "\n"));
  if (h->exit_status == 0)
    h->exit_status = EXIT_FAILURE;
}


bool life_start(host *h, lua_CFunction start, void *about) {
  bool ok = open_all(h);
  if (ok) {
    lua_pushcfunction(h->L, start);
    lua_pushlightuserdata(h->L, about);
    ok = host_call(h, 1, 0);
    h->sched->phase = RUNS;
    preempt_rest(h);
  }
  if (!ok)
    tell_failure(h);
  return ok;
}


/*
** Turns
*/

/* The program has ended. */
static void begin_drain(host *h) {
  struct sched *s = h->sched;
  preempt_over(h);
  profile_over(h);
  sched_flush(s);
  h->quiet = true;
  if (s->leave != NULL)
    s->leave(h);
  s->patience = h->world->now(h->outside) + DRAIN;
}


/* Is there time left?  Then until when, before there is something to do. */
static bool lingers(host *h, uint64_t deadline, uint64_t *next) {
  uint64_t alarm = sched_alarms(h);
  *next = alarm < deadline ? alarm : deadline;
  return h->world->now(h->outside) < deadline;
}


enum turn life_turn(host *h, uint64_t time, uint64_t *next) {
  struct sched *s = h->sched;
  if (!h->quiet) {
    enum turn t = sched_turn(s, time, next);
    if (t != TURN_ENDED)
      return t;
    begin_drain(h);
  }
  if (lingers(h, s->patience, next) && s->holds > 0)
    return TURN_DRAINS;
  *next = NEVER;
  return TURN_ENDED;
}


void life_deadlock(host *h) {
  if (h->sched->deadlocked)
    h->sched->stopped = true;
  else
    report_deadlock(h->sched);
}


void life_waiting(host *h) {
  report_waiting(h->sched);
}


char *life_eldest(host *h) {
  return report_eldest(h->sched);
}


int life_run(host *h) {
  uint64_t next, time = 0;
  for (enum turn t; (t = life_turn(h, time, &next)) != TURN_ENDED;) {
    if (t == TURN_STUCK)
      life_deadlock(h);
    time = t == TURN_STUCK ? 0 : h->world->poll(h->outside, next);
  }
  return h->exit_status;
}


/*
** The end
*/

void life_linger(host *h, bool (*more)(host *h), uint64_t deadline) {
  uint64_t next;
  h->quiet = true;
  while (lingers(h, deadline, &next) && more(h))
    h->world->poll(h->outside, next);
}


static bool is_held(host *h) {
  return h->sched->holds > 0;
}


void life_drain(host *h) {
  begin_drain(h);
  life_linger(h, is_held, h->sched->patience);
}


static const subsystem *last(const host *h) {
  const subsystem *s = h->subsystems;
  while (!is_last(s))
    s++;
  return s;
}


/* A signal that comes while finalizers run changes no more how it went. */
void life_end(host *h) {
  preempt_over(h);
  int status = h->exit_status;
  profile_close(h);
  host_close(h);
  h->exit_status = status;
  h->quiet = true;
  for (const subsystem *s = last(h); s > h->subsystems;)
    if ((--s)->end != NULL)
      s->end(h);
}


bool life_is_busy(host *h) {
  return h->world->busy(h->outside);
}


void life_close(host *h) {
  if (!h->ended)
    life_end(h);
  h->world->close(h); /* the last bodies are freed in it */
  for (const subsystem *s = last(h); s > h->subsystems;)
    if ((--s)->close != NULL)
      s->close(h);
  sched_close(h);
  free(h->told);
  free(h->told_at);
  h->told = h->told_at = NULL;
}
