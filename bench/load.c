/*
** The load generator of the benchmarks: one thread, one epoll.
**
**   load echo    ENDPOINT [name=value...]   messages go out and come back
**   load connect ENDPOINT [name=value...]   connect, one message, close
**   load relay   ENDPOINT UPSTREAM [...]    bytes through a relay, one way
**   load idle    ENDPOINT [name=value...]   one message each, then silence,
**                                           until its stdin ends
**   load start   COMMAND...                 start it, wait for its end: how
**                                           often a second
**
** ENDPOINT is tcp://127.0.0.1:PORT or unix:PATH.  Names: size (64),
** connections (50), depth (1: messages under way on each), seconds (1) after
** warm (0.2).  Every byte that comes back is compared with what was sent.  The
** result is one JSON object a line: messages (bytes in a relay) a second, how
** many in all, and percentiles of the time that one took, in microseconds.
*/

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

/* Messages of the pattern before it repeats; bytes of one read. */
enum { MESSAGES = 61, BUFFER = 64 * 1024, EVENTS = 256, DEEPEST = 256 };

typedef struct target {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
  } u;
  socklen_t length;
} target;

typedef struct connection {
  int fd;
  bool blocked;            /* epoll was asked for EPOLLOUT */
  uint64_t sent, received; /* bytes */
  uint64_t due;            /* bytes to be sent, in all */
  uint64_t stamps[DEEPEST];
} connection;

static struct {
  size_t size, connections, depth;
  double seconds, warm;
} options = {64, 50, 1, 1, 0.2};

static char *pattern; /* the period and then its beginning again */
static size_t period;
static char buffer[BUFFER];
static int epoll;

static uint64_t started, opened, ends; /* opened: the end of warming up */
static uint64_t count, total;          /* in the window, and in all */


static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}


static void check(bool ok, const char *what) {
  if (!ok)
    die("%s: %s", what, strerror(errno));
}


static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}


/*
** Latencies: 16 buckets between two powers of two
*/

enum { FINE = 16, BUCKETS = 64 * FINE };

static uint64_t histogram[BUCKETS];


static int bucket(uint64_t ns) {
  if (ns < FINE)
    return (int)ns;
  int power = 63 - __builtin_clzll(ns);
  return (power - 3) * FINE + (int)((ns >> (power - 4)) & (FINE - 1));
}


static double lower(int b) {
  if (b < FINE)
    return b;
  int power = b / FINE + 3;
  return (double)((uint64_t)(FINE + b % FINE) << (power - 4));
}


static double percentile(double share) {
  uint64_t sum = 0, seen = 0;
  for (int i = 0; i < BUCKETS; i++)
    sum += histogram[i];
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (seen > 0 && (double)seen >= share * (double)sum)
      return lower(i) / 1000;
  }
  return 0;
}


static void done(uint64_t at, uint64_t since, uint64_t n) {
  total += n;
  if (at < opened || at >= ends)
    return;
  count += n;
  histogram[bucket(at - since)]++;
}


static void report(uint64_t at) {
  double seconds = (double)((at < ends ? at : ends) - opened) / 1e9;
  printf("{\"rate\": %.1f, \"messages\": %llu, \"p50\": %.1f, \"p90\": %.1f, "
         "\"p99\": %.1f, \"p999\": %.1f}\n",
         (double)count / seconds, (unsigned long long)total, percentile(.5),
         percentile(.9), percentile(.99), percentile(.999));
}


/*
** Sockets
*/

static target parse(const char *endpoint) {
  target t = {.length = sizeof t.u.in};
  if (strncmp(endpoint, "unix:", 5) == 0) {
    t.u.un.sun_family = AF_UNIX;
    snprintf(t.u.un.sun_path, sizeof t.u.un.sun_path, "%s", endpoint + 5);
    t.length = sizeof t.u.un;
    return t;
  }
  const char *colon = strrchr(endpoint, ':');
  if (strncmp(endpoint, "tcp://", 6) != 0 || colon == NULL)
    die("tcp://127.0.0.1:PORT or unix:PATH expected, got %s", endpoint);
  t.u.in.sin_family = AF_INET;
  t.u.in.sin_port = htons((uint16_t)atoi(colon + 1));
  t.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return t;
}


/* From many addresses of the loopback network, so that those of connections
 * that were closed a moment ago are not missed. */
static void spread(int fd) {
  static unsigned n;
  struct sockaddr_in from = {.sin_family = AF_INET};
  from.sin_addr.s_addr = htonl(0x7f010001u + (n++ % 200) * 256);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
  check(bind(fd, (struct sockaddr *)&from, sizeof from) == 0, "bind");
}


static int dial(const target *t) {
  int fd = socket(t->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(fd >= 0, "socket");
  if (t->u.any.sa_family == AF_INET) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    spread(fd);
  }
  while (connect(fd, &t->u.any, t->length) != 0) {
    check(errno == EAGAIN || errno == EINTR, "connect");
    usleep(100); /* a unix socket's queue is full */
  }
  return fd;
}


static void watch(int fd, int op, uint32_t events, void *about) {
  struct epoll_event e = {.events = events, .data.ptr = about};
  check(epoll_ctl(epoll, op, fd, &e) == 0, "epoll_ctl");
}


/*
** The bytes.  Each message is a line.
*/

static void make_pattern(void) {
  size_t more = options.size * options.depth + BUFFER;
  uint32_t x = 2463534242u;
  period = options.size * MESSAGES;
  pattern = malloc(period + more);
  for (size_t i = 0; i < period; i++) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    pattern[i] = i % options.size == options.size - 1 ? '\n'
                                                      : (char)('a' + x % 26);
  }
  for (size_t i = 0; i < more; i++)
    pattern[period + i] = pattern[i % period];
}


static void verify(const char *bytes, size_t n, uint64_t at) {
  if (memcmp(bytes, pattern + at % period, n) != 0)
    die("bytes came back wrong, within %zu of offset %llu", n,
        (unsigned long long)at);
}


/* Send what is due, as far as the kernel takes it. */
static void push(connection *c) {
  while (c->sent < c->due) {
    size_t n = (size_t)(c->due - c->sent);
    size_t most = options.size * options.depth + BUFFER;
    ssize_t sent = send(c->fd, pattern + c->sent % period, n < most ? n : most,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      if (!c->blocked)
        watch(c->fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT, c);
      c->blocked = true;
      return;
    }
    check(sent > 0, "send");
    c->sent += (uint64_t)sent;
  }
  if (c->blocked)
    watch(c->fd, EPOLL_CTL_MOD, EPOLLIN, c);
  c->blocked = false;
}


/* So many bytes, or 0 when there are none now. */
static size_t pull(int fd, uint64_t at) {
  ssize_t n = recv(fd, buffer, BUFFER, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  check(n >= 0, "recv");
  if (n == 0)
    die("the server closed a connection, at offset %llu",
        (unsigned long long)at);
  verify(buffer, (size_t)n, at);
  return (size_t)n;
}


/*
** echo
*/

static connection *open_all(const target *t) {
  connection *all = calloc(options.connections, sizeof *all);
  for (size_t i = 0; i < options.connections; i++) {
    all[i].fd = dial(t);
    watch(all[i].fd, EPOLL_CTL_ADD, EPOLLIN, &all[i]);
  }
  return all;
}


static void ask(connection *c, size_t messages, uint64_t at) {
  for (size_t i = 0; i < messages; i++)
    c->stamps[(c->due / options.size + i) % DEEPEST] = at;
  c->due += messages * options.size;
  push(c);
}


static void answered(connection *c, size_t n, uint64_t at) {
  uint64_t first = c->received / options.size;
  c->received += n;
  uint64_t last = c->received / options.size;
  for (uint64_t i = first; i < last; i++)
    done(at, c->stamps[i % DEEPEST], 1);
  if (last > first)
    ask(c, (size_t)(last - first), at);
}


static void begin(void) {
  started = now();
  opened = started + (uint64_t)(options.warm * 1e9);
  ends = opened + (uint64_t)(options.seconds * 1e9);
}


static int wait_some(struct epoll_event *events) {
  int n = epoll_wait(epoll, events, EVENTS, 5000);
  if (n == 0)
    die("nothing came back for 5 s");
  check(n > 0 || errno == EINTR, "epoll_wait");
  return n > 0 ? n : 0;
}


static void echo(const target *t) {
  struct epoll_event events[EVENTS];
  connection *all = open_all(t);
  begin();
  for (size_t i = 0; i < options.connections; i++)
    ask(&all[i], options.depth, started);
  uint64_t at = started;
  while (at < ends) {
    int n = wait_some(events);
    at = now();
    for (int i = 0; i < n; i++) {
      connection *c = events[i].data.ptr;
      if ((events[i].events & EPOLLOUT) != 0)
        push(c);
      size_t got = pull(c->fd, c->received);
      if (got > 0)
        answered(c, got, at);
    }
  }
  report(at);
}


/*
** connect
*/

static void renew(connection *c, const target *t) {
  *c = (connection){.fd = dial(t)};
  watch(c->fd, EPOLL_CTL_ADD, EPOLLIN, c);
  ask(c, 1, now());
}


static void connecting(const target *t) {
  struct epoll_event events[EVENTS];
  connection *all = calloc(options.connections, sizeof *all);
  begin();
  for (size_t i = 0; i < options.connections; i++)
    renew(&all[i], t);
  uint64_t at = started;
  while (at < ends) {
    int n = wait_some(events);
    at = now();
    for (int i = 0; i < n; i++) {
      connection *c = events[i].data.ptr;
      c->received += pull(c->fd, c->received);
      if (c->received < options.size)
        continue;
      done(at, c->stamps[0], 1);
      close(c->fd);
      renew(c, t);
    }
  }
  report(at);
}


/*
** relay: what connections send arrives at a listener of ours
*/

static int serve(const target *t) {
  int fd = socket(t->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(fd >= 0, "socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  check(bind(fd, &t->u.any, t->length) == 0, "bind");
  check(listen(fd, 4096) == 0, "listen");
  return fd;
}


static void relay(const target *t, const target *upstream) {
  struct epoll_event events[EVENTS];
  int listener = serve(upstream);
  connection *far = calloc(options.connections, sizeof *far);
  connection *all = open_all(t);
  for (size_t i = 0; i < options.connections; i++) {
    far[i].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    check(far[i].fd >= 0, "accept");
    watch(far[i].fd, EPOLL_CTL_ADD, EPOLLIN, &far[i]);
  }
  begin();
  for (size_t i = 0; i < options.connections; i++) {
    all[i].due = UINT64_MAX; /* as long as there is room */
    push(&all[i]);
  }
  uint64_t at = started;
  while (at < ends) {
    int n = wait_some(events);
    at = now();
    for (int i = 0; i < n; i++) {
      connection *c = events[i].data.ptr;
      if (c->due > 0) {
        push(c);
        continue;
      }
      size_t got = pull(c->fd, c->received);
      c->received += got;
      done(at, at, got);
    }
  }
  report(at);
}


/*
** idle
*/

static void idle(const target *t) {
  connection *all = open_all(t);
  for (size_t i = 0; i < options.connections; i++) {
    ask(&all[i], 1, 0);
    while (all[i].received < options.size) {
      ssize_t n = recv(all[i].fd, buffer, BUFFER, 0);
      check(n > 0, "recv");
      verify(buffer, (size_t)n, all[i].received);
      all[i].received += (uint64_t)n;
    }
  }
  puts("ready");
  fflush(stdout);
  while (read(STDIN_FILENO, buffer, BUFFER) > 0)
    ;
}


/*
** start
*/

static void start(char **command) {
  begin();
  opened = started;
  for (uint64_t at = started, last = at; at < ends; last = at) {
    pid_t pid = vfork();
    check(pid >= 0, "vfork");
    if (pid == 0) {
      execvp(command[0], command);
      _exit(127);
    }
    int status;
    check(waitpid(pid, &status, 0) == pid, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
      die("cannot start %s", command[0]);
    at = now();
    done(last, last, 1);
    histogram[bucket(at - last)]++;
  }
  histogram[0] = 0;
  report(ends);
}


static void set_option(const char *text) {
  char name[16];
  double value;
  if (sscanf(text, "%15[a-z]=%lf", name, &value) != 2)
    die("name=value expected, got %s", text);
  if (strcmp(name, "size") == 0)
    options.size = (size_t)value;
  else if (strcmp(name, "connections") == 0)
    options.connections = (size_t)value;
  else if (strcmp(name, "depth") == 0)
    options.depth = (size_t)value;
  else if (strcmp(name, "seconds") == 0)
    options.seconds = value;
  else if (strcmp(name, "warm") == 0)
    options.warm = value;
  else
    die("no option %s", name);
}


int main(int argc, char **argv) {
  if (argc < 3)
    die("usage: load echo|connect|relay|idle ENDPOINT [name=value...]");
  const char *mode = argv[1];
  if (strcmp(mode, "start") == 0) {
    start(argv + 2);
    return 0;
  }
  bool relays = strcmp(mode, "relay") == 0;
  target t = parse(argv[2]), upstream = {.length = 0};
  if (relays)
    upstream = parse(argc > 3 ? argv[3] : "");
  for (int i = relays ? 4 : 3; i < argc; i++)
    set_option(argv[i]);
  if (options.size < 1 || options.depth < 1 || options.depth > DEEPEST ||
      options.connections < 1)
    die("size, connections and depth (at most %d) are at least 1", DEEPEST);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  make_pattern();
  if (strcmp(mode, "echo") == 0)
    echo(&t);
  else if (strcmp(mode, "connect") == 0)
    connecting(&t);
  else if (relays)
    relay(&t, &upstream);
  else if (strcmp(mode, "idle") == 0)
    idle(&t);
  else
    die("no mode %s", mode);
  return 0;
}
