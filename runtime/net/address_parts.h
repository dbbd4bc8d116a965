/*
** What an address is made of, for the files that know its bytes.
*/

#ifndef NET_ADDRESS_PARTS_H
#define NET_ADDRESS_PARTS_H

#include <string.h>

#include "net/address.h"

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

static inline const unsigned char *bytes6(const address *a) {
  return a->u.in6.sin6_addr.s6_addr;
}

/* Link-local unicast, and multicast on the interface or link: the kernel keeps
 * a scope for these only. */
static inline bool is_scoped(const address *a) {
  const unsigned char *ip = bytes6(a);
  return (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) ||
         (ip[0] == 0xff && ((ip[1] & 0x0f) == 1 || (ip[1] & 0x0f) == 2));
}

static inline bool is_ip(const address *a) {
  return a->u.any.sa_family == AF_INET || a->u.any.sa_family == AF_INET6;
}

/* The bytes of a unix socket's name; an abstract one begins with zero. */
static inline size_t name_length(const address *a) {
  return a->length > PATH_AT ? a->length - PATH_AT : 0;
}

static inline void make_vm(address *a, uint32_t cid, uint32_t port) {
  struct sockaddr_vm vm = {
      .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
  memset(a, 0, sizeof *a);
  a->length = sizeof vm;
  a->u.vm = vm;
}

#endif
