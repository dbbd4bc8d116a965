/* libuv MODE ENDPOINT: the same in C over libuv: echo, lines. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

enum { BUFFER = 64 * 1024, LINE = 4096 };

typedef struct peer {
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } u;
  size_t size;
  char *rest; /* of an unfinished line */
} peer;

static char buffer[BUFFER], answers[BUFFER + LINE];
static int lines, local;

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b) {
  (void)h, (void)n;
  *b = uv_buf_init(buffer, BUFFER);
}

static void on_written(uv_write_t *w, int status) {
  (void)status;
  free(w);
}

static void on_closed(uv_handle_t *h) {
  free(((peer *)h)->rest);
  free(h);
}

static void give(uv_stream_t *s, const char *bytes, size_t n) {
  uv_buf_t b = uv_buf_init((char *)bytes, (unsigned)n);
  int sent = uv_try_write(s, &b, 1);
  size_t done = sent > 0 ? (size_t)sent : 0;
  if (done == n)
    return;
  uv_write_t *w = malloc(sizeof *w + n - done);
  memcpy(w + 1, bytes + done, n - done);
  b = uv_buf_init((char *)(w + 1), (unsigned)(n - done));
  uv_write(w, s, &b, 1, on_written);
}

static void answer(peer *p, const char *at, size_t n) {
  size_t used = 0;
  const char *stop = at + n, *nl;
  for (; (nl = memchr(at, '\n', (size_t)(stop - at))) != NULL; at = nl + 1) {
    memcpy(answers + used, p->rest, p->size);
    used += p->size;
    p->size = 0;
    memcpy(answers + used, at, (size_t)(nl + 1 - at));
    used += (size_t)(nl + 1 - at);
  }
  if (used > 0)
    give(&p->u.stream, answers, used);
  if (at < stop) {
    p->rest = realloc(p->rest, LINE);
    memcpy(p->rest + p->size, at, (size_t)(stop - at));
    p->size += (size_t)(stop - at);
  }
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
  if (n < 0)
    uv_close((uv_handle_t *)s, on_closed);
  else if (n > 0 && lines)
    answer((peer *)s, b->base, (size_t)n);
  else if (n > 0)
    give(s, b->base, (size_t)n);
}

static void on_connection(uv_stream_t *listener, int status) {
  peer *p = calloc(1, sizeof *p);
  if (local)
    uv_pipe_init(listener->loop, &p->u.pipe, 0);
  else
    uv_tcp_init(listener->loop, &p->u.tcp);
  if (status != 0 || uv_accept(listener, &p->u.stream) != 0) {
    uv_close((uv_handle_t *)p, on_closed);
    return;
  }
  if (!local)
    uv_tcp_nodelay(&p->u.tcp, 1);
  uv_read_start(&p->u.stream, on_alloc, on_read);
}

int main(int argc, char **argv) {
  static peer listener;
  uv_loop_t *loop = uv_default_loop();
  struct sockaddr_in a;
  int n = sizeof a;
  if (argc < 3)
    return fputs("usage: libuv echo|lines ENDPOINT\n", stderr), 2;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  lines = strcmp(argv[1], "lines") == 0;
  local = strncmp(argv[2], "unix:", 5) == 0;
  if (local) {
    uv_pipe_init(loop, &listener.u.pipe, 0);
    uv_pipe_bind(&listener.u.pipe, argv[2] + 5);
    puts(argv[2]);
  } else {
    uv_ip4_addr("127.0.0.1", atoi(strrchr(argv[2], ':') + 1), &a);
    uv_tcp_init(loop, &listener.u.tcp);
    uv_tcp_bind(&listener.u.tcp, (struct sockaddr *)&a, 0);
    uv_tcp_getsockname(&listener.u.tcp, (struct sockaddr *)&a, &n);
    printf("tcp://127.0.0.1:%d\n", ntohs(a.sin_port));
  }
  if (uv_listen(&listener.u.stream, 4096, on_connection) != 0)
    return 1;
  fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
