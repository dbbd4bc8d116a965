/* tls_epoll echo ENDPOINT: TLS as fast as OpenSSL allows, by hand.  The certificate and
 * its key are those of TLS_CERT and TLS_KEY.  One recv a record (read_ahead), records
 * sent as they are made, buffers given back when they are empty, tickets as OpenSSL
 * gives them, no cache of sessions, and no look for a chain. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 16 * 1024, EVENTS = 256 };

typedef struct peer {
  int fd;
  SSL *ssl;
  char *rest; /* what the kernel refused; nothing is read meanwhile */
  size_t size;
} peer;

static char buffer[BUFFER];
static int epoll;


static SSL_CTX *make_context(void) {
  SSL_CTX *c = SSL_CTX_new(TLS_server_method());
  const char *cert = getenv("TLS_CERT"), *key = getenv("TLS_KEY");
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(c, 1);
  if (cert == NULL || key == NULL ||
      SSL_CTX_use_certificate_chain_file(c, cert) != 1 ||
      SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)
    fputs("TLS_CERT and TLS_KEY are to name PEM files\n", stderr), exit(1);
  return c;
}


static int listen_at(const char *endpoint) {
  struct sockaddr_in in = {.sin_family = AF_INET};
  socklen_t n = sizeof in;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  in.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(fd, (struct sockaddr *)&in, n) != 0 || listen(fd, 4096) != 0)
    perror(endpoint), exit(1);
  getsockname(fd, (struct sockaddr *)&in, &n);
  printf("tcp://127.0.0.1:%d\n", ntohs(in.sin_port));
  fflush(stdout);
  return fd;
}


static void watch(int op, peer *p, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = p};
  epoll_ctl(epoll, op, p->fd, &e);
}


static void end(peer *p) {
  ERR_clear_error();
  if (SSL_is_init_finished(p->ssl))
    SSL_shutdown(p->ssl);
  ERR_clear_error();
  SSL_free(p->ssl);
  close(p->fd);
  free(p->rest);
  free(p);
}


/* False: it has ended. */
static bool go_on(peer *p, int result) {
  int error = SSL_get_error(p->ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return true;
  end(p);
  return false;
}


static bool give(peer *p, const char *bytes, size_t n) {
  while (n > 0) {
    size_t done = 0;
    int result = SSL_write_ex(p->ssl, bytes, n, &done);
    if (result != 1 && !go_on(p, result))
      return false;
    if (result != 1)
      break;
    bytes += done;
    n -= done;
  }
  char *rest = NULL;
  if (n > 0) {
    rest = malloc(n);
    memcpy(rest, bytes, n);
    watch(EPOLL_CTL_MOD, p, EPOLLOUT);
  }
  free(p->rest);
  p->rest = rest;
  p->size = n;
  return true;
}


static void readable(peer *p) {
  do {
    size_t n;
    int result = SSL_read_ex(p->ssl, buffer, BUFFER, &n);
    if (result != 1) {
      go_on(p, result);
      return;
    }
    if (!give(p, buffer, n))
      return;
  } while (p->rest == NULL && SSL_has_pending(p->ssl));
}


static void writable(peer *p) {
  if (!give(p, p->rest, p->size) || p->rest != NULL)
    return;
  watch(EPOLL_CTL_MOD, p, EPOLLIN);
  if (SSL_has_pending(p->ssl))
    readable(p);
}


static void accept_one(int listener, SSL_CTX *context) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return;
  peer *p = calloc(1, sizeof *p);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  p->fd = fd;
  p->ssl = SSL_new(context);
  SSL_set_fd(p->ssl, fd);
  SSL_set_accept_state(p->ssl);
  watch(EPOLL_CTL_ADD, p, EPOLLIN);
}


int main(int argc, char **argv) {
  struct epoll_event events[EVENTS];
  if (argc != 3 || strcmp(argv[1], "echo") != 0)
    return fputs("usage: tls_epoll echo ENDPOINT\n", stderr), 2;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  SSL_CTX *context = make_context();
  epoll = epoll_create1(EPOLL_CLOEXEC);
  peer listener = {.fd = listen_at(argv[2])};
  watch(EPOLL_CTL_ADD, &listener, EPOLLIN);
  for (;;) {
    int n = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      peer *p = events[i].data.ptr;
      if (p == &listener)
        accept_one(p->fd, context);
      else if (p->rest != NULL)
        writable(p);
      else
        readable(p);
    }
  }
}
