/*
** Message sockets are made: bound, connected, accepted, paired or adopted.
*/

#include "uv/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/memory.h"
#include "uv/owned.h"
#include "uv/port.h"
#include "uv/sockopt.h"


static datagram *make(host *h, int fd, int family, int type, int protocol) {
  datagram *d = datagram_new(h, &port_transport, family, type, protocol);
  port *p = port_of(d);
  p->watch = (watch){.fd = fd, .ready = port_ready};
  owned_add(fd);
  p->expected = FEWEST;
  p->pause = PAUSE_FIRST;
  p->gso = gso_of(family, type, protocol);
  if (type == SOCK_SEQPACKET)
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
  if (family == AF_PACKET)
    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &(int){1}, sizeof(int));
  return d;
}


static datagram *make_by_spec(host *h, int fd, const sockspec *spec) {
  datagram *d = make(h, fd, spec->family, spec->type, spec->protocol);
  if (gso_of(spec->family, spec->type, spec->protocol).largest > 0 &&
      spec->filter_count == 0)
    port_of(d)->joining = IF_MANY; /* a filter is to see each message */
  for (unsigned i = 0; i < spec->option_count; i++) {
    const sockopt *o = &spec->options[i];
    if (o->level == SOL_SOCKET && o->name == SO_PASSCRED)
      port_of(d)->tells_cred = true;
    if (is_recverr(o))
      port_of(d)->queues_errors = o->value[0] != 0;
    if (is_gro(o))
      port_of(d)->joining = AS_ASKED;
  }
  return d;
}


static int attach_filter(int fd, const sockspec *spec) {
  struct sock_filter *list;
  int result;
  if (spec->filter_count == 0)
    return 0;
  list = memory_new(spec->filter_count * sizeof *list);
  for (unsigned i = 0; i < spec->filter_count; i++) {
    const bpf_instruction *x = &spec->filter[i];
    list[i] = (struct sock_filter){x->code, x->jt, x->jf, x->k};
  }
  struct sock_fprog program = {(unsigned short)spec->filter_count, list};
  result =
      setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  int status = result == 0 ? 0 : -errno;
  free(list);
  return status;
}


/* A socket of protocol 0 receives nothing until it is bound to all. */
static int bind_packet(int fd, const sockspec *spec) {
  struct sockaddr_ll a = {.sll_family = AF_PACKET,
                          .sll_protocol = htons(ETH_P_ALL)};
  if (spec->interface[0] != '\0') {
    struct ifreq r = {.ifr_ifindex = 0};
    memcpy(r.ifr_name, spec->interface, sizeof r.ifr_name);
    if (ioctl(fd, SIOCGIFINDEX, &r) != 0)
      return -errno;
    a.sll_ifindex = r.ifr_ifindex;
  }
  return bind(fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : -errno;
}


static int bind_by_spec(int fd, const sockspec *spec, bound_path *p) {
  int status = attach_filter(fd, spec);
  if (status < 0)
    return status;
  return spec->family == AF_PACKET ? bind_packet(fd, spec)
                                   : bound_path_take(fd, spec, p);
}


/* With what `settle` makes of the descriptor; `own` is the address that it is then
 * bound to. */
static int open_port(host *h, const sockspec *spec, const address *own,
                     int (*settle)(int fd, const sockspec *spec, bound_path *p),
                     datagram **out) {
  bool lingers;
  bound_path p = {0};
  int fd = socket_open(spec, false, &lingers);
  if (fd < 0)
    return fd;
  int status = settle(fd, spec, &p);
  if (status < 0) {
    bound_path_leave(&p, own);
    close(fd);
    return status;
  }
  *out = make_by_spec(h, fd, spec);
  port_of(*out)->path = p;
  port_of(*out)->addr = *own;
  return 0;
}


int port_bind(host *h, const sockspec *spec, datagram **out) {
  return open_port(h, spec, &spec->addr, bind_by_spec, out);
}


/* A unix socket gets a name, where none was given, so that it can be
 * answered. */
static int bind_local(int fd, const sockspec *spec, bound_path *p) {
  sockspec local = *spec;
  local.addr = spec->local;
  if (local.addr.length == 0 && spec->family != AF_UNIX)
    return 0;
  if (local.addr.length == 0) {
    local.addr.u.any.sa_family = AF_UNIX;
    local.addr.length = sizeof local.addr.u.any.sa_family;
  }
  return bound_path_take(fd, &local, p);
}


static int dial(int fd, const sockspec *spec, bound_path *p) {
  int status = attach_filter(fd, spec);
  if (status == 0)
    status = bind_local(fd, spec, p);
  if (status < 0)
    return status;
  return port_connect_to(fd, spec->family, spec->type, spec->protocol,
                         &spec->addr);
}


/* Who has one peer wants to hear what becomes of his messages. */
static void hear_errors(datagram *d, const sockspec *spec) {
  int fd = port_of(d)->watch.fd;
  if (d->type != SOCK_DGRAM || d->family == AF_UNIX)
    return;
  for (unsigned i = 0; i < spec->option_count; i++)
    if (is_recverr(&spec->options[i]))
      return;
  setsockopt(fd, IPPROTO_IP, IP_RECVERR, &(int){1}, sizeof(int));
  if (d->family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &(int){1}, sizeof(int));
  port_of(d)->queues_errors = true;
}


int port_connect(host *h, const sockspec *spec, datagram **out) {
  int status = open_port(h, spec, &spec->local, dial, out);
  if (status < 0)
    return status;
  if (spec->type != SOCK_SEQPACKET)
    port_of(*out)->strangers = STRANGERS;
  hear_errors(*out, spec);
  return 0;
}


datagram *port_accepted(host *h, int fd) {
  datagram *d = make(h, fd, AF_UNIX, SOCK_SEQPACKET, 0);
  d->connected = true;
  return d;
}


int port_pair(host *h, int type, datagram **a, datagram **b) {
  int fd[2];
  if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) != 0)
    return -errno;
  *a = make(h, fd[0], AF_UNIX, type, 0);
  *b = make(h, fd[1], AF_UNIX, type, 0);
  (*a)->connected = (*b)->connected = true;
  return 0;
}


/* A message socket, and none that listens. */
static int check_type(int fd) {
  int type = option_int(fd, SOL_SOCKET, SO_TYPE);
  if (type < 0)
    return type;
  if ((type != SOCK_DGRAM && type != SOCK_RAW && type != SOCK_SEQPACKET) ||
      option_int(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0)
    return -EPROTOTYPE;
  return type;
}


int port_adopt(host *h, int fd, datagram **out) {
  address peer = {.length = sizeof peer.u};
  int type = owned_has(fd) ? -EBUSY : check_type(fd);
  int flags = fcntl(fd, F_GETFL);
  if (type < 0)
    return type;
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return -errno;
  if (!owned_add(fd))
    return -EBUSY; /* another thread was faster */
  *out = make(h, fd, option_int(fd, SOL_SOCKET, SO_DOMAIN), type,
              option_int(fd, SOL_SOCKET, SO_PROTOCOL));
  (*out)->connected = getpeername(fd, &peer.u.any, &peer.length) == 0;
  return 0;
}
