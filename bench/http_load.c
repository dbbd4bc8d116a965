/*
** The load generator of the benchmarks of HTTP: one thread, one epoll.
**
**   http_load MODE ENDPOINT [name=value...]
**
** Modes: hello (GET /), json (GET /json), file (GET /file), large (GET /large), post (a body
** of 1 MiB to /post), ws (messages of 64 bytes to a WebSocket at /ws, and back).  ENDPOINT is tcp://127.0.0.1:PORT.  Names: connections (50), depth (1: requests
** under way on each), seconds (1) after warm (0.2), and pid, of the server: then its
** processor time a request, in ns, is told, too.
**
** Each connection is kept.  The first answer is parsed: a status of 200, and a
** Content-Length.  All others must be as long, and have the same line and the same body;
** those of a WebSocket must be what was sent.  What is counted is bytes, so that of an
** answer that is large the part counts that has come.
** The result is one JSON object a line, with the size of an answer.
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
#include <time.h>
#include <unistd.h>

enum {
  BUFFER = 256 * 1024,
  LARGEST = 1 << 30,
  EVENTS = 256,
  BODY = 1 << 20,
  DEEPEST = 256,
  MESSAGE = 64
};

typedef struct connection {
  int fd;
  bool blocked;       /* epoll was asked for EPOLLOUT */
  size_t due, sent;   /* bytes of requests */
  size_t received;    /* bytes of the answer that is coming */
} connection;

static struct {
  size_t connections, depth, pid;
  double seconds, warm;
} options = {50, 1, 0, 1, 0.2};

static struct sockaddr_in server;
static char *request; /* `depth` of them, one behind the other */
static size_t request_size;
static char *answer; /* the first one */
static size_t answer_size, head_size;
static bool websocket;
static char buffer[BUFFER];
static int epoll;


static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("http_load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}


static void check(bool ok, const char *what) {
  if (!ok)
    die("%s: %s", what, strerror(errno));
}


static uint64_t time_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}


/* Processor time that all threads of the server have had, also those that ended. */
static uint64_t used(void) {
  clockid_t clock;
  if (options.pid == 0)
    return 0;
  check(clock_getcpuclockid((pid_t)options.pid, &clock) == 0, "pid");
  return time_of(clock);
}


/*
** The window in which is counted
*/

static struct {
  uint64_t opens, closes, opened, used, bytes, total; /* of these, answers */
} window;


static void begin(void) {
  window.opens = time_of(CLOCK_MONOTONIC) + (uint64_t)(options.warm * 1e9);
  window.closes = window.opens + (uint64_t)(options.seconds * 1e9);
}


/* False: it is over. */
static bool look_at_clock(void) {
  uint64_t now = time_of(CLOCK_MONOTONIC);
  if (window.opened == 0 && now >= window.opens) {
    window.opened = now;
    window.used = used();
    window.bytes = 0;
  }
  return now < window.closes || window.opened == 0;
}


static void report(void) {
  double bytes = window.bytes > 0 ? (double)window.bytes : 1;
  double count = bytes / (double)answer_size;
  double seconds = (double)(time_of(CLOCK_MONOTONIC) - window.opened) / 1e9;
  printf("{\"rate\": %.1f, \"messages\": %llu, \"cpu\": %.1f, \"size\": %zu}\n",
         count / seconds, (unsigned long long)window.total,
         (double)(used() - window.used) / count, answer_size);
}


/*
** The bytes
*/

/* A binary message, under a mask as a client's must be (RFC 6455, 5.3), and its echo. */
static void make_message(void) {
  static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  request_size = 6 + MESSAGE;
  answer_size = 2 + MESSAGE;
  request = malloc(request_size * options.depth);
  answer = malloc(answer_size);
  request[0] = answer[0] = (char)0x82;
  request[1] = (char)(0x80 | MESSAGE);
  answer[1] = MESSAGE;
  memcpy(request + 2, mask, 4);
  for (size_t i = 0; i < MESSAGE; i++) {
    answer[2 + i] = (char)('a' + i % 26);
    request[6 + i] = (char)(answer[2 + i] ^ mask[i % 4]);
  }
}


static void make_get(const char *mode) {
  static const char *const paths[][2] = {
      {"hello", "/"}, {"json", "/json"}, {"file", "/file"}, {"large", "/large"}, {"post", "/post"}};
  const char *path = NULL;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (strcmp(mode, paths[i][0]) == 0)
      path = paths[i][1];
  if (path == NULL)
    die("no mode %s", mode);
  bool posts = strcmp(mode, "post") == 0;
  size_t room = 1024 + (posts ? BODY : 0);
  request = malloc(room * options.depth);
  int head = snprintf(request, room,
                      "%s %s HTTP/1.1\r\nHost: localhost\r\n"
                      "User-Agent: load/1\r\nAccept: */*\r\n",
                      posts ? "POST" : "GET", path);
  head += posts ? sprintf(request + head,
                          "Content-Type: application/octet-stream\r\n"
                          "Content-Length: %d\r\n\r\n",
                          BODY)
                : sprintf(request + head, "\r\n");
  request_size = (size_t)head + (posts ? BODY : 0);
  for (size_t i = (size_t)head; i < request_size; i++)
    request[i] = (char)('a' + i % 26);
}


static void make_request(const char *mode) {
  websocket = strcmp(mode, "ws") == 0;
  if (websocket)
    make_message();
  else
    make_get(mode);
  for (size_t i = 1; i < options.depth; i++)
    memcpy(request + i * request_size, request, request_size);
}


/* What all answers are to be like: by a connection of its own, which blocks. */
static void learn(int fd) {
  size_t n = 0, room = BUFFER;
  answer = malloc(room + 1);
  for (size_t sent = 0; sent < request_size;) {
    ssize_t now = send(fd, request + sent, request_size - sent, MSG_NOSIGNAL);
    check(now > 0, "send");
    sent += (size_t)now;
  }
  while (answer_size == 0 || n < answer_size) {
    ssize_t got = recv(fd, answer + n, room - n, 0);
    check(got >= 0, "recv");
    if (got == 0)
      die("the first answer is not whole: %.*s", (int)n, answer);
    n += (size_t)got;
    answer[n] = '\0';
    const char *end = strstr(answer, "\r\n\r\n");
    if (answer_size > 0 || end == NULL)
      continue;
    const char *length = strcasestr(answer, "\r\ncontent-length:");
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0 || length == NULL || length > end)
      die("a status of 200 and a Content-Length expected, got %.*s",
          (int)(end - answer), answer);
    head_size = (size_t)(end + 4 - answer);
    answer_size = head_size + (size_t)strtoull(length + 17, NULL, 10);
    if (answer_size > LARGEST)
      die("an answer of at most %d bytes expected", LARGEST);
    room = answer_size > room ? answer_size : room;
    answer = realloc(answer, room + 1);
  }
  close(fd);
}


/* The head may differ, by a date: its first line and its end may not. */
static void verify(const char *bytes, size_t n, size_t at) {
  if (websocket) {
    if (memcmp(bytes, answer + at, n) != 0)
      die("a message is not what was sent");
    return;
  }
  size_t from = at < 12 ? at : at < head_size - 4 ? head_size - 4 : at;
  if (at < 12 && memcmp(bytes, answer + at, n < 12 - at ? n : 12 - at) != 0)
    die("an answer is not the first one's: %.*s", (int)(n < 60 ? n : 60), bytes);
  if (from < head_size - 4)
    from = head_size - 4;
  if (from < at + n && memcmp(bytes + (from - at), answer + from, at + n - from) != 0)
    die("an answer has not the first one's size and body");
}


/*
** Connections
*/

static void upgrade(int fd) {
  static const char text[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  char head[1024] = "";
  check(send(fd, text, sizeof text - 1, MSG_NOSIGNAL) == sizeof text - 1, "send");
  for (size_t n = 0; strstr(head, "\r\n\r\n") == NULL; n++)
    if (n == sizeof head - 1 || recv(fd, head + n, 1, 0) != 1)
      die("a status of 101 expected, got %s", head);
  if (strncmp(head, "HTTP/1.1 101", 12) != 0 ||
      strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL)
    die("a status of 101 and what the key makes expected, got %s", head);
}


static int dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(fd >= 0, "socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  check(connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
  if (websocket)
    upgrade(fd);
  return fd;
}


static void watch(int op, connection *c, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  check(epoll_ctl(epoll, op, c->fd, &e) == 0, "epoll_ctl");
}


static void push(connection *c) {
  size_t all = request_size * options.depth;
  while (c->sent < c->due) {
    size_t at = c->sent % request_size, n = c->due - c->sent;
    n = n < all - at ? n : all - at;
    ssize_t sent = send(c->fd, request + at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      if (!c->blocked)
        watch(EPOLL_CTL_MOD, c, EPOLLIN | EPOLLOUT);
      c->blocked = true;
      return;
    }
    check(sent > 0, "send");
    c->sent += (size_t)sent;
  }
  if (c->blocked)
    watch(EPOLL_CTL_MOD, c, EPOLLIN);
  c->blocked = false;
}


static void ask(connection *c, size_t n) {
  c->due += n * request_size;
  push(c);
}


/* How many answers have become whole. */
static size_t take(connection *c, const char *bytes, size_t n) {
  size_t whole = 0;
  while (n > 0) {
    size_t part = answer_size - c->received;
    part = part < n ? part : n;
    verify(bytes, part, c->received);
    bytes += part, n -= part;
    c->received += part;
    if (c->received == answer_size)
      c->received = 0, whole++;
  }
  return whole;
}


static void pull(connection *c) {
  ssize_t n = recv(c->fd, buffer, BUFFER, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  check(n >= 0, "recv");
  if (n == 0)
    die("the server closed a connection");
  size_t whole = take(c, buffer, (size_t)n);
  window.bytes += (uint64_t)n;
  window.total += whole;
  if (whole > 0)
    ask(c, whole);
}


static void run(void) {
  struct epoll_event events[EVENTS];
  connection *all = calloc(options.connections, sizeof *all);
  for (size_t i = 0; i < options.connections; i++) {
    all[i].fd = dial();
    watch(EPOLL_CTL_ADD, &all[i], EPOLLIN);
  }
  begin();
  for (size_t i = 0; i < options.connections; i++)
    ask(&all[i], options.depth);
  while (look_at_clock()) {
    int n = epoll_wait(epoll, events, EVENTS, 10000);
    if (n == 0)
      die("nothing came back for 10 s");
    for (int i = 0; i < n; i++) {
      connection *c = events[i].data.ptr;
      if ((events[i].events & EPOLLOUT) != 0)
        push(c);
      pull(c);
    }
  }
  report();
}


static void set_option(const char *text) {
  char name[16];
  double value;
  if (sscanf(text, "%15[a-z]=%lf", name, &value) != 2)
    die("name=value expected, got %s", text);
  if (strcmp(name, "connections") == 0)
    options.connections = (size_t)value;
  else if (strcmp(name, "depth") == 0)
    options.depth = (size_t)value;
  else if (strcmp(name, "pid") == 0)
    options.pid = (size_t)value;
  else if (strcmp(name, "seconds") == 0)
    options.seconds = value;
  else if (strcmp(name, "warm") == 0)
    options.warm = value;
  else
    die("no option %s", name);
}


static void prepare(const char *endpoint) {
  struct rlimit files;
  if (strncmp(endpoint, "tcp://127.0.0.1:", 16) != 0)
    die("tcp://127.0.0.1:PORT expected, got %s", endpoint);
  server.sin_family = AF_INET;
  server.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll = epoll_create1(EPOLL_CLOEXEC);
}


int main(int argc, char **argv) {
  if (argc < 3)
    die("usage: http_load hello|json|file|large|post|ws ENDPOINT [name=value...]");
  for (int i = 3; i < argc; i++)
    set_option(argv[i]);
  if (options.connections < 1 || options.depth < 1 || options.depth > DEEPEST)
    die("connections and depth (at most %d) are at least 1", DEEPEST);
  prepare(argv[2]);
  make_request(argv[1]);
  if (!websocket)
    learn(dial());
  run();
  return 0;
}
