/*
** Streams between simulated nodes: what they take, what a cut link does to them, and
** what becomes of them when a node crashes.  What holds on one machine is compared with
** the kernel's in spec/sim_conformance_spec.lua.
*/

#include "scripted_nodes.h"
#include "sim/link.h"

static node *server, *client;


/* Two nodes with 10 ms between them; the second begins a little later. */
static void open_two(const char *serves, const char *asks) {
  static const link_manner manner = {.shape = LATENCY_FIXED, .least = 10 * MS};
  static uint64_t seed;
  open_sim(++seed);
  link_set_usual(&s, &manner);
  server = begin("server", serves);
  run(MS);
  client = begin("client", asks);
}


static void run_two(const char *serves, const char *asks, uint64_t ns,
                    const char *tells) {
  open_two(serves, asks);
  run(ns);
  expect_told(tells, asks);
  sim_close(&s);
}


static void cut(bool on) {
  link_cut(&s, server, client, on);
  link_cut(&s, client, server, on);
}


/*
** Links
*/

static void latency(void) {
  run_two("echo", "ask", SECOND, "20, HELLO, 40, 10.0.0.2 10.0.0.1");
  run_two("nothing", "dial", SECOND, "ECONNREFUSED, 20");
  run_two("nothing", "dial_elsewhere", 9 * SECOND,
          "EHOSTUNREACH, 3000, ENETUNREACH, 3000");
  run_two("full", "send", SECOND, "");
  run_two("read", "send", SECOND * 60, "none, 3000000");
}


static void is_cut(void) {
  open_two("echo", "dial");
  cut(true);
  run(200 * SECOND);
  expect_told("ETIMEDOUT, 127000", "to dial while the link is cut");
  sim_close(&s);

  open_two("echo", "dial_impatiently");
  cut(true);
  run(200 * SECOND);
  expect_told("ETIMEDOUT, 5000", "to dial with a patience of its own");
  sim_close(&s);

  open_two("echo", "ask");
  cut(true);
  run(2 * SECOND);
  cut(false);
  run(2 * SECOND);
  expect_told("3020, HELLO, 3040, 10.0.0.2 10.0.0.1",
              "a SYN that is sent again");
  sim_close(&s);
}


static void heals(void) {
  open_two("read", "send");
  run(30 * MS);
  cut(true);
  run(20 * SECOND);
  expect_told("", "sent through a cut link");
  cut(false);
  run(60 * SECOND);
  if (strstr(told, "3000000") == NULL || strstr(told, "none") == NULL)
    expect_told("none, 3000000", "sent while the link was cut");
  sim_close(&s);
}


static void gives_up(void) {
  open_two("deaf", "talk");
  run(SECOND / 2);
  cut(true);
  run(2000 * SECOND);
  expect_told("ETIMEDOUT, 926020", "who sends while the link is cut");
  sim_close(&s);

  open_two("deaf", "talk_impatiently");
  run(SECOND / 5);
  cut(true);
  run(20 * SECOND);
  expect_told("ETIMEDOUT, 6020", "a patience of its own");
  sim_close(&s);
}


/* Only the answers are lost. */
static void one_way(void) {
  open_two("deaf", "talk_impatiently");
  run(SECOND / 5);
  link_cut(&s, server, client, true);
  run(20 * SECOND);
  expect_told("ETIMEDOUT, 6520", "who hears no acknowledgement");
  sim_close(&s);
}


static void is_held(void) {
  open_two("echo", "ask");
  run(25 * MS);
  link_hold(&s, server, client, true);
  run(5 * SECOND);
  link_hold(&s, server, client, false);
  run(5 * SECOND);
  expect_told("20, HELLO, 5035, 10.0.0.2 10.0.0.1", "a link that was held");
  sim_close(&s);
}


/*
** Crashes
*/

static void is_reset(void) {
  open_two("deaf", "listen_on");
  run(SECOND / 2);
  node_crash(server, false);
  run(SECOND);
  expect_told("ECONNRESET, 510", "the reader of a process that died");
  sim_close(&s);
}


static void is_silent(void) {
  open_two("deaf", "dial");
  node_crash(server, true);
  run(200 * SECOND);
  expect_told("ETIMEDOUT, 127000", "to dial a node that is down");
  sim_close(&s);

  open_two("deaf", "talk");
  run(SECOND / 2);
  node_crash(server, true);
  run(2000 * SECOND);
  expect_told("ETIMEDOUT, 926020", "who sends to a node that is down");
  sim_close(&s);

  open_two("deaf", "talk");
  run(SECOND / 2);
  node_crash(server, true);
  run(SECOND * 5);
  node_restart(server);
  run(SECOND * 20);
  expect_told("ECONNRESET, 8020", "who sends to a node that has started again");
  sim_close(&s);
}


static void keeps_alive(void) {
  open_two("deaf", "keep_alive");
  run(SECOND * 100);
  expect_told("", "keepalive of who lives");
  node_crash(server, true);
  run(SECOND * 100);
  expect_told("ETIMEDOUT, 106200", "keepalive of who does not");
  sim_close(&s);

  open_two("deaf", "keep_alive");
  run(SECOND / 2);
  node_crash(server, true);
  node_restart(server);
  run(SECOND * 100);
  expect_told("ECONNRESET, 10040", "keepalive of who does not know of it");
  sim_close(&s);
}


static void ends(void) {
  open_two("read", "send_and_end");
  run(SECOND * 5);
  expect_told("200000", "what a program sent that has ended");
  sim_close(&s);
}


static void leaves_files(void) {
  open_two("nothing", "file");
  run(SECOND);
  node_crash(client, true);
  node_restart(client);
  run(SECOND);
  expect_told("fresh, ECONNREFUSED, EADDRINUSE, unix",
              "the file of a node that crashed");
  sim_close(&s);
}


int main(int argc, char **argv) {
  read_arguments(argc, argv);
  latency();
  is_cut();
  heals();
  gives_up();
  one_way();
  is_held();
  is_reset();
  is_silent();
  keeps_alive();
  ends();
  leaves_files();
  return EXIT_SUCCESS;
}
