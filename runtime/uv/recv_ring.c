#include "uv/recv_ring.h"
#include "uv/owned.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>


#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Slots begin in different sets of the processor's caches, and have room in
 * front, for a tag that the kernel has taken out. */
enum {
  HEAD = 16,
  TAG = 4,
  SLOT = 64 * 1024 + 128,
  UNIX_SLOTS = 16,
  UNIX_SLOT = SLOT * DATAGRAM_BATCH / UNIX_SLOTS,
  CONTROL = 304, /* of a slot; for 253 descriptors and credentials four times */
  UNIX_CONTROL = CONTROL * DATAGRAM_BATCH / UNIX_SLOTS
};

struct recv_ring {
  struct mmsghdr headers[DATAGRAM_BATCH];
  struct iovec vectors[DATAGRAM_BATCH];
  struct sockaddr_storage names[DATAGRAM_BATCH];
  arrival list[DATAGRAM_BATCH];
  extras extras[DATAGRAM_BATCH]; /* of each slot */
  size_t laid_out;               /* the size of a slot; 0: not yet */
  const datagram *of;            /* whose the slots are */
  unsigned slot, slots;          /* the next to be shown, how many there are */
  arrival rest;   /* of a slot with several messages: those not yet shown */
  uint32_t piece; /* the size of each of these, but the last */
  _Alignas(struct cmsghdr) char control[DATAGRAM_BATCH * CONTROL];
  char bytes[DATAGRAM_BATCH * SLOT];
};


void recv_ring_free(struct recv_ring *a) {
  free(a);
}


/* NULL: there is no memory for it. */
static struct recv_ring *recv_ring_of(loop *l) {
  if (l->recv_ring == NULL &&
      (l->recv_ring = malloc(sizeof *l->recv_ring)) != NULL)
    l->recv_ring->laid_out = 0;
  return l->recv_ring;
}


/* The slots of one size, each with its place. */
static void lay_out(struct recv_ring *a, size_t slot, size_t control) {
  for (size_t i = 0; i < DATAGRAM_BATCH * SLOT / slot; i++) {
    a->vectors[i] = (struct iovec){a->bytes + i * slot + HEAD, slot - HEAD};
    a->headers[i].msg_hdr = (struct msghdr){
        .msg_name = &a->names[i],
        .msg_iov = &a->vectors[i],
        .msg_iovlen = 1,
        .msg_control = a->control + i * control,
    };
  }
  a->laid_out = slot;
}


static void prepare(struct recv_ring *a, const datagram *d, unsigned n) {
  bool large = d->family == AF_UNIX;
  size_t slot = large ? UNIX_SLOT : SLOT;
  size_t control = large ? UNIX_CONTROL : CONTROL;
  if (a->laid_out != slot)
    lay_out(a, slot, control);
  for (unsigned i = 0; i < n; i++) {
    a->headers[i].msg_hdr.msg_namelen = sizeof a->names[i];
    a->headers[i].msg_hdr.msg_controllen = control;
  }
}


/*
** Control messages
*/

static int number(const struct cmsghdr *c) {
  int value = 0;
  memcpy(&value, CMSG_DATA(c), sizeof value);
  return value;
}


static void read_pktinfo4(const struct cmsghdr *c, extras *x) {
  struct in_pktinfo info;
  memcpy(&info, CMSG_DATA(c), sizeof info);
  address_any(&x->to, AF_INET, 0);
  x->to.u.in4.sin_addr = info.ipi_addr;
  x->interface = (unsigned)info.ipi_ifindex;
  x->has_to = true;
  x->us = info.ipi_spec_dst;
  x->to_us = info.ipi_spec_dst.s_addr == info.ipi_addr.s_addr;
}


/* Of IPv4's message both are told, of which the other knows more. */
static void read_pktinfo6(const struct cmsghdr *c, extras *x) {
  struct in6_pktinfo info;
  memcpy(&info, CMSG_DATA(c), sizeof info);
  if (x->has_to)
    return;
  address_any(&x->to, AF_INET6, 0);
  x->to.u.in6.sin6_addr = info.ipi6_addr;
  x->to.u.in6.sin6_scope_id = info.ipi6_ifindex;
  x->interface = info.ipi6_ifindex;
  x->has_to = true;
  x->to_us = !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
}


static void read_ip(const struct cmsghdr *c, extras *x) {
  switch (c->cmsg_type) {
  case IP_PKTINFO:
    read_pktinfo4(c, x);
    break;
  case IP_TTL:
    x->ttl = number(c);
    x->has_ttl = true;
    break;
  case IP_TOS:
    x->tos = *CMSG_DATA(c);
    x->has_tos = true;
    break;
  default:
    break;
  }
}


static void read_ip6(const struct cmsghdr *c, extras *x) {
  switch (c->cmsg_type) {
  case IPV6_PKTINFO:
    read_pktinfo6(c, x);
    break;
  case IPV6_HOPLIMIT:
    x->ttl = number(c);
    x->has_ttl = true;
    break;
  case IPV6_TCLASS:
    x->tos = number(c);
    x->has_tos = true;
    break;
  default:
    break;
  }
}


static void read_credentials(const struct cmsghdr *c, extras *x) {
  struct ucred who;
  memcpy(&who, CMSG_DATA(c), sizeof who);
  x->pid = (int)who.pid;
  x->uid = (int)who.uid;
  x->gid = (int)who.gid;
  x->has_cred = true;
}


static void read_time(const struct cmsghdr *c, extras *x) {
  struct timespec t;
  memcpy(&t, CMSG_DATA(c), sizeof t);
  x->time = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
  x->has_time = true;
}


static void read_socket(struct cmsghdr *c, extras *x) {
  switch (c->cmsg_type) {
  case SCM_RIGHTS:
    x->fds = (int *)(void *)CMSG_DATA(c);
    x->fd_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    break;
  case SCM_CREDENTIALS:
    read_credentials(c, x);
    break;
  case SCM_TIMESTAMPNS:
    read_time(c, x);
    break;
  default:
    break;
  }
}


/* How large each message is of those that the kernel has put together; 0: it
 * is one. */
static uint32_t read_control(struct msghdr *m, extras *x) {
  uint32_t piece = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
    if (c->cmsg_level == SOL_SOCKET)
      read_socket(c, x);
    else if (c->cmsg_level == IPPROTO_IP)
      read_ip(c, x);
    else if (c->cmsg_level == IPPROTO_IPV6)
      read_ip6(c, x);
    else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
      piece = (uint32_t)number(c);
  }
  return piece;
}


static bool tells(const extras *x) {
  return x->has_to || x->has_ttl || x->has_tos || x->has_time || x->has_cred ||
         x->has_link || x->cut || x->fd_count > 0;
}


static void read_link(const struct msghdr *m, extras *x) {
  struct sockaddr_ll link;
  memcpy(&link, m->msg_name, sizeof link);
  x->has_link = true;
  x->ethertype = ntohs(link.sll_protocol);
  x->packet_kind = link.sll_pkttype;
  x->interface = (unsigned)link.sll_ifindex;
  x->hw_size = link.sll_halen <= sizeof x->hw ? link.sll_halen : 0;
  memcpy(x->hw, link.sll_addr, x->hw_size);
}


/* Of a frame the kernel takes the outermost VLAN tag (IEEE 802.1Q). */
static const struct cmsghdr *find_tag(struct msghdr *m) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
    if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
      return c;
  return NULL;
}


/* Put it back, between the addresses and the type, whose place it takes. */
static void restore_tag(struct msghdr *g, arrival *m, extras *x) {
  enum { ADDRESSES = 2 * ETH_ALEN };
  const struct cmsghdr *c = find_tag(g);
  struct tpacket_auxdata aux;
  if (c == NULL || m->size < ADDRESSES)
    return;
  memcpy(&aux, CMSG_DATA(c), sizeof aux);
  if ((aux.tp_status & TP_STATUS_VLAN_VALID) == 0)
    return;
  bool told = (aux.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  uint16_t tag[] = {htons(told ? aux.tp_vlan_tpid : ETH_P_8021Q),
                    htons(aux.tp_vlan_tci)};
  m->bytes -= TAG;
  m->size += TAG;
  m->full += TAG;
  memmove(m->bytes, m->bytes + TAG, ADDRESSES);
  memcpy(m->bytes + ADDRESSES, tag, TAG);
  x->ethertype = ntohs(tag[0]);
}


/*
** Messages
*/

/* The name of a seqpacket's peer is that of the connection, for all. */
static bool has_sender(const datagram *d) {
  return d->family != AF_PACKET && d->type != SOCK_SEQPACKET;
}


/* The slot as one message, and the size of the messages that it holds. */
static uint32_t open_slot(struct recv_ring *a, unsigned i, arrival *m) {
  const datagram *d = a->of;
  struct msghdr *g = &a->headers[i].msg_hdr;
  uint32_t length = a->headers[i].msg_len, piece = 0;
  uint32_t room = (uint32_t)g->msg_iov->iov_len;
  extras *x = &a->extras[i];
  *m = (arrival){.bytes = g->msg_iov->iov_base, .full = length};
  m->size = length < room ? length : room;
  if (has_sender(d)) {
    m->from = g->msg_name;
    m->from_size = g->msg_namelen;
  }
  if (g->msg_controllen == 0 && d->family != AF_PACKET &&
      (g->msg_flags & MSG_CTRUNC) == 0)
    return length;
  memset(x, 0, sizeof *x);
  piece = read_control(g, x);
  x->cut = (g->msg_flags & MSG_CTRUNC) != 0;
  for (int k = 0; k < x->fd_count; k++)
    owned_add(x->fds[k]);
  if (d->family == AF_PACKET) {
    read_link(g, x);
    restore_tag(g, m, x);
  }
  m->extras = tells(x) ? x : NULL;
  return piece > 0 ? piece : m->full;
}


/* The next message of the rest.  All have the same sender and extras. */
static void cut(struct recv_ring *a, arrival *m) {
  arrival *rest = &a->rest;
  uint32_t full = rest->full < a->piece ? rest->full : a->piece;
  uint32_t size = rest->size < full ? rest->size : full;
  *m = *rest;
  m->full = full;
  m->size = size;
  rest->bytes += size;
  rest->full -= full;
  rest->size -= size;
}


unsigned recv_ring_next(loop *l, arrival **list) {
  struct recv_ring *a = l->recv_ring;
  unsigned n = 0;
  while (n < DATAGRAM_BATCH && (a->rest.full > 0 || a->slot < a->slots)) {
    if (a->rest.full == 0)
      a->piece = open_slot(a, a->slot++, &a->rest);
    cut(a, &a->list[n++]);
  }
  *list = a->list;
  return n;
}


/* As recvmmsg, which takes longer over a single one. */
static int receive(int fd, struct mmsghdr *v, unsigned most, int flags) {
  if (most > 1)
    return recvmmsg(fd, v, most, flags, NULL);
  ssize_t n = recvmsg(fd, &v->msg_hdr, flags);
  if (n < 0)
    return -1;
  v->msg_len = (unsigned)n;
  return 1;
}


unsigned recv_ring_room(const datagram *d) {
  return d->family == AF_UNIX ? UNIX_SLOTS : DATAGRAM_BATCH;
}


int recv_ring_receive(loop *l, const datagram *d, int fd, unsigned most) {
  struct recv_ring *a = recv_ring_of(l);
  int flags = MSG_DONTWAIT | MSG_TRUNC;
  int n;
  if (a == NULL)
    return -ENOMEM;
  if (d->family == AF_UNIX)
    flags |= MSG_CMSG_CLOEXEC; /* packet sockets refuse it */
  prepare(a, d, most);
  do
    n = receive(fd, a->headers, most, flags);
  while (n < 0 && errno == EINTR);
  a->of = d;
  a->slot = a->slots = 0;
  a->rest.full = 0;
  if (n < 0)
    return -errno;
  a->slots = (unsigned)n;
  return n;
}
