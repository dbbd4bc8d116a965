/*
** Sockets as bare descriptors: socket(2), options, and addresses, for all that a
** socket is made into.  An option that the script has set is never set over: what
** neap prefers comes first.
*/

#include "uv/sockopt.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <linux/mptcp.h>
#include <linux/sctp.h>

#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif
#ifndef TCP_IS_MPTCP
#define TCP_IS_MPTCP 43
#endif


int option_set(int fd, const sockopt *o, bool *lingers) {
  if (setsockopt(fd, o->level, o->name, o->value, o->length) != 0)
    return -errno;
  if (o->level == SOL_SOCKET && o->name == SO_LINGER)
    *lingers = true;
  return 0;
}


/* Is MPTCP in use?  For kernels without TCP_IS_MPTCP: those that know of a
 * connection with MPTCP, and that it has not fallen back, have it. */
static int ask_multipath(int fd, sockopt *o) {
  struct mptcp_info info = {0};
  socklen_t n = sizeof info;
  int is = getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &n) == 0 &&
           (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) == 0;
  memcpy(o->value, &is, sizeof is);
  o->length = sizeof is;
  return 0;
}


int option_get(int fd, sockopt *o) {
  if (getsockopt(fd, o->level, o->name, o->value, &o->length) == 0)
    return 0;
  if (o->level == IPPROTO_TCP && o->name == TCP_IS_MPTCP)
    return ask_multipath(fd, o);
  return -errno;
}


int option_int(int fd, int level, int name) {
  int value = 0;
  socklen_t n = sizeof value;
  return getsockopt(fd, level, name, &value, &n) == 0 ? value : -errno;
}


static void switch_on(int fd, int level, int name) {
  setsockopt(fd, level, name, &(int){1}, sizeof(int));
}


/* The kernel tells the full length of a name that it had to cut. */
static int fit(address *a, int result) {
  if (result != 0)
    return -errno;
  if (a->length > sizeof a->u)
    a->length = sizeof a->u;
  return 0;
}


int address_local(int fd, address *a) {
  a->length = sizeof a->u;
  return fit(a, getsockname(fd, &a->u.any, &a->length));
}


int address_remote(int fd, address *a) {
  a->length = sizeof a->u;
  return fit(a, getpeername(fd, &a->u.any, &a->length));
}


/* Small replies leave at once, and a server may start again while connections
 * of its last run linger.  Accepted sockets inherit both. */
static void set_defaults(int fd, const sockspec *spec, bool listening) {
  if (!is_ip_family(spec->family) || spec->type != SOCK_STREAM)
    return;
  if (spec->protocol == 0 || spec->protocol == IPPROTO_TCP ||
      spec->protocol == IPPROTO_MPTCP)
    switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
  if (spec->protocol == IPPROTO_SCTP)
    switch_on(fd, IPPROTO_SCTP, SCTP_NODELAY);
  if (listening)
    switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
}


int socket_open(const sockspec *spec, bool listening, bool *lingers) {
  int fd = socket(spec->family, spec->type | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  spec->protocol);
  if (fd < 0)
    return -errno;
  set_defaults(fd, spec, listening);
  for (unsigned i = 0; i < spec->option_count; i++) {
    int status = option_set(fd, &spec->options[i], lingers);
    if (status < 0) {
      close(fd);
      return status;
    }
  }
  return fd;
}
