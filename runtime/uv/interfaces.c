/*
** Network interfaces, by rtnetlink(7): one dump of the links and one of the
** addresses.  getifaddrs(3) cannot tell a broadcast address from a peer's, nor
** the scope of an address.
*/

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/memory.h"
#include "uv/names.h"

enum { ROOM = 32 * 1024 }; /* the kernel's messages are no larger */

typedef void taker(netifs *all, const struct nlmsghdr *m);


/*
** Attributes
*/

static void sort(const struct rtattr **out, int max, const struct rtattr *a,
                 int n) {
  memset(out, 0, (size_t)(max + 1) * sizeof *out);
  for (; RTA_OK(a, n); a = RTA_NEXT(a, n)) {
    int type = a->rta_type & NLA_TYPE_MASK;
    if (type <= max)
      out[type] = a;
  }
}


/* Copy up to n bytes of one; how many that was. */
static size_t copy(void *to, size_t n, const struct rtattr *a) {
  size_t size = a != NULL ? RTA_PAYLOAD(a) : 0;
  if (size > n)
    size = n;
  if (size > 0)
    memcpy(to, RTA_DATA(a), size);
  return size;
}


/*
** Links
*/

static void take_link(netifs *all, const struct nlmsghdr *m) {
  const struct ifinfomsg *i = NLMSG_DATA(m);
  const struct rtattr *a[IFLA_MTU + 1];
  if (m->nlmsg_type != RTM_NEWLINK)
    return;
  sort(a, IFLA_MTU, IFLA_RTA(i), (int)IFLA_PAYLOAD(m));
  all->list = memory_grow(all->list, (all->count + 1) * sizeof *all->list);
  netif *x = &all->list[all->count++];
  memset(x, 0, sizeof *x);
  copy(x->name, sizeof x->name - 1, a[IFLA_IFNAME]);
  copy(&x->mtu, sizeof x->mtu, a[IFLA_MTU]);
  x->hw_size = (uint8_t)copy(x->hw, sizeof x->hw, a[IFLA_ADDRESS]);
  x->index = (unsigned)i->ifi_index;
  x->flags = i->ifi_flags;
  x->hw_type = i->ifi_type;
}


/*
** Addresses
*/

static const char *scope_name(int scope) {
  switch (scope) {
  case RT_SCOPE_HOST:
    return "host";
  case RT_SCOPE_LINK:
    return "link";
  case RT_SCOPE_SITE:
    return "site";
  default:
    return "global";
  }
}


/* Length 0 where there is none. */
static void read_address(address *out, const struct ifaddrmsg *i,
                         const struct rtattr *a) {
  memset(out, 0, sizeof *out);
  if (a == NULL)
    return;
  address_any(out, i->ifa_family, 0);
  if (i->ifa_family == AF_INET) {
    copy(&out->u.in4.sin_addr, sizeof out->u.in4.sin_addr, a);
    return;
  }
  copy(&out->u.in6.sin6_addr, sizeof out->u.in6.sin6_addr, a);
  out->u.in6.sin6_scope_id = i->ifa_index;
  address_normalise(out);
}


static netif *find(const netifs *all, unsigned index) {
  for (size_t i = 0; i < all->count; i++)
    if (all->list[i].index == index)
      return &all->list[i];
  return NULL;
}


/* IFA_ADDRESS is the peer's, where IFA_LOCAL is another. */
static void take_address(netifs *all, const struct nlmsghdr *m) {
  const struct ifaddrmsg *i = NLMSG_DATA(m);
  const struct rtattr *a[IFA_BROADCAST + 1];
  netif *x = find(all, i->ifa_index);
  if (m->nlmsg_type != RTM_NEWADDR || x == NULL ||
      (i->ifa_family != AF_INET && i->ifa_family != AF_INET6))
    return;
  sort(a, IFA_BROADCAST, IFA_RTA(i), (int)IFA_PAYLOAD(m));
  x->addresses =
      memory_grow(x->addresses, (x->address_count + 1) * sizeof *x->addresses);
  netif_address *out = &x->addresses[x->address_count++];
  bool local = a[IFA_LOCAL] != NULL;
  read_address(&out->addr, i, local ? a[IFA_LOCAL] : a[IFA_ADDRESS]);
  read_address(&out->peer, i, local ? a[IFA_ADDRESS] : NULL);
  read_address(&out->broadcast, i, a[IFA_BROADCAST]);
  if (address_equal(&out->peer, &out->addr))
    out->peer.length = 0;
  out->prefix = i->ifa_prefixlen;
  out->scope = scope_name(i->ifa_scope);
}


/*
** Dumps
*/

static int ask(int fd, uint16_t type) {
  struct {
    struct nlmsghdr header;
    struct rtgenmsg any;
  } request = {
      .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
                 .nlmsg_type = type,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .any = {.rtgen_family = AF_UNSPEC},
  };
  return send(fd, &request, request.header.nlmsg_len, 0) < 0 ? -errno : 0;
}


/* 1 when more is to come, 0 at the end, or a negative errno: -EINTR of a dump
 * that a change has cut in two. */
static int take_some(netifs *all, taker *take, const struct nlmsghdr *m,
                     size_t n) {
  for (; NLMSG_OK(m, n); m = NLMSG_NEXT(m, n)) {
    int code = 0;
    if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
      return -EINTR;
    if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR) {
      memcpy(&code, NLMSG_DATA(m), sizeof code);
      return code < 0 ? code : 0;
    }
    take(all, m);
  }
  return 1;
}


static int dump(int fd, uint16_t type, netifs *all, taker *take) {
  _Alignas(struct nlmsghdr) char bytes[ROOM];
  int status = ask(fd, type);
  status = status < 0 ? status : 1;
  while (status > 0) {
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_TRUNC);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0 || (size_t)n > sizeof bytes)
      return n < 0 ? -errno : -EMSGSIZE;
    status = take_some(all, take, (struct nlmsghdr *)(void *)bytes, (size_t)n);
  }
  return status;
}


static int dump_all(netifs *all) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0)
    return -errno;
  int status = dump(fd, RTM_GETLINK, all, take_link);
  if (status == 0)
    status = dump(fd, RTM_GETADDR, all, take_address);
  close(fd);
  return status;
}


static void forget(netifs *all) {
  for (size_t i = 0; i < all->count; i++)
    free(all->list[i].addresses);
  free(all->list);
  *all = (netifs){NULL, 0};
}


static int by_index(const void *a, const void *b) {
  const netif *x = a, *y = b;
  return x->index < y->index ? -1 : x->index > y->index;
}


int names_interfaces(host *h, netifs *all) {
  int status = -EINTR;
  (void)h;
  for (int i = 0; i < 10 && status == -EINTR; i++) {
    forget(all);
    status = dump_all(all);
  }
  if (all->count > 0)
    qsort(all->list, all->count, sizeof *all->list, by_index);
  return status;
}
