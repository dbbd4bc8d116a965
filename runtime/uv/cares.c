#include "uv/cares.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/round.h"
#include "uv/owned.h"

enum { PAYLOAD = 1232 }; /* bytes of an answer by UDP: what every path takes */

/* A socket of a channel's. */
typedef struct port {
  later later;
  watch watch;
  cares *of;
  struct port *next;
} port;


/*
** Sockets
*/

static void on_port(watch *w, uint32_t events) {
  port *p = (port *)((char *)w - offsetof(port, watch));
  cares *c = p->of;
  bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  bool in = broken || (events & EPOLLIN) != 0;
  bool out = broken || (events & EPOLLOUT) != 0;
  ares_process_fd(c->channel, in ? w->fd : ARES_SOCKET_BAD,
                  out ? w->fd : ARES_SOCKET_BAD);
  c->moved(c);
}


static bool is_lack(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS ||
         error == ENOMEM || error == ENOSPC;
}


static ares_socket_t open_port(int family, int type, int protocol, void *of) {
  cares *c = of;
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0) {
    if (is_lack(errno))
      c->lack = -errno;
    return ARES_SOCKET_BAD;
  }
  owned_add(fd);
  port *p = memory_new(sizeof *p);
  p->watch = (watch){.fd = fd, .ready = on_port};
  p->of = c;
  p->next = c->ports;
  c->ports = p;
  return fd;
}


static port **port_of(cares *c, int fd) {
  port **at = &c->ports;
  while ((*at)->watch.fd != fd)
    at = &(*at)->next;
  return at;
}


static void on_port_gone(later *l) {
  free(l);
}


static int close_port(ares_socket_t fd, void *of) {
  cares *c = of;
  loop *l = c->loop;
  port **at = port_of(c, fd), *p = *at;
  *at = p->next;
  watch_forget(l, &p->watch);
  owned_close(fd, l->epoll);
  round_later(l->host, &p->later, on_port_gone);
  return 0;
}


/* c-ares knows no scopes. */
static int connect_port(ares_socket_t fd, const struct sockaddr *to,
                        ares_socklen_t size, void *of) {
  const cares *c = of;
  address a = {.length = size};
  memcpy(&a.u, to, size);
  for (int i = 0; to->sa_family == AF_INET6 && i < RESOLV_SERVERS; i++)
    if (c->servers[i].u.any.sa_family == AF_INET6 &&
        IN6_ARE_ADDR_EQUAL(&c->servers[i].u.in6.sin6_addr, &a.u.in6.sin6_addr))
      a.u.in6.sin6_scope_id = c->servers[i].u.in6.sin6_scope_id;
  return connect(fd, &a.u.any, a.length);
}


static ares_ssize_t receive(ares_socket_t fd, void *bytes, size_t n, int flags,
                            struct sockaddr *from, ares_socklen_t *size,
                            void *of) {
  (void)of;
  return recvfrom(fd, bytes, n, flags, from, size);
}


static ares_ssize_t transmit(ares_socket_t fd, const struct iovec *v, int n,
                             void *of) {
  struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
  (void)of;
  return sendmsg(fd, &m, MSG_NOSIGNAL);
}


static void on_interest(void *of, ares_socket_t fd, int readable,
                        int writable) {
  cares *c = of;
  if (!readable && !writable)
    return; /* it is closed next */
  port *p = *port_of(c, fd);
  int status =
      watch_set(c->loop, &p->watch,
                (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u));
  if (status < 0)
    c->lack = status;
}


static const struct ares_socket_functions functions = {
    .asocket = open_port,
    .aclose = close_port,
    .aconnect = connect_port,
    .arecvfrom = receive,
    .asendv = transmit,
};


/*
** Channels
*/

static void init_ares(void) {
  ares_library_init(ARES_LIB_INIT_ALL);
}


int cares_set_servers(cares *c, const resolv_conf *conf, unsigned turn) {
  struct ares_addr_port_node nodes[RESOLV_SERVERS] = {{0}};
  unsigned n = conf->server_count;
  for (unsigned i = 0; i < n; i++) {
    const address *a = &conf->servers[(i + turn) % n];
    struct ares_addr_port_node *node = &nodes[i];
    c->servers[i] = *a;
    node->family = a->u.any.sa_family;
    node->next = i + 1 < n ? node + 1 : NULL;
    node->udp_port = node->tcp_port = (int)address_port(a);
    if (node->family == AF_INET)
      node->addr.addr4 = a->u.in4.sin_addr;
    else
      memcpy(&node->addr.addr6, &a->u.in6.sin6_addr, sizeof node->addr.addr6);
  }
  return ares_set_servers_ports(c->channel, nodes);
}


int cares_open(cares **out, loop *l, const resolv_conf *conf) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static char nowhere[] = "/dev/null", by_dns[] = "b";
  cares *c = memory_new(sizeof *c);
  struct ares_options options = {.flags = ARES_FLAG_EDNS |
                                          (conf->tcp ? ARES_FLAG_USEVC : 0),
                                 .timeout = (int)conf->timeout * 1000,
                                 .tries = (int)conf->attempts,
                                 .ndots = 1,
                                 .lookups = by_dns,
                                 .sock_state_cb = on_interest,
                                 .sock_state_cb_data = c,
                                 .ednspsz = PAYLOAD,
                                 .resolvconf_path = nowhere};
  pthread_once(&once, init_ares);
  int status = ares_init_options(
      &c->channel, &options,
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
          ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
          ARES_OPT_EDNSPSZ | ARES_OPT_NOROTATE | ARES_OPT_RESOLVCONF);
  if (status != ARES_SUCCESS) {
    free(c);
    return status;
  }
  c->loop = l;
  ares_set_socket_functions(c->channel, &functions, c);
  *out = c;
  return status;
}


static void on_timer(loop_timer *t) {
  cares *c = (cares *)((char *)t - offsetof(cares, timer));
  ares_process_fd(c->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  c->moved(c);
}


void cares_wait(cares *c) {
  struct timeval t;
  if (ares_timeout(c->channel, NULL, &t) != NULL)
    loop_timer_start(c->loop, &c->timer,
                     (uint64_t)t.tv_sec * UINT64_C(1000000000) +
                         (uint64_t)t.tv_usec * 1000,
                     on_timer);
}


void cares_rest(cares *c) {
  loop_timer_stop(c->loop, &c->timer);
  assert(c->ports == NULL);
}


void cares_close(cares *c) {
  loop_timer_stop(c->loop, &c->timer);
  ares_destroy(c->channel);
  free(c);
}
