/*
** Addresses as values: brought into one form, compared.
**
** A family is a row of the table `families`; its functions know its bytes,
** and nothing else does but address_text.c.
*/

#include "net/address_parts.h"

#include <arpa/inet.h>
#include <string.h>

typedef struct family {
  int af;
  const char *name;
  void (*normalise)(address *a);
  int (*compare)(const address *a, const address *b);
  int64_t (*port)(const address *a); /* NULL: the family has none */
  void (*set_port)(address *a, int64_t port);
} family;


/*
** {== The families
*/

static void make4(address *a, const void *ip, in_port_t port) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
  memcpy(&in.sin_addr, ip, sizeof in.sin_addr);
  memset(a, 0, sizeof *a);
  a->length = sizeof in;
  a->u.in4 = in;
}

static void normalise4(address *a) {
  struct in_addr ip = a->u.in4.sin_addr;
  make4(a, &ip, a->u.in4.sin_port);
}

static void normalise6(address *a) {
  struct sockaddr_in6 in = a->u.in6;
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
    make4(a, in.sin6_addr.s6_addr + 12, in.sin6_port);
    return;
  }
  if (!is_scoped(a))
    in.sin6_scope_id = 0;
  in.sin6_flowinfo = 0;
  memset(a, 0, sizeof *a);
  a->length = sizeof in;
  a->u.in6 = in;
}

/* A path's length counts one NUL, an abstract name's none. */
static void normalise_unix(address *a) {
  const char *path = a->u.un.sun_path;
  size_t n = name_length(a);
  if (n > sizeof a->u.un.sun_path)
    n = sizeof a->u.un.sun_path;
  if (n > 0 && path[0] != '\0') {
    n = strnlen(path, n);
    if (n < sizeof a->u.un.sun_path)
      a->u.un.sun_path[n++] = '\0';
  }
  a->length = (socklen_t)(PATH_AT + n);
}

static int compare_ports(in_port_t a, in_port_t b) {
  return (int)ntohs(a) - (int)ntohs(b);
}

static int compare4(const address *a, const address *b) {
  int c =
      memcmp(&a->u.in4.sin_addr, &b->u.in4.sin_addr, sizeof a->u.in4.sin_addr);
  return c != 0 ? c : compare_ports(a->u.in4.sin_port, b->u.in4.sin_port);
}

static int compare6(const address *a, const address *b) {
  int c = memcmp(bytes6(a), bytes6(b), 16);
  if (c != 0)
    return c;
  if (a->u.in6.sin6_scope_id != b->u.in6.sin6_scope_id)
    return a->u.in6.sin6_scope_id < b->u.in6.sin6_scope_id ? -1 : 1;
  return compare_ports(a->u.in6.sin6_port, b->u.in6.sin6_port);
}

static int compare_unix(const address *a, const address *b) {
  size_t n = name_length(a), m = name_length(b);
  int c = memcmp(a->u.un.sun_path, b->u.un.sun_path, n < m ? n : m);
  return c != 0 ? c : (n > m) - (n < m);
}

static int compare_bytes(const address *a, const address *b) {
  int c = memcmp(&a->u, &b->u, a->length < b->length ? a->length : b->length);
  return c != 0 ? c : (a->length > b->length) - (a->length < b->length);
}

static int64_t port4(const address *a) {
  return ntohs(a->u.in4.sin_port);
}

static void set_port4(address *a, int64_t port) {
  a->u.in4.sin_port = htons((uint16_t)port);
}

static int64_t port6(const address *a) {
  return ntohs(a->u.in6.sin6_port);
}

static void set_port6(address *a, int64_t port) {
  a->u.in6.sin6_port = htons((uint16_t)port);
}

static void normalise_vm(address *a) {
  make_vm(a, a->u.vm.svm_cid, a->u.vm.svm_port);
}

static int compare_vm(const address *a, const address *b) {
  const struct sockaddr_vm *x = &a->u.vm, *y = &b->u.vm;
  if (x->svm_cid != y->svm_cid)
    return x->svm_cid < y->svm_cid ? -1 : 1;
  return (x->svm_port > y->svm_port) - (x->svm_port < y->svm_port);
}

/* A port for bind(2) to choose is 0 with the others, and all ones here. */
static int64_t port_vm(const address *a) {
  uint32_t port = a->u.vm.svm_port;
  return port == VMADDR_PORT_ANY ? 0 : port;
}

static void set_port_vm(address *a, int64_t port) {
  a->u.vm.svm_port = port == 0 ? VMADDR_PORT_ANY : (uint32_t)port;
}

static const family families[] = {
    {AF_INET, "inet", normalise4, compare4, port4, set_port4},
    {AF_INET6, "inet6", normalise6, compare6, port6, set_port6},
    {AF_UNIX, "unix", normalise_unix, compare_unix, NULL, NULL},
    {AF_VSOCK, "vsock", normalise_vm, compare_vm, port_vm, set_port_vm},
    {-1, "unspec", NULL, compare_bytes, NULL, NULL},
};

/* Its row; the last one for a family unknown here. */
static const family *find_family(int af) {
  const family *f = families;
  while (f->af >= 0 && f->af != af)
    f++;
  return f;
}

static const family *family_of(const address *a) {
  return find_family(a->u.any.sa_family);
}

/* ==} */


/*
** {== Values
*/

/* Only unix sockets have no address at all (the peer of a datagram). */
void address_normalise(address *a) {
  const family *f;
  if (a->length < sizeof a->u.any.sa_family) {
    a->length = PATH_AT;
    a->u.any.sa_family = AF_UNIX;
  }
  f = family_of(a);
  if (f->normalise != NULL)
    f->normalise(a);
}

int address_compare(const address *a, const address *b) {
  const family *f = family_of(a), *g = family_of(b);
  if (f != g)
    return f < g ? -1 : 1;
  return f->compare(a, b);
}

bool address_equal(const address *a, const address *b) {
  return a->length == b->length && memcmp(&a->u, &b->u, a->length) == 0;
}

int64_t address_port(const address *a) {
  const family *f = family_of(a);
  return f->port != NULL ? f->port(a) : -1;
}

void address_set_port(address *a, int64_t port) {
  const family *f = family_of(a);
  if (f->set_port != NULL)
    f->set_port(a, port);
}

const char *address_family_name(int af) {
  return find_family(af)->name;
}

void address_any(address *a, int af, int port) {
  memset(a, 0, sizeof *a);
  a->u.any.sa_family = (sa_family_t)af;
  a->length = af == AF_INET6 ? sizeof a->u.in6 : sizeof a->u.in4;
  address_set_port(a, port);
}

void address_loopback(address *a, int af, int port) {
  address_any(a, af, port);
  if (af == AF_INET6)
    a->u.in6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
  else
    a->u.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

bool address_is_any(const address *a) {
  if (a->u.any.sa_family == AF_INET6)
    return IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
  if (a->u.any.sa_family == AF_VSOCK)
    return a->u.vm.svm_cid == VMADDR_CID_ANY;
  return a->u.any.sa_family == AF_INET && a->u.in4.sin_addr.s_addr == 0;
}

/* ==} */
