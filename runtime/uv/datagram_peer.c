/*
** A message socket's peer, and the groups that it is in.
*/

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard/guard.h"
#include "uv/port.h"
#include "uv/sockopt.h"


/* The kernel's word for a lack of ports is the one for a lack of room, which would be
 * waited for; a unix socket has no ports. */
static int connect_fd(int fd, const struct sockaddr *to, socklen_t size) {
  int result;
  do
    result = connect(fd, to, size);
  while (result < 0 && errno == EINTR);
  if (result == 0)
    return 0;
  return errno == EAGAIN && to->sa_family != AF_UNIX ? -EADDRNOTAVAIL : -errno;
}


int port_connect_to(int fd, int family, int type, int protocol,
                    const address *to) {
  struct sockaddr_in6 mapped;
  address name;
  const void *bytes = gso_name(family, to, &mapped, &name.length);
  memcpy(&name.u, bytes, name.length);
  int held, status = guard_pin(&name.u.any, &name.length, &held);
  if (status < 0)
    return status;
  if (!datagram_has_ports(type, protocol))
    address_set_port(&name, protocol);
  status = connect_fd(fd, &name.u.any, name.length);
  if (held >= 0)
    close(held);
  return status;
}


/* What was received before, and is still in the kernel or here. */
static void forget_strangers(port *p) {
  address peer;
  p->strangers = STRANGERS;
  if (port_peer(p->watch.fd, &peer) == 0)
    datagram_sift_kept(port_datagram(p), &peer);
}


static bool is_scoped(const address *a) {
  return a->u.any.sa_family == AF_INET6 && a->u.in6.sin6_scope_id != 0;
}


/* The port that the kernel chose is lost, and the interface that a script did:
 * a peer of the link's scope took its own. */
static int dissolve(port *p) {
  static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
  int fd = p->watch.fd;
  address before, after, peer = {0};
  char device[IFNAMSIZ] = "";
  socklen_t size = sizeof device;
  address_local(fd, &before);
  port_peer(fd, &peer);
  getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size);
  int status = connect_fd(fd, &nobody, sizeof nobody);
  if (status < 0 || before.u.any.sa_family == AF_UNIX)
    return status;
  port_datagram(p)->connected = false;
  p->strangers = NO_STRANGERS;
  if (device[0] != '\0' && !is_scoped(&peer))
    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, size);
  status = address_local(fd, &after);
  if (status < 0 || after.u.in4.sin_port == before.u.in4.sin_port)
    return status;
  address_set_port(&after, ntohs(before.u.in4.sin_port));
  if (after.u.any.sa_family == AF_INET6)
    after.u.in6.sin6_scope_id = before.u.in6.sin6_scope_id;
  return bind(fd, &after.u.any, after.length) == 0 ? 0 : -errno;
}


/* A raw socket that was connected would receive nothing any more. */
static int disconnect_port(datagram *d) {
  if (!d->connected)
    return 0;
  return d->type == SOCK_RAW ? -EOPNOTSUPP : dissolve(port_of(d));
}


int port_set_peer(datagram *d, const address *to) {
  port *p = port_of(d);
  int status = to != NULL ? port_connect_to(p->watch.fd, d->family, d->type,
                                            d->protocol, to)
                          : disconnect_port(d);
  if (status == 0)
    port_forget_errors(p);
  if (status == 0 && to != NULL)
    forget_strangers(p);
  return status;
}


int port_change_group(datagram *d, bool leave, const address *group,
                      const address *source, unsigned interface) {
  struct group_source_req r = {.gsr_interface = interface};
  struct group_req any = {.gr_interface = interface};
  int fd = port_of(d)->watch.fd;
  int level = group->u.any.sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  int result;
  if (source != NULL) {
    memcpy(&r.gsr_group, &group->u, group->length);
    memcpy(&r.gsr_source, &source->u, source->length);
    result = setsockopt(
        fd, level, leave ? MCAST_LEAVE_SOURCE_GROUP : MCAST_JOIN_SOURCE_GROUP,
        &r, sizeof r);
  } else {
    memcpy(&any.gr_group, &group->u, group->length);
    result = setsockopt(fd, level, leave ? MCAST_LEAVE_GROUP : MCAST_JOIN_GROUP,
                        &any, sizeof any);
  }
  return result == 0 ? 0 : -errno;
}
