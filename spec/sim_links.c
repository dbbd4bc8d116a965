/*
** Links between nodes without hosts: when what is sent arrives, and whether; and
** messages in flight, with a rule over them.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/flight.h"
#include "sim/node.h"

enum { NODES = 12, MANY = 20000 };

#define MS UINT64_C(1000000)

static sim *s;
static struct node nodes[NODES];
static struct node *list[NODES];

static char arrived[256]; /* the first letters of those that arrived */


static void expect(bool met, const char *what) {
  if (met)
    return;
  fprintf(stderr, "sim_links: %s\n", what);
  exit(EXIT_FAILURE);
}


static void begin(uint64_t seed) {
  static sim fresh;
  fresh = (sim){.now = SIM_START, .limit = NEVER, .seed = seed};
  s = &fresh;
  chance_seed(&s->network, seed, "network", 0);
  for (unsigned i = 0; i < NODES; i++) {
    nodes[i].sim = s;
    nodes[i].index = i;
    list[i] = &nodes[i];
  }
  s->nodes = list;
  s->node_count = NODES;
  memset(arrived, 0, sizeof arrived);
}


static void end(void) {
  flights_close(s);
  links_close(s);
  free(s->events);
}


/* ns under way, or NEVER. */
static uint64_t way(int from, int to, link_traffic traffic) {
  uint64_t at = link_arrival(s, &nodes[from], &nodes[to], 100, traffic);
  return at == NEVER ? NEVER : at - s->now;
}


/*
** Latency
*/

static void test_shapes(void) {
  uint64_t sum = 0, largest = 0;
  begin(1);
  expect(way(0, 1, LINK_MESSAGE) == MS, "a link is not as all are");
  link_set(s, &nodes[0], &nodes[1], &(link_manner){.least = 7 * MS});
  expect(way(0, 1, LINK_MESSAGE) == 7 * MS, "not the latency that was set");
  expect(way(1, 0, LINK_MESSAGE) == MS, "both directions were set");
  link_set(s, &nodes[0], &nodes[1], NULL);
  expect(way(0, 1, LINK_STREAM) == MS, "its own manner has not gone");
  link_set_usual(s, &(link_manner){.shape = LATENCY_UNIFORM,
                                   .least = 2 * MS,
                                   .most = 30 * MS});
  for (int i = 0; i < MANY; i++) {
    uint64_t x = way(2, 3, LINK_STREAM);
    expect(x >= 2 * MS && x <= 30 * MS, "not within its bounds");
    sum += x;
  }
  expect(sum / MANY > 15 * MS && sum / MANY < 17 * MS, "not uniform");
  link_set_usual(s, &(link_manner){.shape = LATENCY_EXPONENTIAL,
                                   .least = MS,
                                   .mean = 5 * MS,
                                   .most = 60 * MS});
  sum = 0;
  for (int i = 0; i < MANY; i++) {
    uint64_t x = way(2, 3, LINK_STREAM);
    expect(x >= MS && x <= 60 * MS, "exponential, and out of bounds");
    sum += x;
    largest = x > largest ? x : largest;
  }
  expect(sum / MANY > 57 * MS / 10 && sum / MANY < 63 * MS / 10,
         "another mean than 1 + 5 ms");
  expect(largest > 30 * MS, "no long tail");
  end();
}


static void test_slow_pairs(void) {
  int slow = 0;
  begin(2);
  link_set_usual(s,
                 &(link_manner){.least = MS, .slow = 200000, .slowness = 10});
  for (int from = 0; from < NODES; from++)
    for (int to = 0; to < from; to++) {
      uint64_t x = way(from, to, LINK_MESSAGE);
      expect(x == MS || x == 10 * MS, "neither slow nor not");
      expect(way(to, from, LINK_MESSAGE) == x, "slow in one direction only");
      expect(way(from, to, LINK_STREAM) == x, "not slow for good");
      slow += x > MS;
    }
  expect(slow > 3 && slow < 33, "not a fifth of the pairs is slow");
  end();
}


static void test_loss(void) {
  int lost = 0, late = 0;
  begin(3);
  link_set_usual(s, &(link_manner){.least = MS, .loss = 100000});
  for (int i = 0; i < MANY; i++) {
    lost += way(0, 1, LINK_MESSAGE) == NEVER;
    uint64_t x = way(0, 1, LINK_STREAM);
    expect(x != NEVER, "a stream has lost something");
    late += x > 200 * MS;
  }
  expect(lost > MANY / 11 && lost < MANY / 9, "not a tenth is lost");
  expect(late > MANY / 11 && late < MANY / 9, "what is lost is not sent again");
  end();
}


static void test_order(void) {
  uint64_t last = 0;
  int overtaken = 0;
  begin(4);
  link_manner m = {.shape = LATENCY_UNIFORM, .least = MS, .most = 9 * MS};
  link_set_usual(s, &m);
  for (int i = 0; i < 1000; i++) {
    uint64_t at = link_arrival(s, &nodes[0], &nodes[1], 1, LINK_MESSAGE);
    expect(at >= last, "a message was overtaken");
    last = at;
    s->now += MS / 10;
  }
  m.reordered = 100000;
  link_set_usual(s, &m);
  for (int i = 0; i < 1000; i++) {
    uint64_t at = link_arrival(s, &nodes[0], &nodes[1], 1, LINK_MESSAGE);
    overtaken += at < last;
    last = at > last ? at : last;
    s->now += MS / 10;
  }
  expect(overtaken > 100, "none was overtaken");
  end();
}


static void test_bandwidth(void) {
  begin(5);
  link_set_usual(
      s, &(link_manner){.least = MS, .bandwidth = 100000, .queue = 250});
  expect(way(0, 1, LINK_MESSAGE) == 2 * MS, "100 bytes do not take 1 ms");
  expect(way(0, 1, LINK_MESSAGE) == 3 * MS, "the next does not wait for them");
  expect(way(1, 0, LINK_MESSAGE) == 2 * MS, "the directions share it");
  expect(way(0, 1, LINK_MESSAGE) == 4 * MS, "no room for three");
  expect(way(0, 1, LINK_MESSAGE) == NEVER, "a full queue takes a message");
  expect(way(0, 1, LINK_STREAM) == 5 * MS, "a stream's bytes are dropped");
  expect(link_room(s, &nodes[0], &nodes[1], 100) == s->now + 3 * MS,
         "another time at which there is room");
  s->now += 10 * MS;
  expect(link_room(s, &nodes[0], &nodes[1], 0) == s->now, "it is not empty");
  end();
}


/*
** Cut, held, clogged
*/

static int opened;

static void on_open(link_waiter *w) {
  (void)w;
  opened++;
}


static void test_partition(void) {
  link_waiter one = {.open = on_open}, other = {.open = on_open};
  begin(6);
  link_cut(s, &nodes[0], &nodes[1], true);
  expect(way(0, 1, LINK_STREAM) == NEVER, "it is not cut");
  expect(way(1, 0, LINK_STREAM) == MS, "the other way is cut");
  link_await(s, &nodes[0], &nodes[1], &one);
  link_await(s, &nodes[0], &nodes[1], &other);
  link_forget(&other);
  expect(!sim_fire(s), "somebody was told too early");
  link_heal_all(s);
  expect(opened == 0, "somebody was told from inside of the call");
  while (sim_fire(s))
    continue;
  expect(opened == 1, "not who waited was told, once");
  expect(way(0, 1, LINK_STREAM) == MS, "it is not whole again");
  link_cut(s, &nodes[0], &nodes[1], true);
  link_fault(s, &nodes[0], &nodes[1], true);
  link_fault(s, &nodes[0], &nodes[1], true);
  link_fault(s, &nodes[0], &nodes[1], false);
  link_cut(s, &nodes[0], &nodes[1], false);
  expect(way(0, 1, LINK_MESSAGE) == NEVER, "the second fault has not cut it");
  link_cut(s, &nodes[0], &nodes[1], true);
  link_fault(s, &nodes[0], &nodes[1], false);
  link_fault(s, &nodes[0], &nodes[1], false);
  expect(way(0, 1, LINK_MESSAGE) == NEVER, "a fault's end heals the script's");
  link_cut(s, &nodes[0], &nodes[1], false);
  expect(way(0, 1, LINK_MESSAGE) == MS, "it is cut by nobody");
  link_clog(s, &nodes[0], &nodes[1], s->now + 50 * MS);
  expect(way(0, 1, LINK_MESSAGE) == 51 * MS, "it is not clogged");
  end();
}


/*
** Flights
*/

static void on_arrival(flight *f) {
  strncat(arrived, f->bytes, 1);
}


static void post(const char *text) {
  flight *f = flight_new(s, &nodes[0], &nodes[1], text, strlen(text));
  f->arrive = on_arrival;
  flight_send(f, 0);
}


static void run(void) {
  while (sim_fire(s))
    continue;
}


static void test_flights(void) {
  begin(7);
  post("a");
  post("b");
  expect(arrived[0] == '\0', "it arrived at once");
  expect(flight_first(s)->bytes[0] == 'a' &&
             flight_first(s)->next->bytes[0] == 'b',
         "what is in flight is not in order");
  run();
  expect(strcmp(arrived, "ab") == 0 && flight_first(s) == NULL,
         "not what was sent has arrived");
  link_hold(s, &nodes[0], &nodes[1], true);
  post("c");
  post("d");
  post("e");
  run();
  expect(strcmp(arrived, "ab") == 0, "a held link lets through");
  flight_deliver(flight_first(s)->next);
  run();
  expect(strcmp(arrived, "abd") == 0, "not the one was delivered");
  flight_drop(flight_first(s));
  link_hold(s, &nodes[0], &nodes[1], false);
  run();
  expect(strcmp(arrived, "abde") == 0, "what was held does not come");
  link_set_usual(s, &(link_manner){.least = MS, .duplicates = 1000000});
  post("f");
  run();
  expect(strcmp(arrived, "abdeff") == 0, "it was not doubled");
  post("g");
  end(); /* what is in flight is freed */
}


static flight_verdict rule(void *about, flight *f, uint64_t *delay) {
  (void)about;
  switch (f->bytes[0]) {
  case 'x':
    return FLIGHT_DROP;
  case 'y':
    *delay = 10 * MS;
    return FLIGHT_DELAY;
  case 'z':
    return FLIGHT_DOUBLE;
  case '!':
    flight_set_bytes(f, "?", 1);
    return FLIGHT_PASS;
  default:
    return FLIGHT_PASS;
  }
}


static void test_rule(void) {
  begin(8);
  flight_set_rule(s, rule, NULL, false);
  for (const char *c = "axyz!b"; *c != '\0'; c++)
    post((char[]){*c, '\0'});
  run();
  expect(strcmp(arrived, "azz?by") == 0, "another than the rule's result");
  end();
}


static uint64_t all_draws(uint64_t seed) {
  uint64_t hash = 0;
  begin(seed);
  link_set_usual(s, &(link_manner){.shape = LATENCY_EXPONENTIAL,
                                   .least = 10,
                                   .mean = 1000,
                                   .loss = 10000,
                                   .reordered = 10000,
                                   .slow = 100000,
                                   .slowness = 5});
  for (int i = 0; i < 1000; i++)
    hash = hash * 31 + way(i % NODES, i * 7 % NODES, i % 2);
  end();
  return hash;
}


int main(void) {
  test_shapes();
  test_slow_pairs();
  test_loss();
  test_order();
  test_bandwidth();
  test_partition();
  test_flights();
  test_rule();
  expect(all_draws(1) == all_draws(1), "the same seed draws otherwise");
  expect(all_draws(1) != all_draws(2), "all seeds draw the same");
  return EXIT_SUCCESS;
}
