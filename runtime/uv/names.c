/*
** Names of services, protocols and interfaces, as the system knows them.
*/

#include "uv/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>


/* /etc/services, by the reentrant functions; `room` holds the strings. */

int names_service_port(host *h, const char *name, const char *proto) {
  struct servent entry, *found = NULL;
  char room[2048];
  (void)h;
  if (getservbyname_r(name, proto, &entry, room, sizeof room, &found) != 0 ||
      found == NULL)
    return -1;
  return ntohs((uint16_t)found->s_port);
}


int names_service_name(host *h, int port, const char *proto, char *out,
                       size_t size) {
  struct servent entry, *found = NULL;
  char room[2048];
  (void)h;
  if (port < 0 || port > UINT16_MAX ||
      getservbyport_r(htons((uint16_t)port), proto, &entry, room, sizeof room,
                      &found) != 0 ||
      found == NULL)
    return -ENOENT;
  size_t n = strlen(found->s_name);
  if (n >= size)
    return -ENAMETOOLONG;
  memcpy(out, found->s_name, n + 1);
  return 0;
}


/* The usual ones are known without /etc/protocols, which small systems lack. */
int names_protocol(host *h, const char *name) {
  static const struct {
    const char *name;
    int number;
  } usual[] = {{"ip", IPPROTO_IP},
               {"icmp", IPPROTO_ICMP},
               {"igmp", IPPROTO_IGMP},
               {"tcp", IPPROTO_TCP},
               {"udp", IPPROTO_UDP},
               {"gre", IPPROTO_GRE},
               {"esp", IPPROTO_ESP},
               {"ah", IPPROTO_AH},
               {"ospf", 89},
               {"vrrp", 112},
               {"sctp", IPPROTO_SCTP},
               {"ipv6-icmp", IPPROTO_ICMPV6},
               {"icmpv6", IPPROTO_ICMPV6},
               {"raw", IPPROTO_RAW}};
  struct protoent entry, *found = NULL;
  char room[1024];
  (void)h;
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
    if (strcmp(usual[i].name, name) == 0)
      return usual[i].number;
  if (getprotobyname_r(name, &entry, room, sizeof room, &found) != 0 ||
      found == NULL)
    return -1;
  return found->p_proto;
}


/* The C library's functions for these hide why there was no socket to ask. */
static int ask_interface(unsigned long what, struct ifreq *r) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  int status = ioctl(fd, what, r) == 0 ? 0 : -errno;
  close(fd);
  return status;
}


int names_ifindex(host *h, const char *name) {
  struct ifreq r = {.ifr_ifindex = 0};
  (void)h;
  if (strlen(name) >= sizeof r.ifr_name)
    return -ENODEV;
  memcpy(r.ifr_name, name, strlen(name));
  int status = ask_interface(SIOCGIFINDEX, &r);
  return status < 0 ? status : r.ifr_ifindex;
}


int names_ifname(host *h, unsigned index, char out[16]) {
  struct ifreq r = {.ifr_ifindex = (int)index};
  (void)h;
  int status = ask_interface(SIOCGIFNAME, &r);
  memcpy(out, r.ifr_name, sizeof r.ifr_name);
  return status;
}
