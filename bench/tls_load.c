/*
** The load generator of the benchmarks of TLS: one thread, one epoll.
**
**   tls_load echo    ENDPOINT [name=value...]   messages go out and come back
**   tls_load full    ENDPOINT [name=value...]   connect, shake hands, one message,
**                                               close_notify, close
**   tls_load resumed ENDPOINT [name=value...]   the same, with tickets of before
**   tls_load idle    ENDPOINT [name=value...]   one message each, then silence,
**                                               until its stdin ends
**
** ENDPOINT is tcp://127.0.0.1:PORT.  Names: size (64), connections (50), seconds (1)
** after warm (0.2), and pid, of the server: then its processor time an operation, in
** ns, is told, too.  Every server is offered the same, and nothing else: TLS 1.3,
** TLS_AES_128_GCM_SHA256, X25519.  Every byte that comes back is compared with what
** was sent.  The result is one JSON object a line.
*/

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
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

enum { BUFFER = 16 * 1024, EVENTS = 256 };

typedef struct connection {
  int fd;
  SSL *ssl;
  size_t sent, received; /* of the message */
  uint32_t watched;
} connection;

static struct {
  size_t size, connections, pid;
  double seconds, warm;
} options = {64, 50, 0, 1, 0.2};

static struct sockaddr_in server;
static SSL_CTX *context;
static SSL_SESSION *saved; /* the first connection's last one, or NULL */
static bool resumes;
static char *message, buffer[BUFFER];
static int epoll;


static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("tls_load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  ERR_print_errors_fp(stderr);
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
  uint64_t opens, closes, opened, used, count, total;
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
    window.count = 0;
  }
  return now < window.closes || window.opened == 0;
}


static void report(void) {
  double count = window.count > 0 ? (double)window.count : 1;
  double seconds = (double)(time_of(CLOCK_MONOTONIC) - window.opened) / 1e9;
  printf("{\"rate\": %.1f, \"messages\": %llu, \"cpu\": %.1f}\n",
         count / seconds, (unsigned long long)window.total,
         (double)(used() - window.used) / count);
}


/*
** One connection
*/

static int save(SSL *ssl, SSL_SESSION *session) {
  (void)ssl;
  if (resumes)
    return 0;
  SSL_SESSION_free(saved);
  saved = SSL_SESSION_dup(session);
  return 0;
}


static void make_context(void) {
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set1_groups_list(context, "X25519");
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
                                              SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, save);
}


/* From many addresses of the loopback network, so that those of connections that
 * were closed a moment ago are not missed. */
static int dial(void) {
  static unsigned n;
  struct sockaddr_in from = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(fd >= 0, "socket");
  from.sin_addr.s_addr = htonl(0x7f010001u + (n++ % 200) * 256);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
  check(bind(fd, (struct sockaddr *)&from, sizeof from) == 0, "bind");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  check(connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
  return fd;
}


static void open_one(connection *c) {
  *c = (connection){.fd = dial(), .ssl = SSL_new(context)};
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_tlsext_host_name(c->ssl, "localhost");
  SSL_set_connect_state(c->ssl);
  if (resumes) {
    SSL_SESSION *copy = SSL_SESSION_dup(saved); /* one that is in use changes */
    SSL_set_session(c->ssl, copy);
    SSL_SESSION_free(copy);
  }
}


static void close_one(connection *c) {
  SSL_shutdown(c->ssl);
  SSL_free(c->ssl);
  close(c->fd);
}


static void watch(connection *c, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  if (c->watched == events)
    return;
  int op = c->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  check(epoll_ctl(epoll, op, c->fd, &e) == 0, "epoll_ctl");
  c->watched = events;
}


/* Not now: what is to be waited for. */
static uint32_t wants(const connection *c, int result) {
  switch (SSL_get_error(c->ssl, result)) {
  case SSL_ERROR_WANT_READ:
    return EPOLLIN;
  case SSL_ERROR_WANT_WRITE:
    return EPOLLIN | EPOLLOUT;
  default:
    die("the connection fails, or ends");
    return 0;
  }
}


/* Is its message back?  It goes on for as long as nothing is to be waited for. */
static bool step(connection *c) {
  size_t n;
  int result;
  uint32_t events = EPOLLIN;
  while (c->sent < options.size) {
    result = SSL_write_ex(c->ssl, message + c->sent, options.size - c->sent, &n);
    if (result != 1) {
      events = wants(c, result);
      break;
    }
    c->sent += n;
  }
  while (c->received < options.size) {
    result = SSL_read_ex(c->ssl, buffer, BUFFER, &n);
    if (result != 1) {
      watch(c, events | wants(c, result));
      return false;
    }
    if (n > options.size - c->received ||
        memcmp(buffer, message + c->received, n) != 0)
      die("bytes came back wrong");
    c->received += n;
  }
  if (resumes && !SSL_session_reused(c->ssl))
    die("the server does not resume");
  c->sent = c->received = 0;
  return true;
}


/* The descriptor blocks. */
static void finish(connection *c) {
  while (!step(c))
    ;
}


static void unblock(connection *c) {
  check(fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
}


/*
** The modes
*/

static connection *open_all(void) {
  connection *all = calloc(options.connections, sizeof *all);
  for (size_t i = 0; i < options.connections; i++) {
    open_one(&all[i]);
    if (!resumes)
      finish(&all[i]);
  }
  return all;
}


/* As many messages as come back at once, which is where both sides share a processor. */
static void go_on(connection *c, bool again) {
  while (step(c)) {
    window.count++;
    window.total++;
    if (again) {
      close_one(c);
      open_one(c);
      unblock(c);
    }
  }
}


static void run(bool again) {
  struct epoll_event events[EVENTS];
  connection *all = open_all();
  begin();
  for (size_t i = 0; i < options.connections; i++) {
    unblock(&all[i]);
    go_on(&all[i], again);
  }
  while (look_at_clock()) {
    int n = epoll_wait(epoll, events, EVENTS, 10000);
    if (n == 0)
      die("nothing came back for 10 s");
    for (int i = 0; i < n; i++)
      go_on(events[i].data.ptr, again);
  }
  report();
}


static void resumed(void) {
  connection first;
  open_one(&first);
  finish(&first);
  if (saved == NULL)
    die("the server gives no ticket");
  close_one(&first);
  resumes = true;
  run(true);
}


static void idle(void) {
  open_all();
  puts("ready");
  fflush(stdout);
  while (read(STDIN_FILENO, buffer, BUFFER) > 0)
    ;
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
  const char *colon = strrchr(endpoint, ':');
  if (strncmp(endpoint, "tcp://127.0.0.1:", 16) != 0)
    die("tcp://127.0.0.1:PORT expected, got %s", endpoint);
  server.sin_family = AF_INET;
  server.sin_port = htons((uint16_t)atoi(colon + 1));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  make_context();
  message = malloc(options.size);
  for (size_t i = 0; i < options.size; i++)
    message[i] = (char)('a' + i * i % 26);
}


int main(int argc, char **argv) {
  if (argc < 3)
    die("usage: tls_load echo|full|resumed|idle ENDPOINT [name=value...]");
  for (int i = 3; i < argc; i++)
    set_option(argv[i]);
  if (options.size < 1 || options.connections < 1)
    die("size and connections are at least 1");
  prepare(argv[2]);
  if (strcmp(argv[1], "echo") == 0)
    run(false);
  else if (strcmp(argv[1], "full") == 0)
    run(true);
  else if (strcmp(argv[1], "resumed") == 0)
    resumed();
  else if (strcmp(argv[1], "idle") == 0)
    idle();
  else
    die("no mode %s", argv[1]);
  return 0;
}
