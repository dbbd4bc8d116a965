/*
** Who keeps all others waiting.
**
** A turn that goes on for too long is found by a timer, in a signal's handler: by the
** ticks of its beginning, so what is not watched pays nothing, and what is watched
** nothing between two looks.  The task says where it is by itself, when the hook that
** the handler has set stops it between two instructions.  It cannot in C.  Inside a
** system call Lua stands still, and the handler reads the stack; in a long computation
** it does not, and only the task is named.
*/

#include "sched/watchdog.h"

#include <errno.h>
#include <stdio.h>

#include "host/harmless.h"
#include "sched/sched.h"
#include "sched/where.h"

#define MILLISECONDS UINT64_C(1000000)

/* How long the hook is waited for, and how often it is set anew: for another coroutine
 * may go on meanwhile. */
#define TRY (20 * MILLISECONDS)
enum { TRIES = 10 };


static uint64_t now(const host *h) {
  return h->world->now(h->outside);
}


static uint64_t ticks(const host *h) {
  return h->world->ticks(h->outside);
}


/* How long the turn has been going on, ns.  How long a tick is, the watchdog's life
 * tells. */
static uint64_t age(const host *h) {
  const struct sched *s = h->sched;
  uint64_t at = ticks(h);
  double all = (double)(at - s->watchdog.ticks);
  double ns = (double)(now(h) - s->watchdog.born);
  if (at <= s->began || all <= 0)
    return 0;
  return (uint64_t)((double)(at - s->began) / all * ns);
}


static bool runs(const host *h) {
  const struct sched *s = h->sched;
  return s != NULL && s->phase == RUNS && s->current != NULL &&
         h->running != NULL;
}


static void note(struct sched *s, uint64_t ns) {
  s->watchdog.turn = s->began;
  s->watchdog.told = ns;
  s->watchdog.tries = 0;
  s->watchdog.stalled = 0;
}


static void add(watchdog_words *out, const char *words) {
  while (*words != '\0' && out->n < sizeof out->text)
    out->text[out->n++] = *words++;
}


/* Others may have named what the text tells of, and in a handler it is written as it
 * is. */
static void make_harmless(watchdog_words *out) {
  for (size_t i = 0; i < out->n; i++) {
    char c = out->text[i];
    if (c != '\n' && c != '\t' && (c < ' ' || c > '~'))
      out->text[i] = '?';
  }
}


static void say(const host *h, bool still, uint64_t ns, watchdog_words *out) {
  add(out, h->label);
  add(out, ": watchdog: ");
  out->n += sched_where_stalled(h, still, ns, out->text + out->n,
                                sizeof out->text - out->n);
}


static void say_end(const host *h, watchdog_words *out) {
  add(out, h->label);
  add(out, ": watchdog: that was too long: the process ends\n");
}


void watchdog_hear(lua_State *L) {
  host *h = host_of(L);
  char text[WATCHDOG_TEXT];
  uint64_t ns = age(h);
  h->sched->watchdog.stalled = 0;
  if (!runs(h) || ns < h->sched->watchdog.after)
    return;
  size_t n = sched_where_stalled(h, true, ns, text, sizeof text - 1);
  text[n] = '\0';
  fflush(stdout);
  fprintf(stderr, "%s: watchdog: ", h->label);
  harmless_text(stderr, text);
  fflush(stderr);
  note(h->sched, ns);
}


/* True: the task is to tell by itself, which is waited for. */
static bool asks(host *h) {
  struct sched *s = h->sched;
  if (s->watchdog.tried != s->began)
    s->watchdog.tries = 0;
  s->watchdog.tried = s->began;
  if (s->watchdog.tries >= TRIES)
    return false;
  s->watchdog.tries++;
  s->watchdog.stalled = 1;
  preempt_look_closely(h->running);
  return true;
}


/* True: it is told, or no longer waited for that it tells by itself. */
static bool tell(host *h, bool still, uint64_t ns, watchdog_words *out) {
  struct sched *s = h->sched;
  if (!still && asks(h))
    return false;
  say(h, still, ns, out);
  note(s, ns);
  return true;
}


/* How long the turn was when it was told of last. */
static uint64_t told(const struct sched *s) {
  return s->watchdog.turn == s->began ? s->watchdog.told : 0;
}


/* True: the process is to end, and that is said. */
static bool end(host *h, bool still, uint64_t ns, watchdog_words *out) {
  bool is_told = told(h->sched) >= h->sched->watchdog.end;
  if (!is_told && !tell(h, still, ns, out))
    return false;
  say_end(h, out);
  return true;
}


/* How long until the next look. */
static uint64_t look(host *h, bool still, uint64_t ns, watchdog_words *out) {
  struct sched *s = h->sched;
  uint64_t due = told(s) + s->watchdog.after;
  if (ns >= due && !tell(h, still, ns, out))
    return TRY;
  if (ns >= due)
    due = ns + s->watchdog.after;
  if (s->watchdog.end > 0 && s->watchdog.end < due)
    due = s->watchdog.end;
  return due > ns ? due - ns : TRY;
}


bool sched_reminded(host *h, bool still, watchdog_words *out) {
  int kept = errno;
  struct sched *s = h->sched;
  uint64_t next = s->watchdog.after, ns = runs(h) ? age(h) : 0;
  bool is_late = s->watchdog.end > 0 && ns >= s->watchdog.end;
  out->n = 0;
  bool ends = is_late && end(h, still, ns, out);
  if (is_late)
    next = TRY;
  else if (ns > 0)
    next = look(h, still, ns, out);
  make_harmless(out);
  s->watchdog.remind(h->outside, next);
  errno = kept;
  return !ends;
}


int watchdog_begin(host *h, reminder *remind, uint64_t after, uint64_t end) {
  struct sched *s = h->sched;
  s->watchdog.remind = remind;
  s->watchdog.after = after;
  s->watchdog.end = end;
  s->watchdog.born = now(h);
  s->watchdog.ticks = ticks(h);
  return remind(h->outside, after);
}


/*
** Where a host's time is counted, what has no end is found out by that
*/

void sched_overrun(host *h) {
  struct sched *s = h->sched;
  if (s->current == NULL || h->running == NULL)
    return;
  report_overrun(h->running, s->current);
  sched_interrupt(h, 1, "computes without end");
  sched_insist(h);
}
