/*
** The events to come: a binary heap, in which each event knows its place, so that it can
** be taken out, or moved, from anywhere.  What is compared lies in the heap itself: the
** events are parts of what lies far apart.
*/

#include <stdlib.h>

#include "host/memory.h"
#include "sim/sim.h"


typedef struct sim_entry entry;


static bool is_before(const entry *a, const entry *b) {
  return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}


static void put(sim *s, size_t i, entry x) {
  s->events[i] = x;
  x.event->place = i;
}


static void rise(sim *s, size_t i, entry x) {
  for (; i > 1 && is_before(&x, &s->events[i / 2]); i /= 2)
    put(s, i, s->events[i / 2]);
  put(s, i, x);
}


static void sink(sim *s, size_t i, entry x) {
  for (size_t child; (child = 2 * i) <= s->event_count; i = child) {
    if (child < s->event_count &&
        is_before(&s->events[child + 1], &s->events[child]))
      child++;
    if (is_before(&x, &s->events[child]))
      break;
    put(s, i, s->events[child]);
  }
  put(s, i, x);
}


/* Where it belongs, from a place that is free. */
static void settle(sim *s, size_t i, entry x) {
  if (i > 1 && is_before(&x, &s->events[i / 2]))
    rise(s, i, x);
  else
    sink(s, i, x);
}


static void grow(sim *s) {
  s->event_room = s->event_room == 0 ? 64 : s->event_room * 2;
  s->events = memory_grow(s->events, s->event_room * sizeof *s->events);
}


void sim_schedule(sim *s, sim_event *e, uint64_t at) {
  e->at = at > s->now ? at : s->now;
  e->serial = ++s->event_serial;
  if (e->place == 0 && s->event_count + 1 >= s->event_room)
    grow(s);
  size_t i = e->place != 0 ? e->place : ++s->event_count;
  settle(s, i, (entry){e->at, e->serial, e});
}


void sim_cancel(sim *s, sim_event *e) {
  size_t i = e->place;
  if (i == 0)
    return;
  entry last = s->events[s->event_count--];
  e->place = 0;
  if (last.event != e)
    settle(s, i, last);
}


static void draw_secret(void *about, void *bytes, size_t n) {
  chance_fill(&((sim *)about)->secrets, bytes, n);
}


bool sim_fire(sim *s) {
  sim_event *e = sim_next(s);
  if (e == NULL || e->at > s->limit)
    return false;
  sim_cancel(s, e);
  s->now = e->at;
  sim_note(s, HISTORY_EVENT, HISTORY_NOBODY, e->serial, 0);
  world_draws before = world_chance;
  world_chance = (world_draws){draw_secret, s};
  e->fire(e);
  world_chance = before;
  return true;
}
