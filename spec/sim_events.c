/*
** The events of a simulation, against a model that looks through all of them; and its
** chance: fair, the same everywhere, and a stream of its own for each purpose.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/chance.h"
#include "sim/sim.h"

enum { EVENTS = 200, STEPS = 20000, DRAWS = 60000 };

/* Where in memory an event lies decides nothing, so they are here. */
static struct {
  sim_event event;
  uint64_t at, serial; /* what the model knows; serial 0: not scheduled */
} all[EVENTS];

static uint64_t serials;
static int fired = -1;


static void expect(bool met, const char *what) {
  if (met)
    return;
  fprintf(stderr, "sim_events: %s\n", what);
  exit(EXIT_FAILURE);
}


static void on_fire(sim_event *e) {
  fired = (int)((char *)e - (char *)&all[0].event) / (int)sizeof all[0];
}


/*
** Events
*/

static int first_of_model(void) {
  int first = -1;
  for (int i = 0; i < EVENTS; i++)
    if (all[i].serial != 0 &&
        (first < 0 || all[i].at < all[first].at ||
         (all[i].at == all[first].at && all[i].serial < all[first].serial)))
      first = i;
  return first;
}


static void fire(sim *s) {
  int first = first_of_model();
  fired = -1;
  bool any = sim_fire(s);
  expect(any == (first >= 0) && fired == first, "another one was the next");
  if (first < 0)
    return;
  expect(s->now == all[first].at, "the clock is not at the event's time");
  expect(!sim_is_scheduled(&all[first].event), "what was fired is scheduled");
  all[first].serial = 0;
}


/* Few times, so that many are equal; and some that have passed. */
static void schedule(sim *s, chance *c, int i) {
  uint64_t at = s->now + chance_below(c, 20) - 4;
  sim_schedule(s, &all[i].event, at);
  all[i].at = at > s->now ? at : s->now;
  all[i].serial = ++serials;
  expect(all[i].event.at == all[i].at, "scheduled for another time");
}


static void try_events(uint64_t seed) {
  sim s = {.now = SIM_START, .limit = NEVER};
  chance c;
  chance_seed(&c, seed, "events", 0);
  for (int i = 0; i < EVENTS; i++)
    all[i].event = (sim_event){.fire = on_fire};
  for (int step = 0; step < STEPS; step++) {
    int i = (int)chance_below(&c, EVENTS);
    uint64_t what = chance_below(&c, 8);
    if (what < 4) {
      schedule(&s, &c, i);
    } else if (what == 4) {
      sim_cancel(&s, &all[i].event);
      all[i].serial = 0;
    } else {
      fire(&s);
    }
    expect(sim_is_scheduled(&all[i].event) == (all[i].serial != 0),
           "an event does not know whether it is scheduled");
  }
  while (s.event_count > 0)
    fire(&s);
  free(s.events);
}


static void try_limit(void) {
  sim s = {.now = SIM_START, .limit = SIM_START + 10};
  sim_event e = {.fire = on_fire};
  sim_schedule(&s, &e, SIM_START + 11);
  expect(!sim_fire(&s) && s.now == SIM_START, "went on behind its limit");
  sim_schedule(&s, &e, SIM_START + 10);
  expect(sim_fire(&s), "ended before its limit");
  free(s.events);
}


/*
** Chance
*/

/* As the generator's published sources give them. */
static void try_known(void) {
  chance c = {{1, 2, 3, 4}};
  static const uint64_t known[] = {UINT64_C(11520), UINT64_C(0),
                                   UINT64_C(1509978240),
                                   UINT64_C(1215971899390074240)};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    expect(chance_next(&c) == known[i], "another generator");
}


static void try_streams(void) {
  chance a, b, same;
  unsigned char bytes[2][11];
  chance_seed(&a, 7, "network", 0);
  chance_seed(&same, 7, "network", 0);
  expect(chance_next(&a) == chance_next(&same), "a seed does not replay");
  chance_seed(&b, 7, "faults", 0);
  expect(chance_next(&a) != chance_next(&b), "two streams are one");
  chance_seed(&b, 7, "network", 1);
  expect(chance_next(&a) != chance_next(&b), "two numbers are one stream");
  chance_seed(&b, 8, "network", 0);
  expect(chance_next(&a) != chance_next(&b), "two seeds are one");
  chance_seed(&a, 1, "bytes", 0);
  chance_seed(&same, 1, "bytes", 0);
  chance_fill(&a, bytes[0], sizeof bytes[0]);
  chance_fill(&same, bytes[1], sizeof bytes[1]);
  expect(memcmp(bytes[0], bytes[1], sizeof bytes[0]) == 0, "bytes differ");
}


static bool is_near(uint64_t is, uint64_t wanted, unsigned percent) {
  uint64_t margin = wanted * percent / 100;
  return is >= wanted - margin && is <= wanted + margin;
}


static void try_shares(void) {
  enum { SIDES = 6 };
  chance c;
  uint64_t times[SIDES] = {0}, hits = 0, sum = 0, above = 0;
  const uint64_t mean = 5000000;
  chance_seed(&c, 1, "shares", 0);
  for (int i = 0; i < DRAWS; i++) {
    times[chance_below(&c, SIDES)]++;
    hits += chance_happens(&c, 20000);
    uint64_t wait = chance_exponential(&c, mean);
    sum += wait;
    above += wait > 2 * mean;
    uint64_t x = chance_between(&c, 10, 12);
    expect(x >= 10 && x <= 12, "chance_between leaves its bounds");
  }
  for (int i = 0; i < SIDES; i++)
    expect(is_near(times[i], DRAWS / SIDES, 5), "a side is preferred");
  expect(is_near(hits, DRAWS / 50, 10), "not two in a hundred");
  expect(is_near(sum / DRAWS, mean, 3), "exponential: another mean");
  expect(is_near(above, DRAWS * 13534 / 100000, 5),
         "exponential: another shape");
}


int main(void) {
  for (uint64_t seed = 1; seed <= 5; seed++)
    try_events(seed);
  try_limit();
  try_known();
  try_streams();
  try_shares();
  return EXIT_SUCCESS;
}
