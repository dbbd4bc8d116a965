/* epoll MODE ENDPOINT [UPSTREAM]: what the kernel allows, by hand.  Modes: echo,
 * lines (each line is answered by itself), relay (to UPSTREAM).  With AWAKE in its
 * environment it does not sleep before 10 ms without news. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, EVENTS = 256, LINE = 4096 };

typedef struct peer {
  int fd, to; /* to: where its bytes go */
  struct peer *other;
  struct peer *dead; /* fd is -1: freed behind the batch, which may name it */
  size_t size; /* bytes that were not sent */
  char *rest;
  size_t begun; /* bytes of an unfinished line */
  char *line;
} peer;

static char buffer[BUFFER];
static int epoll;
static peer *dead;

static int open_socket(const char *endpoint, struct sockaddr_storage *a, socklen_t *n) {
  memset(a, 0, sizeof *a);
  if (strncmp(endpoint, "unix:", 5) == 0) {
    struct sockaddr_un *un = (struct sockaddr_un *)a;
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof un->sun_path, "%s", endpoint + 5);
    *n = sizeof *un;
  } else {
    struct sockaddr_in *in = (struct sockaddr_in *)a;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    *n = sizeof *in;
  }
  return socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int listen_at(const char *endpoint) {
  struct sockaddr_storage a;
  socklen_t n;
  int fd = open_socket(endpoint, &a, &n);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 4096) != 0)
    perror(endpoint), exit(1);
  if (a.ss_family == AF_UNIX) {
    puts(endpoint);
  } else {
    getsockname(fd, (struct sockaddr *)&a, &n);
    printf("tcp://127.0.0.1:%d\n", ntohs(((struct sockaddr_in *)&a)->sin_port));
  }
  fflush(stdout);
  return fd;
}

static int connect_to(const char *endpoint) {
  struct sockaddr_storage a;
  socklen_t n;
  int fd = open_socket(endpoint, &a, &n);
  if (connect(fd, (struct sockaddr *)&a, n) != 0)
    perror(endpoint), exit(1);
  return fd;
}

static void watch(int op, peer *p, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = p};
  epoll_ctl(epoll, op, p->fd, &e);
}

static void end(peer *p) {
  close(p->fd);
  p->fd = -1;
  p->dead = dead;
  dead = p;
}

static void bury(void) {
  for (peer *p; (p = dead) != NULL;) {
    dead = p->dead;
    free(p->rest);
    free(p->line);
    free(p);
  }
}

/* Keep what the kernel refused, and stop reading until it has gone. */
static void give(peer *p, const char *bytes, size_t n) {
  ssize_t sent = send(p->to, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  size_t done = sent > 0 ? (size_t)sent : 0;
  if (done == n || (sent < 0 && errno != EAGAIN))
    return;
  p->size = n - done;
  p->rest = realloc(p->rest, p->size);
  memcpy(p->rest, bytes + done, p->size);
  if (p->other == NULL) {
    watch(EPOLL_CTL_MOD, p, EPOLLOUT);
  } else {
    watch(EPOLL_CTL_MOD, p, 0);
    watch(EPOLL_CTL_MOD, p->other, EPOLLIN | EPOLLOUT);
  }
}

static void give_rest(peer *p) {
  char *rest = p->rest;
  size_t n = p->size;
  p->rest = NULL;
  p->size = 0;
  if (p->other != NULL)
    watch(EPOLL_CTL_MOD, p->other, EPOLLIN);
  watch(EPOLL_CTL_MOD, p, EPOLLIN);
  give(p, rest, n);
  free(rest);
}

/* Whole lines go back; the beginning of one waits. */
static void answer(peer *p, size_t n) {
  static char out[BUFFER + LINE];
  size_t used = 0;
  char *at = buffer, *stop = buffer + n;
  for (char *nl; (nl = memchr(at, '\n', (size_t)(stop - at))) != NULL; at = nl + 1) {
    memcpy(out + used, p->line, p->begun);
    used += p->begun;
    p->begun = 0;
    memcpy(out + used, at, (size_t)(nl + 1 - at));
    used += (size_t)(nl + 1 - at);
  }
  if (used > 0)
    give(p, out, used);
  if (at < stop) {
    p->line = realloc(p->line, LINE);
    memcpy(p->line + p->begun, at, (size_t)(stop - at));
    p->begun += (size_t)(stop - at);
  }
}

static void readable(peer *p, bool lines) {
  ssize_t n = recv(p->fd, buffer, BUFFER, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0) {
    if (p->other != NULL)
      end(p->other);
    end(p);
  } else if (lines) {
    answer(p, (size_t)n);
  } else {
    give(p, buffer, (size_t)n);
  }
}

static peer *new_peer(int fd) {
  peer *p = calloc(1, sizeof *p);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  p->fd = p->to = fd;
  watch(EPOLL_CTL_ADD, p, EPOLLIN);
  return p;
}

static void accept_one(int listener, const char *upstream) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0)
    return;
  peer *p = new_peer(fd);
  if (upstream == NULL)
    return;
  p->other = new_peer(connect_to(upstream));
  p->to = p->other->fd;
  p->other->to = fd;
  p->other->other = p;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  struct epoll_event events[EVENTS];
  if (argc < 3)
    return fputs("usage: epoll echo|lines|relay ENDPOINT [UPSTREAM]\n", stderr), 2;
  bool lines = strcmp(argv[1], "lines") == 0;
  bool awake = getenv("AWAKE") != NULL;
  double news = 0;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  peer listener = {.fd = listen_at(argv[2])};
  watch(EPOLL_CTL_ADD, &listener, EPOLLIN);
  for (;;) {
    int n = epoll_wait(epoll, events, EVENTS, awake && now() < news + 0.01 ? 0 : -1);
    if (awake && n > 0)
      news = now();
    for (int i = 0; i < n; i++) {
      peer *p = events[i].data.ptr;
      if (p->fd < 0)
        continue;
      if (p == &listener)
        accept_one(p->fd, argc > 3 ? argv[3] : NULL);
      else if ((events[i].events & EPOLLOUT) != 0 && p->other != NULL)
        give_rest(p->other);
      else if ((events[i].events & EPOLLOUT) != 0)
        give_rest(p);
      else
        readable(p, lines);
    }
    bury();
  }
}
