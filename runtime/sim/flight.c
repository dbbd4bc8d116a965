#include "sim/flight.h"

#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "sim/history.h"
#include "sim/node.h"
#include "sim/passage.h"

enum { HEADERS = 28 }; /* of IP and UDP: bytes on the link */

struct flights {
  flight *first, **last; /* under way */
  uint64_t serial;       /* the last one's */
  flight_rule *rule;     /* NULL: none */
  void *about;
  bool streams;
  flight *undecided, **last_undecided;
};

static void depart(flight *f);
static void take_link(flight *f, uint64_t delay);


/* Made if there are none. */
static struct flights *flights_of(sim *s) {
  struct flights **at = links_flights(s);
  if (*at != NULL)
    return *at;
  *at = memory_new(sizeof **at);
  (*at)->last = &(*at)->first;
  (*at)->last_undecided = &(*at)->undecided;
  return *at;
}


static flight *flight_of(sim_event *e) {
  return (flight *)(void *)((char *)e - offsetof(flight, event));
}


/*
** The list
*/

static void append(flight *f) {
  struct flights *all = flights_of(f->sim);
  f->next = NULL;
  f->at = all->last;
  *f->at = f;
  all->last = &f->next;
}


static void take_off(flight *f) {
  struct flights *all = flights_of(f->sim);
  *f->at = f->next;
  if (f->next != NULL)
    f->next->at = f->at;
  else
    all->last = f->at;
}


flight *flight_new(sim *s, struct node *from, struct node *to,
                   const char *bytes, size_t n) {
  flight *f = memory_new(sizeof *f + n);
  f->sim = s;
  f->from = from;
  f->to = to;
  f->bytes = f->own;
  f->size = n;
  if (n > 0)
    memcpy(f->own, bytes, n);
  return f;
}


static flight *copy_of(const flight *f) {
  flight *copy = flight_new(f->sim, f->from, f->to, f->bytes, f->size);
  char *bytes = copy->bytes;
  *copy = *f;
  copy->event = (sim_event){0};
  copy->waiter = (link_waiter){.sim = NULL};
  copy->bytes = bytes;
  if (f->failure != NULL) {
    copy->failure = memory_new(sizeof *copy->failure);
    *copy->failure = *f->failure;
  }
  return copy;
}


static void free_bytes(flight *f) {
  if (f->bytes != f->own)
    free(f->bytes);
}


void flight_set_bytes(flight *f, const char *bytes, size_t n) {
  char *copy = memory_new(n + 1);
  if (n > 0)
    memcpy(copy, bytes, n);
  free_bytes(f);
  f->bytes = copy;
  f->size = n;
}


void flight_free(flight *f) {
  free_bytes(f);
  free(f->failure);
  free(f);
}


/* It is in the list. */
static void end(flight *f) {
  sim_cancel(f->sim, &f->event);
  link_forget(&f->waiter);
  take_off(f);
  flight_free(f);
}


/*
** Under way
*/

static void on_arrival(sim_event *e) {
  flight *f = flight_of(e);
  sim_note(f->sim, HISTORY_BYTES, f->to->index, f->size,
           history_hash(f->bytes, f->size));
  f->arrive(f);
  end(f);
}


static void arrive_at(flight *f, uint64_t at) {
  f->arrives = at;
  f->event.fire = on_arrival;
  sim_schedule(f->sim, &f->event, at);
}


/* Each of its packets is lost or not. */
static uint64_t arrival_of(const flight *f) {
  unsigned n = f->fragments > 1 ? f->fragments : 1;
  uint64_t last = 0;
  for (unsigned i = 0; i < n; i++) {
    uint64_t at = link_arrival(f->sim, f->from, f->to, f->size / n + HEADERS,
                               LINK_MESSAGE);
    if (at == NEVER)
      return NEVER;
    last = at > last ? at : last;
  }
  return last;
}


/* To who watches. */
static void show(const flight *f, uint64_t at) {
  if (f->sim->outside.passes == NULL || f->failure != NULL)
    return;
  const passage p = {.from = f->from,
                     .to = f->to,
                     .source = &f->source,
                     .target = &f->target,
                     .protocol = f->protocol,
                     .arrives = at,
                     .bytes = f->bytes,
                     .size = f->size};
  f->sim->outside.passes(f->sim, &p);
}


static void double_it(const flight *f) {
  flight *copy = copy_of(f);
  uint64_t at = arrival_of(copy);
  copy->serial = ++flights_of(f->sim)->serial;
  append(copy);
  show(copy, at);
  if (at != NEVER)
    arrive_at(copy, at);
  else
    end(copy);
}


static void on_open(link_waiter *w) {
  flight *f = (flight *)(void *)((char *)w - offsetof(flight, waiter));
  take_link(f, 0);
}


/* Behind the rule. */
static void take_link(flight *f, uint64_t delay) {
  sim *s = f->sim;
  const link_manner *m = link_of(s, f->from, f->to);
  if (link_is_held(s, f->from, f->to)) {
    f->arrives = NEVER;
    f->waiter.open = on_open;
    link_await(s, f->from, f->to, &f->waiter);
    return;
  }
  uint64_t at = arrival_of(f);
  show(f, at == NEVER ? NEVER : at + delay);
  if (at != NEVER && chance_happens(&s->network, m->duplicates))
    double_it(f);
  if (at != NEVER)
    arrive_at(f, at + delay);
  else
    end(f);
}


static void on_departure(sim_event *e) {
  depart(flight_of(e));
}


static void follow(flight *f, flight_verdict verdict, uint64_t delay) {
  if (f->decided != NULL)
    f->decided(f, verdict, delay);
  if (f->decided != NULL || verdict == FLIGHT_DROP || verdict == FLIGHT_CUT) {
    end(f);
    return;
  }
  if (verdict == FLIGHT_DOUBLE)
    double_it(f);
  take_link(f, verdict == FLIGHT_DELAY ? delay : 0);
}


static void depart(flight *f) {
  struct flights *all = flights_of(f->sim);
  uint64_t delay = 0;
  flight_verdict verdict =
      all->rule != NULL ? all->rule(all->about, f, &delay) : FLIGHT_PASS;
  if (verdict != FLIGHT_UNDECIDED) {
    follow(f, verdict, delay);
    return;
  }
  f->later = NULL;
  *all->last_undecided = f;
  all->last_undecided = &f->later;
}


flight *flight_undecided(sim *s) {
  return flights_of(s)->undecided;
}


void flight_decide(sim *s, flight_verdict verdict, uint64_t delay) {
  struct flights *all = flights_of(s);
  flight *f = all->undecided;
  all->undecided = f->later;
  if (f->later == NULL)
    all->last_undecided = &all->undecided;
  follow(f, verdict, delay);
}


static void begin(flight *f) {
  f->serial = ++flights_of(f->sim)->serial;
  f->sent = f->sim->now;
  append(f);
}


static void ask(flight *f) {
  f->arrives = NEVER;
  f->event.fire = on_departure;
  sim_schedule(f->sim, &f->event, f->sim->now);
}


void flight_send(flight *f, uint64_t local) {
  begin(f);
  if (local > 0)
    arrive_at(f, f->sim->now + local);
  else if (flights_of(f->sim)->rule != NULL && f->failure == NULL)
    ask(f);
  else
    take_link(f, 0);
}


void flight_ask(flight *f) {
  begin(f);
  ask(f);
}


void flight_disown(sim *s, const void *about) {
  const struct flights *all = *links_flights(s);
  for (flight *f = all != NULL ? all->first : NULL; f != NULL; f = f->next)
    if (f->about == about)
      f->about = NULL;
}


flight *flight_first(sim *s) {
  return flights_of(s)->first;
}


void flight_deliver(flight *f) {
  link_forget(&f->waiter);
  arrive_at(f, f->sim->now);
}


void flight_drop(flight *f) {
  end(f);
}


void flight_set_rule(sim *s, flight_rule *rule, void *about, bool streams) {
  flights_of(s)->rule = rule;
  flights_of(s)->about = about;
  flights_of(s)->streams = streams;
}


bool flight_rules_streams(sim *s) {
  const struct flights *all = *links_flights(s);
  return all != NULL && all->rule != NULL && all->streams;
}


void flights_close(sim *s) {
  struct flights **at = links_flights(s);
  if (*at == NULL)
    return;
  while ((*at)->first != NULL)
    end((*at)->first);
  free(*at);
  *at = NULL;
}
