/*
** What ICMP tells, in the order of the socket's queue of errors.
*/

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h> /* wants time.h before it */

#include "uv/port.h"
#include "uv/sockopt.h"


static const struct sock_extended_err *find_error(struct msghdr *m) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
    if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
      return (const struct sock_extended_err *)(const void *)CMSG_DATA(c);
  return NULL;
}


static void copy_address(address *a, const void *from) {
  sa_family_t family = ((const struct sockaddr *)from)->sa_family;
  a->length = 0;
  if (family == AF_INET)
    a->length = sizeof a->u.in4;
  else if (family == AF_INET6)
    a->length = sizeof a->u.in6;
  memcpy(&a->u, from, a->length);
}


/* Take one off; false when there is none. */
static bool pop_error(port *p, failure *f) {
  _Alignas(struct cmsghdr) char control[512];
  struct sockaddr_storage to = {.ss_family = AF_UNSPEC};
  struct msghdr m = {.msg_name = &to,
                     .msg_namelen = sizeof to,
                     .msg_control = control,
                     .msg_controllen = sizeof control};
  memset(f, 0, sizeof *f);
  if (recvmsg(p->watch.fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
    return false;
  const struct sock_extended_err *e = find_error(&m);
  if (e == NULL)
    return false;
  f->status = -(int)e->ee_errno;
  f->icmp =
      e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6;
  f->type = e->ee_type;
  f->code = e->ee_code;
  f->mtu = e->ee_errno == EMSGSIZE ? e->ee_info : 0;
  copy_address(&f->to, &to);
  copy_address(&f->by, SO_EE_OFFENDER(e));
  return true;
}


void port_take_error(port *p) {
  failure f;
  if (pop_error(p, &f))
    datagram_failed(port_datagram(p), &f);
}


bool port_was_anothers(port *p, int status) {
  datagram *d = port_datagram(p);
  bool another = false;
  failure f;
  while (p->queues_errors && pop_error(p, &f)) {
    another = another || (f.icmp && !d->connected);
    if (f.status != status || (f.icmp && !d->connected))
      datagram_failed(d, &f);
  }
  return another;
}


void port_forget_errors(port *p) {
  failure f;
  while (port_datagram(p)->family != AF_UNIX && pop_error(p, &f))
    continue;
  option_int(p->watch.fd, SOL_SOCKET, SO_ERROR);
}
