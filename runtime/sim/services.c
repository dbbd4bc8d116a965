#include "sim/services.h"

#include <errno.h>
#include <string.h>

enum { TCP = 1, UDP = 2, BOTH = 3 };

static const struct service {
  const char *name;
  int port, protocols;
} services[] = {
    {"echo", 7, BOTH},          {"discard", 9, BOTH},
    {"daytime", 13, BOTH},      {"chargen", 19, BOTH},
    {"ftp", 21, TCP},           {"ssh", 22, TCP},
    {"telnet", 23, TCP},        {"smtp", 25, TCP},
    {"time", 37, BOTH},         {"whois", 43, TCP},
    {"domain", 53, BOTH},       {"tftp", 69, UDP},
    {"finger", 79, TCP},        {"http", 80, TCP},
    {"kerberos", 88, BOTH},     {"pop3", 110, TCP},
    {"sunrpc", 111, BOTH},      {"nntp", 119, TCP},
    {"ntp", 123, UDP},          {"imap2", 143, TCP},
    {"snmp", 161, BOTH},        {"bgp", 179, TCP},
    {"ldap", 389, BOTH},        {"https", 443, BOTH},
    {"submissions", 465, TCP},  {"syslog", 514, UDP},
    {"submission", 587, TCP},   {"ldaps", 636, BOTH},
    {"domain-s", 853, BOTH},    {"imaps", 993, TCP},
    {"pop3s", 995, TCP},        {"socks", 1080, TCP},
    {"openvpn", 1194, BOTH},    {"radius", 1812, BOTH},
    {"mqtt", 1883, BOTH},       {"nfs", 2049, BOTH},
    {"mysql", 3306, TCP},       {"postgresql", 5432, TCP},
    {"mdns", 5353, UDP},        {"amqp", 5672, BOTH},
    {"redis", 6379, TCP},       {"http-alt", 8080, BOTH},
    {"secure-mqtt", 8883, TCP}, {NULL, 0, 0},
};

static const struct protocol {
  const char *name;
  int number;
} protocols[] = {
    {"ip", 0},     {"icmp", 1},       {"igmp", 2},      {"tcp", 6},
    {"udp", 17},   {"ipv6", 41},      {"gre", 47},      {"esp", 50},
    {"ah", 51},    {"ipv6-icmp", 58}, {"icmpv6", 58},   {"ospf", 89},
    {"vrrp", 112}, {"sctp", 132},     {"udplite", 136}, {"raw", 255},
    {NULL, 0},
};


static bool is_of(const struct service *s, const char *proto) {
  if (proto == NULL)
    return true;
  return (strcmp(proto, "tcp") == 0 && (s->protocols & TCP) != 0) ||
         (strcmp(proto, "udp") == 0 && (s->protocols & UDP) != 0);
}


int services_port(host *h, const char *name, const char *proto) {
  (void)h;
  for (const struct service *s = services; s->name != NULL; s++)
    if (strcmp(s->name, name) == 0 && is_of(s, proto))
      return s->port;
  return -1;
}


int services_name(host *h, int port, const char *proto, char *out,
                  size_t size) {
  (void)h;
  for (const struct service *s = services; s->name != NULL; s++)
    if (s->port == port && is_of(s, proto)) {
      size_t n = strlen(s->name) + 1;
      if (n > size)
        return -ENAMETOOLONG;
      memcpy(out, s->name, n);
      return 0;
    }
  return -ENOENT;
}


int services_protocol(host *h, const char *name) {
  (void)h;
  for (const struct protocol *p = protocols; p->name != NULL; p++)
    if (strcmp(p->name, name) == 0)
      return p->number;
  return -1;
}
