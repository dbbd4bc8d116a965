#include "uv/gso.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "uv/rights.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* A shaper that cuts such a packet and has no room for all of it drops the rest, and
 * nobody is told.  So they are short: messages of 64 bytes still leave 64 at a
 * time, and larger ones gain less by more. */
enum { GSO_BYTES = 16 * 1024 };

enum { CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(2) };

/* What one sendmmsg takes. */
typedef struct shipment {
  struct mmsghdr headers[DATAGRAM_BATCH];
  struct iovec vectors[DATAGRAM_BATCH];
  struct sockaddr_in6 mapped[DATAGRAM_BATCH];
  int counts[DATAGRAM_BATCH]; /* messages of each header */
  int size, vector_count;
  _Alignas(struct cmsghdr) char control[DATAGRAM_BATCH][CONTROL];
} shipment;


gso gso_of(int family, int type, int protocol) {
  bool udp = (family == AF_INET || family == AF_INET6) && type == SOCK_DGRAM &&
             protocol == IPPROTO_UDP;
  return (gso){.largest = udp ? GSO_BYTES / 2 : 0};
}


const void *gso_name(int family, const address *to, struct sockaddr_in6 *mapped,
                     socklen_t *size) {
  *size = to->length;
  if (family != AF_INET6 || to->u.any.sa_family != AF_INET)
    return &to->u;
  *mapped = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                  .sin6_port = to->u.in4.sin_port};
  memset(mapped->sin6_addr.s6_addr + 10, 0xff, 2);
  memcpy(mapped->sin6_addr.s6_addr + 12, &to->u.in4.sin_addr, 4);
  *size = sizeof *mapped;
  return mapped;
}


/*
** One message
*/

static int result_of(ssize_t n, int taken) {
  return n < 0 ? -errno : taken;
}


static int send_one(int fd, int family, const outgoing *o) {
  struct sockaddr_in6 mapped;
  const void *name = NULL;
  socklen_t size = 0;
  ssize_t n;
  if (o->to != NULL)
    name = gso_name(family, o->to, &mapped, &size);
  do
    n = sendto(fd, o->bytes, o->size, MSG_DONTWAIT | MSG_NOSIGNAL, name, size);
  while (n < 0 && errno == EINTR);
  return result_of(n, 1);
}


static int send_with_fds(int fd, int family, const outgoing *o) {
  rights r;
  struct sockaddr_in6 mapped;
  struct iovec v = {(char *)(uintptr_t)o->bytes, o->size};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  ssize_t n;
  if (family != AF_UNIX)
    return -EOPNOTSUPP; /* the kernel would send without them */
  if (o->to != NULL)
    m.msg_name =
        (void *)(uintptr_t)gso_name(family, o->to, &mapped, &m.msg_namelen);
  rights_put(&r, &m, o->fds, o->fd_count);
  do
    n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return result_of(n, 1);
}


/*
** Many
*/

static bool is_alike(const outgoing *a, const outgoing *b) {
  return a->to == b->to && a->via == b->via && a->interface == b->interface;
}


/* How many of v, from the first, may leave as one: all of the first's size,
 * but that the last may be shorter.  To the same destination is told by the
 * pointer, which whoever gathers them sees to. */
static int as_one(const outgoing *v, int n, uint32_t largest) {
  size_t size = v->size, total = size;
  int i = 1;
  if (size == 0 || size > largest)
    return 1;
  for (; i < n && is_alike(&v[i], v) && v[i - 1].size == size; i++) {
    total += v[i].size;
    if (v[i].size == 0 || v[i].size > size || total > GSO_BYTES)
      break;
  }
  return i;
}


static void add_bytes(shipment *s, struct msghdr *m, const outgoing *o) {
  if (m->msg_iovlen > 0) {
    struct iovec *last = &s->vectors[s->vector_count - 1];
    if ((char *)last->iov_base + last->iov_len == o->bytes) {
      last->iov_len += o->size;
      return;
    }
  }
  s->vectors[s->vector_count++] =
      (struct iovec){(char *)(uintptr_t)o->bytes, o->size};
  m->msg_iovlen++;
}


static void add_control(struct msghdr *m, char *room, int level, int type,
                        const void *value, size_t size) {
  char *at = room + m->msg_controllen;
  struct cmsghdr *c = (void *)at;
  memset(at, 0, CMSG_SPACE(size));
  *c = (struct cmsghdr){
      .cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(size)};
  memcpy(CMSG_DATA(c), value, size);
  m->msg_control = room;
  m->msg_controllen += CMSG_SPACE(size);
}


/* The interface is named only where the address does not tell: routes may lead
 * elsewhere than where the question came in. */
static void add_source4(struct msghdr *m, char *room, const outgoing *o) {
  struct in_pktinfo info = {.ipi_ifindex = (int)o->interface};
  if (o->via != NULL)
    info.ipi_spec_dst = o->via->u.in4.sin_addr;
  add_control(m, room, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
}


static void add_source6(struct msghdr *m, char *room, const outgoing *o) {
  struct in6_pktinfo info = {.ipi6_ifindex = o->interface};
  struct sockaddr_in6 mapped;
  socklen_t size;
  if (o->via != NULL) {
    const struct sockaddr_in6 *via = gso_name(AF_INET6, o->via, &mapped, &size);
    info.ipi6_addr = via->sin6_addr;
    info.ipi6_ifindex = via->sin6_scope_id;
  }
  add_control(m, room, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}


static bool has_source(const outgoing *o) {
  return o->via != NULL || o->interface != 0;
}


static void add_source(struct msghdr *m, char *room, int family,
                       const outgoing *o) {
  if (!has_source(o))
    return;
  if (family == AF_INET)
    add_source4(m, room, o);
  else
    add_source6(m, room, o);
}


static void pack(shipment *s, int family, const outgoing *v, int n,
                 uint32_t largest) {
  s->size = s->vector_count = 0;
  for (int i = 0; i < n;) {
    struct msghdr *m = &s->headers[s->size].msg_hdr;
    int count = as_one(v + i, n - i, largest);
    *m = (struct msghdr){.msg_iov = &s->vectors[s->vector_count]};
    if (v[i].to != NULL)
      m->msg_name = (void *)(uintptr_t)gso_name(
          family, v[i].to, &s->mapped[s->size], &m->msg_namelen);
    for (int k = i; k < i + count; k++)
      add_bytes(s, m, &v[k]);
    add_source(m, s->control[s->size], family, &v[i]);
    if (count > 1)
      add_control(m, s->control[s->size], IPPROTO_UDP, UDP_SEGMENT,
                  &(uint16_t){(uint16_t)v[i].size}, sizeof(uint16_t));
    s->counts[s->size++] = count;
    i += count;
  }
}


static int ship(int fd, shipment *s) {
  int sent, taken = 0;
  do
    sent = sendmmsg(fd, s->headers, (unsigned)s->size,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  for (int i = 0; i < sent; i++)
    taken += s->counts[i];
  return result_of(sent, taken);
}


/*
** Where it is refused to send many as one
*/

/* A kernel that does not know UDP_SEGMENT would send one large message. */
static uint32_t largest_of(int fd, gso *p) {
  int value;
  socklen_t size = sizeof value;
  if (p->largest > 0 && !p->asked) {
    p->asked = true;
    if (getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, &size) != 0)
      p->largest = 0;
  }
  return p->largest;
}


static bool may_be_refusal(int status) {
  return status == -EIO || status == -EINVAL || status == -EMSGSIZE ||
         status == -EOPNOTSUPP || status == -ENOPROTOOPT ||
         status == -ENOBUFS || status == -ENOMEM;
}


/* Those that were refused as one went out one by one: so it was no fault of
 * theirs, but of the path's (too large for it: EINVAL, in newer kernels
 * EMSGSIZE), of the device's, or of a short queue's (ENOBUFS), where what leaves
 * one by one is refused one by one, and so not lost. */
static void learn(gso *p, int status, size_t size) {
  if (status == -EINVAL || status == -EMSGSIZE)
    p->largest = (uint32_t)size - 1;
  else if (status != -ENOMEM)
    p->largest = 0;
}


static int send_many(int fd, int family, gso *p, const outgoing *v, int n) {
  shipment s;
  pack(&s, family, v, n, largest_of(fd, p));
  int status = ship(fd, &s);
  if (s.counts[0] == 1 || !may_be_refusal(status))
    return status;
  pack(&s, family, v, s.counts[0], 0);
  int taken = ship(fd, &s);
  if (taken > 0 || status == -ENOBUFS)
    learn(p, status, v->size);
  return taken;
}


int gso_send(int fd, int family, gso *p, const outgoing *v, int n) {
  if (v->fd_count > 0)
    return send_with_fds(fd, family, v);
  if (n == 1 && !has_source(v))
    return send_one(fd, family, v);
  return send_many(fd, family, p, v, n < DATAGRAM_BATCH ? n : DATAGRAM_BATCH);
}
