/*
** The events to come: a binary heap of pointers, in which each event knows its place,
** so that it can be taken out, or moved, from anywhere.
*/

#include <stdlib.h>

#include "host/memory.h"
#include "sim/sim.h"


static bool is_before(const sim_event *a, const sim_event *b) {
  return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}


static void put(sim *s, size_t i, sim_event *e) {
  s->events[i] = e;
  e->place = i;
}


static void rise(sim *s, sim_event *e) {
  size_t i = e->place;
  for (; i > 1 && is_before(e, s->events[i / 2]); i /= 2)
    put(s, i, s->events[i / 2]);
  put(s, i, e);
}


static void sink(sim *s, sim_event *e) {
  size_t i = e->place;
  for (size_t child; (child = 2 * i) <= s->event_count; i = child) {
    if (child < s->event_count &&
        is_before(s->events[child + 1], s->events[child]))
      child++;
    if (is_before(e, s->events[child]))
      break;
    put(s, i, s->events[child]);
  }
  put(s, i, e);
}


static void grow(sim *s) {
  s->event_room = s->event_room == 0 ? 64 : s->event_room * 2;
  s->events = memory_grow(s->events, s->event_room * sizeof *s->events);
}


void sim_schedule(sim *s, sim_event *e, uint64_t at) {
  e->at = at > s->now ? at : s->now;
  e->serial = ++s->event_serial;
  if (e->place == 0) {
    if (s->event_count + 1 >= s->event_room)
      grow(s);
    put(s, ++s->event_count, e);
  }
  rise(s, e);
  sink(s, e);
}


void sim_cancel(sim *s, sim_event *e) {
  size_t i = e->place;
  if (i == 0)
    return;
  sim_event *last = s->events[s->event_count--];
  e->place = 0;
  if (last == e)
    return;
  put(s, i, last);
  rise(s, last);
  sink(s, last);
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
