#include "net/closing.h"

#include "net/round.h"
#include "net/state.h"
#include "sched/task.h"
#include "sched/world.h"

/* Streams read and forget so many bytes behind their close(), all together, and
 * then pause for so long, ns: no peer keeps a processor busy that way. */
#define PAUSE (UINT64_C(10) * 1000000)
enum { PORTION = 2 * 1024 * 1024 };

/* At the program's end, how long a peer must have been silent, ns. */
#define LOOK (UINT64_C(50) * 1000000)


static void expire(host *h, uint64_t now);


static uint64_t earlier(uint64_t a, uint64_t b) {
  return b != 0 && b < a ? b : a;
}


static void set_alarm(struct net *n) {
  uint64_t at = n->closing != NULL ? n->closing->timeout : NEVER;
  at = earlier(earlier(at, n->pause), n->closing != NULL ? n->look : 0);
  sched_alarm(n->host, ALARM_CLOSING, at, expire);
}


/* The pause is over. */
static void go_on(struct net *n) {
  n->pause = n->forgotten = 0;
  for (stream *s = n->closing; s != NULL; s = s->link)
    if (!s->shared) /* who else has it reads it */
      stream_hear(s);
}


/* Those that have got all across, and whose peers say nothing, keep no process
 * from its end. */
static void look(struct net *n, uint64_t now) {
  n->look = now + LOOK;
  for (stream *s = n->closing, *next; s != NULL; s = next) {
    next = s->link;
    if (s->state == LINGERING && stream_is_settled(s))
      stream_give_up(s);
  }
}


static void expire(host *h, uint64_t now) {
  struct net *n = net_of(h);
  while (n->closing != NULL && n->closing->timeout <= now)
    stream_give_up(n->closing);
  if (n->pause != 0 && n->pause <= now)
    go_on(n);
  if (n->look != 0 && n->look <= now)
    look(n, now);
  set_alarm(n);
}


void closing_remove(stream *s) {
  struct net *n = net_of(s->host);
  if (s->link != NULL)
    s->link->link_at = s->link_at;
  else
    n->closing_end = s->link_at;
  *s->link_at = s->link;
}


void closing_add(stream *s) {
  struct net *n = net_of(s->host);
  s->link = NULL;
  s->link_at = n->closing_end;
  *n->closing_end = s;
  n->closing_end = &s->link;
  set_alarm(n);
}


bool closing_forget(host *h, size_t n) {
  struct net *all = net_of(h);
  all->forgotten += n;
  if (all->forgotten >= PORTION && all->pause == 0) {
    all->pause = h->world->now(h->outside) + PAUSE;
    set_alarm(all);
  }
  return all->pause != 0;
}


bool closing_spare(host *h) {
  stream *s = net_of(h)->closing;
  while (s != NULL && s->state != LINGERING)
    s = s->link;
  if (s != NULL)
    stream_give_up(s);
  return s != NULL;
}


/* The program has ended, perhaps in the midst of a round: close what it left open.
 * What Lua has not got, for a lack of memory, is still somebody else's. */
void closing_leave(host *h) {
  struct net *n = net_of(h);
  round_run(h);
  for (stream *s = n->streams, *next; s != NULL; s = next) {
    next = s->next;
    if (s->state <= OPEN && s->outside && s->box != NULL)
      stream_close(s, false);
  }
  n->look = h->world->now(h->outside);
  set_alarm(n);
}


void closing_give_up(host *h) {
  struct net *n = net_of(h);
  while (n != NULL && n->closing != NULL)
    stream_give_up(n->closing);
}
