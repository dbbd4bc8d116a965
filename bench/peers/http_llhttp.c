/*
** http_llhttp http ENDPOINT: what the kernel and llhttp allow, by hand; the yardstick.
**
** It parses all of each request, notes where each field is, and answers with the same
** bytes as neap does: / (hello), /json (1 KiB), /file (100 KiB), and a POST with the
** count of its body's bytes.  At /ws it is a WebSocket, which sends back what it is sent:
** messages of one frame of less than 126 bytes.  Answers to what has come at once leave at
** once.
*/

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <llhttp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
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

enum { BUFFER = 64 * 1024, EVENTS = 256, FIELDS = 100, HEAD = 512, FRAME = 6 + 125 };

typedef struct span {
  const char *at;
  size_t n;
} span;

typedef struct client {
  int fd;
  struct client *dead; /* fd is -1: freed behind the batch, which may name it */
  llhttp_t parser;
  span target, field[FIELDS][2];
  size_t fields, body;
  bool websocket;
  unsigned char frame[FRAME]; /* of a WebSocket: the beginning of one that is not whole */
  size_t partial;
  char path[16]; /* the target's beginning: its bytes may be gone at the body's end */
  char *out;     /* what is to be sent */
  size_t size, sent, room;
} client;

static const char *bodies[3];
static size_t sizes[3];
static char buffer[BUFFER], date[64];
static int epoll;
static client *dead;
static llhttp_settings_t settings;


static void *room_for(client *c, size_t n) {
  if (c->size + n > c->room) {
    c->room = 2 * (c->size + n);
    c->out = realloc(c->out, c->room);
  }
  return c->out + c->size;
}


static void watch(int op, client *c, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  epoll_ctl(epoll, op, c->fd, &e);
}


static void end(client *c) {
  close(c->fd);
  c->fd = -1;
  c->dead = dead;
  dead = c;
}


static void bury(void) {
  for (client *c; (c = dead) != NULL;) {
    dead = c->dead;
    free(c->out);
    free(c);
  }
}


/* The clock is asked at each answer, as others do; the text is made once a second. */
static const char *now(void) {
  static time_t last;
  struct timespec t;
  clock_gettime(CLOCK_REALTIME_COARSE, &t);
  if (t.tv_sec != last) {
    struct tm parts;
    last = t.tv_sec;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&last, &parts));
  }
  return date;
}


static void answer(client *c, const char *type, const char *body, size_t n) {
  char *to = room_for(c, HEAD + n);
  int head = snprintf(to, HEAD,
                      "HTTP/1.1 200 OK\r\ndate: %s\r\ncontent-type: %s\r\n"
                      "content-length: %zu\r\n\r\n",
                      now(), type, n);
  memcpy(to + head, body, n);
  c->size += (size_t)head + n;
}


/* To /ws, which is taken for a handshake; see RFC 6455, 4.2.2. */
static void welcome_websocket(client *c) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[20];
  char text[128], accept[32];
  for (size_t i = 0; i < c->fields; i++)
    if (c->field[i][0].n == 17 && strncasecmp(c->field[i][0].at, "sec-websocket-key", 17) == 0) {
      int n = snprintf(text, sizeof text, "%.*s%s", (int)c->field[i][1].n % 64,
                       c->field[i][1].at, guid);
      EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL);
      EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
      c->size += (size_t)sprintf(room_for(c, HEAD),
                                 "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                                 "connection: upgrade\r\nsec-websocket-accept: %s\r\n\r\n",
                                 accept);
      c->websocket = true;
    }
}


static int on_begin(llhttp_t *l) {
  client *c = l->data;
  c->fields = c->body = 0;
  c->target.n = 0;
  return 0;
}


static int on_url(llhttp_t *l, const char *at, size_t n) {
  client *c = l->data;
  size_t known = strnlen(c->path, sizeof c->path);
  if (c->target.n == 0)
    c->target.at = at, known = 0;
  c->target.n += n;
  n = n < sizeof c->path - 1 - known ? n : sizeof c->path - 1 - known;
  memcpy(c->path + known, at, n);
  c->path[known + n] = '\0';
  return 0;
}


static int on_field(llhttp_t *l, const char *at, size_t n) {
  client *c = l->data;
  if (c->fields < FIELDS)
    c->field[c->fields][0] = (span){at, n};
  return 0;
}


static int on_value(llhttp_t *l, const char *at, size_t n) {
  client *c = l->data;
  if (c->fields < FIELDS)
    c->field[c->fields++][1] = (span){at, n};
  return 0;
}


static int on_body(llhttp_t *l, const char *at, size_t n) {
  (void)at;
  ((client *)l->data)->body += n;
  return 0;
}


static int on_whole(llhttp_t *l) {
  client *c = l->data;
  char count[32];
  if (l->method == HTTP_POST)
    answer(c, "text/plain; charset=utf-8", count, (size_t)sprintf(count, "%zu\n", c->body));
  else if (strcmp(c->path, "/ws") == 0)
    welcome_websocket(c);
  else if (strcmp(c->path, "/json") == 0)
    answer(c, "application/json", bodies[1], sizes[1]);
  else if (strcmp(c->path, "/file") == 0)
    answer(c, "application/octet-stream", bodies[2], sizes[2]);
  else
    answer(c, "text/plain; charset=utf-8", bodies[0], sizes[0]);
  return 0;
}


static void flush(client *c) {
  while (c->sent < c->size) {
    ssize_t n = send(c->fd, c->out + c->sent, c->size - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      watch(EPOLL_CTL_MOD, c, EPOLLOUT); /* and nothing is read meanwhile */
      return;
    }
    if (n < 0) {
      end(c);
      return;
    }
    c->sent += (size_t)n;
  }
  c->size = c->sent = 0;
}


/* False: it is no frame that is known here. */
static bool echo(client *c, const unsigned char *frame) {
  size_t n = frame[1] & 0x7f;
  if ((frame[0] & 0xf0) != 0x80 || (frame[0] & 8) != 0 || (frame[1] & 0x80) == 0 || n > 125)
    return false;
  unsigned char *to = room_for(c, 2 + n);
  to[0] = frame[0];
  to[1] = (unsigned char)n;
  for (size_t i = 0; i < n; i++)
    to[2 + i] = frame[6 + i] ^ frame[2 + i % 4];
  c->size += 2 + n;
  return true;
}


static bool take_frames(client *c, const unsigned char *bytes, size_t n) {
  while (n > 0) {
    size_t whole = c->partial > 1 ? 6u + (c->frame[1] & 0x7f)
                   : c->partial == 0 && n > 1 ? 6u + (bytes[1] & 0x7f) : 2;
    if (whole > FRAME)
      return false;
    if (c->partial == 0 && whole > 2 && whole <= n) {
      if (!echo(c, bytes))
        return false;
      bytes += whole, n -= whole;
      continue;
    }
    size_t part = whole - c->partial < n ? whole - c->partial : n;
    memcpy(c->frame + c->partial, bytes, part);
    bytes += part, n -= part, c->partial += part;
    if (whole > 2 && c->partial == whole) {
      c->partial = 0;
      if (!echo(c, c->frame))
        return false;
    }
  }
  return true;
}


static bool take(client *c, size_t n) {
  if (c->websocket)
    return take_frames(c, (unsigned char *)buffer, n);
  llhttp_errno_t e = llhttp_execute(&c->parser, buffer, n);
  return e == HPE_OK || (e == HPE_PAUSED_UPGRADE && c->websocket);
}


static void receive(client *c) {
  ssize_t n = recv(c->fd, buffer, BUFFER, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0 || !take(c, (size_t)n))
    end(c);
  else if (c->size > 0)
    flush(c);
}


static void welcome(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
    client *c = calloc(1, sizeof *c);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->fd = fd;
    llhttp_init(&c->parser, HTTP_REQUEST, &settings);
    c->parser.data = c;
    watch(EPOLL_CTL_ADD, c, EPOLLIN);
  }
}


static char *fill(const char *first, size_t n) {
  char *text = malloc(n);
  memset(text, 'x', n);
  memcpy(text, first, strlen(first));
  return text;
}


static void prepare(void) {
  char *json = fill("{\"text\":\"", 1024);
  memcpy(json + 1021, "\"}\n", 3);
  bodies[0] = "hello\n", sizes[0] = 6;
  bodies[1] = json, sizes[1] = 1024;
  bodies[2] = fill("", 100 * 1024), sizes[2] = 100 * 1024;
  llhttp_settings_init(&settings);
  settings.on_message_begin = on_begin;
  settings.on_url = on_url;
  settings.on_header_field = on_field;
  settings.on_header_value = on_value;
  settings.on_body = on_body;
  settings.on_message_complete = on_whole;
}


static int listen_at_loopback(void) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 4096) != 0)
    perror("http_llhttp"), exit(1);
  getsockname(fd, (struct sockaddr *)&a, &n);
  printf("tcp://127.0.0.1:%d\n", ntohs(a.sin_port));
  fflush(stdout);
  return fd;
}


int main(void) {
  struct epoll_event events[EVENTS], e = {.events = EPOLLIN};
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prepare();
  epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_at_loopback();
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      client *c = events[i].data.ptr;
      if (c == NULL) {
        welcome(listener);
      } else if (c->fd >= 0 && (events[i].events & EPOLLOUT) != 0) {
        flush(c);
        if (c->fd >= 0 && c->size == 0)
          watch(EPOLL_CTL_MOD, c, EPOLLIN);
      } else if (c->fd >= 0) {
        receive(c);
      }
    }
    bury();
  }
}
