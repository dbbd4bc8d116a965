/*
** Addresses: parsed, printed, compared, and as objects of Lua.
**
** A family is a row of the table `families`; its functions know its bytes,
** and nothing else here does but the parsers.  The one clever thing is
** interning: a table with weak values maps an address's bytes to its object,
** so the hot path of a datagram socket makes no object for a peer that the
** script still knows.
*/

#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"
#include "sched/world.h"

#define CLASS "neap.Address"
#define PATH_AT offsetof(struct sockaddr_un, sun_path)

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

static const unsigned char *bytes6(const address *a) {
  return a->u.in6.sin6_addr.s6_addr;
}

/* Link-local unicast, and multicast on the interface or link: the kernel keeps
 * a scope for these only. */
static bool is_scoped(const address *a) {
  const unsigned char *ip = bytes6(a);
  return (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) ||
         (ip[0] == 0xff && ((ip[1] & 0x0f) == 1 || (ip[1] & 0x0f) == 2));
}

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

/* The bytes of a unix socket's name; an abstract one begins with zero. */
static size_t name_length(const address *a) {
  return a->length > PATH_AT ? a->length - PATH_AT : 0;
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

static void make_vm(address *a, uint32_t cid, uint32_t port) {
  struct sockaddr_vm vm = {
      .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
  memset(a, 0, sizeof *a);
  a->length = sizeof vm;
  a->u.vm = vm;
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

bool address_lacks_scope(const address *a) {
  return a->u.any.sa_family == AF_INET6 && is_scoped(a) &&
         a->u.in6.sin6_scope_id == 0;
}

/* ==} */


/*
** {== Parsing
*/

static int refuse(const char **why, int status, const char *text) {
  *why = text;
  return status;
}

/* All of it is digits, without a leading zero. */
bool address_parse_number(const char *text, size_t n, uint32_t max,
                          uint32_t *out) {
  uint64_t value = 0;
  if (n == 0 || n > 10 || (n > 1 && text[0] == '0'))
    return false;
  for (size_t i = 0; i < n; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    value = value * 10 + (uint64_t)(text[i] - '0');
  }
  *out = (uint32_t)value;
  return value <= max;
}

int address_parse_port(const char *text, size_t n) {
  uint32_t port;
  return address_parse_number(text, n, 65535, &port) ? (int)port : -1;
}

/* An interface by its name, or else by its index. */
static int take_scope(host *h, const char *text, size_t n, address *out,
                      const char **why) {
  char name[16];
  uint32_t number;
  int index = -ENODEV;
  if (!is_scoped(out))
    return refuse(why, -EINVAL, "only a link-local address has a scope");
  if (n == 0 || memchr(text, '\0', n) != NULL)
    return refuse(why, -EINVAL, "an interface is expected after %");
  if (n < sizeof name) {
    memcpy(name, text, n);
    name[n] = '\0';
    index = h->world->net->ifindex(h, name);
  }
  if (index < 0 && address_parse_number(text, n, INT32_MAX, &number) &&
      number > 0)
    index = (int)number;
  if (index < 0)
    return refuse(why, index, "no interface has the name after %");
  out->u.in6.sin6_scope_id = (uint32_t)index;
  return 0;
}

int address_parse_ip(lua_State *L, const char *text, size_t n, address *out,
                     const char **why) {
  char ip[INET6_ADDRSTRLEN];
  const char *percent = memchr(text, '%', n);
  size_t length = percent != NULL ? (size_t)(percent - text) : n;
  int status = 0;
  if (length >= sizeof ip || memchr(text, '\0', length) != NULL)
    return refuse(why, -EINVAL, "not an IP address");
  memcpy(ip, text, length);
  ip[length] = '\0';
  if (strchr(ip, ':') == NULL) {
    address_any(out, AF_INET, 0);
    if (percent != NULL)
      return refuse(why, -EINVAL, "only a link-local address has a scope");
    if (inet_pton(AF_INET, ip, &out->u.in4.sin_addr) != 1)
      return refuse(why, -EINVAL,
                    "an IPv4 address is four decimal numbers, 0 to 255");
    return 0;
  }
  address_any(out, AF_INET6, 0);
  if (inet_pton(AF_INET6, ip, &out->u.in6.sin6_addr) != 1)
    return refuse(why, -EINVAL, "not an IPv6 address");
  if (percent != NULL)
    status = take_scope(host_of(L), percent + 1, n - length - 1, out, why);
  if (status == 0)
    address_normalise(out);
  return status;
}

static int parse_path(const char *text, size_t n, address *out,
                      const char **why) {
  memset(out, 0, sizeof *out);
  if (n == 0)
    return refuse(why, -EINVAL, "the path is empty");
  if (memchr(text, '\0', n) != NULL)
    return refuse(why, -EINVAL, "the path holds a zero byte");
  if (n > ADDRESS_PATH)
    return refuse(why, -ENAMETOOLONG, "a unix path has at most 107 bytes");
  out->u.un.sun_family = AF_UNIX;
  memcpy(out->u.un.sun_path, text, n);
  out->length = (socklen_t)(PATH_AT + n + 1);
  return 0;
}

static int hex_digit(char c) {
  const char *digits = "0123456789abcdef", *at;
  if (c >= 'A' && c <= 'F')
    c = (char)(c - 'A' + 'a');
  at = c != '\0' ? strchr(digits, c) : NULL;
  return at != NULL ? (int)(at - digits) : -1;
}

/* What follows the @.  A \ that begins no \xNN is itself. */
static int parse_abstract(const char *text, size_t n, address *out,
                          const char **why) {
  char *to = out->u.un.sun_path + 1, *end = to + ADDRESS_PATH;
  memset(out, 0, sizeof *out);
  out->u.un.sun_family = AF_UNIX;
  for (size_t i = 0; i < n; i++) {
    char c = text[i];
    if (to == end)
      return refuse(why, -ENAMETOOLONG,
                    "an abstract name has at most 107 "
                    "bytes");
    if (c == '\\' && n - i > 3 && text[i + 1] == 'x' &&
        hex_digit(text[i + 2]) >= 0 && hex_digit(text[i + 3]) >= 0) {
      c = (char)(hex_digit(text[i + 2]) * 16 + hex_digit(text[i + 3]));
      i += 3;
    }
    *to++ = c;
  }
  out->length = PATH_AT;
  if (n > 0)
    out->length = (socklen_t)(to - (char *)&out->u.un);
  return 0;
}

/* People write unix:///path too. */
int address_parse_unix(const char *text, size_t n, address *out,
                       const char **why) {
  if (n > 0 && text[0] == '@')
    return parse_abstract(text + 1, n - 1, out, why);
  if (n > 1 && text[0] == '/' && text[1] == '/') {
    if (n == 2 || text[2] != '/')
      return refuse(why, -EINVAL, "a path is expected: unix:/path");
    while (n > 1 && text[1] == '/')
      text++, n--;
  }
  return parse_path(text, n, out, why);
}

static int parse_port_into(const char *text, size_t n, address *out,
                           const char **why) {
  int port = address_parse_port(text, n);
  if (port < 0)
    return refuse(why, -EINVAL, "a port is a whole number, 0 to 65535");
  address_set_port(out, port);
  return 0;
}

static int parse_bracketed(lua_State *L, const char *text, size_t n,
                           address *out, const char **why) {
  const char *close = memchr(text, ']', n);
  size_t length = close != NULL ? (size_t)(close - text) : 0;
  int status;
  if (close == NULL || n - length < 2 || close[1] != ':')
    return refuse(why, -EINVAL, "expected [ipv6]:port");
  if (memchr(text, ':', length) == NULL)
    return refuse(why, -EINVAL, "only an IPv6 address stands in brackets");
  status = address_parse_ip(L, text + 1, length - 1, out, why);
  if (status < 0)
    return status;
  return parse_port_into(close + 2, n - length - 2, out, why);
}

static bool is_word(const char *text, size_t n, const char *word) {
  return n == strlen(word) && memcmp(text, word, n) == 0;
}

int address_parse_cid(const char *text, size_t n, address *out,
                      const char **why) {
  static const struct {
    const char *name;
    uint32_t cid;
  } names[] = {{"host", VMADDR_CID_HOST},
               {"local", VMADDR_CID_LOCAL},
               {"any", VMADDR_CID_ANY},
               {"*", VMADDR_CID_ANY}};
  uint32_t cid = 0;
  bool found = address_parse_number(text, n, VMADDR_CID_ANY - 1, &cid);
  for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) {
    found = is_word(text, n, names[i].name);
    cid = names[i].cid;
  }
  make_vm(out, cid, VMADDR_PORT_ANY);
  if (!found)
    return refuse(why, -EINVAL,
                  "a cid is a number below 4294967295, host, local or any");
  return 0;
}

/* What follows "vsock:". */
static int parse_vsock(const char *text, size_t n, address *out,
                       const char **why) {
  const char *colon = memchr(text, ':', n);
  size_t length = colon != NULL ? (size_t)(colon - text) : n;
  int status = address_parse_cid(text, length, out, why);
  uint32_t port;
  if (status < 0 || colon == NULL)
    return status;
  if (!address_parse_number(colon + 1, n - length - 1, VMADDR_PORT_ANY - 1,
                            &port))
    return refuse(why, -EINVAL,
                  "a port of vsock is a whole number, 0 to 4294967294");
  address_set_port(out, port);
  return 0;
}

int address_parse(lua_State *L, const char *text, size_t n, address *out,
                  const char **why) {
  const char *colon;
  int status;
  if (n > 0 && text[0] == '/')
    return parse_path(text, n, out, why);
  if (n > 0 && text[0] == '@') {
    if (n == 1)
      return refuse(why, -EINVAL, "an abstract name is expected after @");
    return parse_abstract(text + 1, n - 1, out, why);
  }
  if (n >= 5 && memcmp(text, "unix:", 5) == 0) {
    if (n == 6 && text[5] == '@')
      return refuse(why, -EINVAL, "an abstract name is expected after @");
    return address_parse_unix(text + 5, n - 5, out, why);
  }
  if (n >= 6 && memcmp(text, "vsock:", 6) == 0)
    return parse_vsock(text + 6, n - 6, out, why);
  if (n > 0 && text[0] == '[')
    return parse_bracketed(L, text, n, out, why);
  colon = memchr(text, ':', n);
  if (colon == NULL || memchr(colon + 1, ':', n - (size_t)(colon - text) - 1))
    return address_parse_ip(L, text, n, out, why);
  status = address_parse_ip(L, text, (size_t)(colon - text), out, why);
  if (status < 0)
    return status;
  return parse_port_into(colon + 1, n - (size_t)(colon - text) - 1, out, why);
}

/* ==} */


/*
** {== Printing
*/

typedef struct sink {
  char *at, *end; /* end: where the last NUL fits */
} sink;

static void put(sink *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(sink *s, const char *format, ...) {
  size_t room = (size_t)(s->end - s->at) + 1;
  va_list args;
  int n;
  va_start(args, format);
  n = vsnprintf(s->at, room, format, args);
  va_end(args);
  s->at += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static bool is_ip(const address *a) {
  return a->u.any.sa_family == AF_INET || a->u.any.sa_family == AF_INET6;
}

/* A name with a bracket would end what stands in brackets. */
static void put_scope(sink *s, host *h, const address *a) {
  unsigned index = a->u.in6.sin6_scope_id;
  char name[16];
  if (index == 0)
    return;
  if (h->world->net->ifname(h, index, name) == 0 && strchr(name, ']') == NULL)
    put(s, "%%%s", name);
  else
    put(s, "%%%u", index);
}

static void put_escaped(sink *s, const char *text, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c > ' ' && c < 0x7f && c != '\\')
      put(s, "%c", c);
    else
      put(s, "\\x%02x", c);
  }
}

/* A path that begins with @ is not an abstract name: ./@ says so. */
static void put_name(sink *s, const address *a) {
  const char *path = a->u.un.sun_path;
  size_t n = name_length(a);
  if (n == 0)
    return;
  if (path[0] == '\0') {
    put(s, "@");
    put_escaped(s, path + 1, n - 1);
  } else {
    put(s, "%s%.*s", path[0] == '@' ? "./" : "", (int)strnlen(path, n), path);
  }
}

static void put_ip(sink *s, const address *a) {
  char ip[INET6_ADDRSTRLEN] = "";
  const unsigned char *last;
  if (a->u.any.sa_family == AF_INET) {
    put(s, "%s", inet_ntop(AF_INET, &a->u.in4.sin_addr, ip, sizeof ip));
    return;
  }
  inet_ntop(AF_INET6, &a->u.in6.sin6_addr, ip, sizeof ip);
  last = bytes6(a) + 12;
  if (strchr(ip, '.') == NULL)
    put(s, "%s", ip);
  else /* ::1:80 as RFC 5952 has it, not as ::0.1.0.128 */
    put(s, "::%x:%x", last[0] << 8 | last[1], last[2] << 8 | last[3]);
}

static void put_host(sink *s, host *h, const address *a) {
  if (is_ip(a)) {
    put_ip(s, a);
    if (a->u.any.sa_family == AF_INET6)
      put_scope(s, h, a);
  } else if (a->u.any.sa_family == AF_UNIX) {
    put_name(s, a);
  } else if (a->u.any.sa_family == AF_VSOCK) {
    if (address_is_any(a))
      put(s, "*");
    else
      put(s, "%" PRIu32, a->u.vm.svm_cid);
  }
}

static void put_address(sink *s, host *h, const address *a) {
  int64_t port = address_port(a);
  if (port < 0) { /* none but a unix socket's */
    const char *path = a->u.un.sun_path;
    if (a->u.any.sa_family != AF_UNIX || name_length(a) == 0)
      put(s, "unnamed");
    else if (path[0] != '\0' && path[0] != '/')
      put(s, "unix:");
    put_host(s, h, a);
    return;
  }
  if (a->u.any.sa_family == AF_VSOCK)
    put(s, "vsock:");
  if (port > 0 && a->u.any.sa_family == AF_INET6) {
    put(s, "[");
    put_host(s, h, a);
    put(s, "]");
  } else {
    put_host(s, h, a);
  }
  if (port > 0)
    put(s, ":%" PRId64, port);
}

/* Print by `how` the normalised form of the address. */
static size_t print(host *h, const address *a, char *out, size_t size,
                    void (*how)(sink *, host *, const address *)) {
  address copy = *a;
  sink s = {out, out + size - 1};
  out[0] = '\0';
  address_normalise(&copy);
  how(&s, h, &copy);
  return (size_t)(s.at - out);
}

size_t address_print(host *h, const address *a, char *out, size_t size) {
  return print(h, a, out, size, put_address);
}

size_t address_print_host(host *h, const address *a, char *out, size_t size) {
  return print(h, a, out, size, put_host);
}

void address_quote(char out[ADDRESS_QUOTE], const char *text, size_t n) {
  const size_t shown = 60;
  size_t length = n < shown ? n : shown;
  for (size_t i = 0; i < length; i++)
    out[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
  strcpy(out + length, n > shown ? "..." : "");
}

/* ==} */


/*
** {== In Lua
*/

static const address *self(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}

static void push_family(lua_State *L, const address *a) {
  lua_pushstring(L, family_of(a)->name);
}

static void push_ip(lua_State *L, const address *a) {
  char ip[INET6_ADDRSTRLEN];
  sink s = {ip, ip + sizeof ip - 1};
  if (is_ip(a)) {
    put_ip(&s, a);
    lua_pushstring(L, ip);
  } else {
    lua_pushnil(L);
  }
}

static void push_port(lua_State *L, const address *a) {
  int64_t port = address_port(a);
  if (port < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, port);
}

static void push_path(lua_State *L, const address *a) {
  char path[ADDRESS_TEXT];
  if (a->u.any.sa_family == AF_UNIX && name_length(a) > 0)
    lua_pushlstring(L, path,
                    address_print_host(host_of(L), a, path, sizeof path));
  else
    lua_pushnil(L);
}

static void push_cid(lua_State *L, const address *a) {
  if (a->u.any.sa_family == AF_VSOCK)
    lua_pushinteger(L, a->u.vm.svm_cid);
  else
    lua_pushnil(L);
}

static void push_scope(lua_State *L, const address *a) {
  char name[ADDRESS_QUOTE];
  sink s = {name, name + sizeof name - 1};
  if (a->u.any.sa_family == AF_INET6 && a->u.in6.sin6_scope_id != 0) {
    put_scope(&s, host_of(L), a);
    lua_pushstring(L, name + 1); /* without the % */
  } else {
    lua_pushnil(L);
  }
}

static const struct field {
  const char *name;
  void (*push)(lua_State *L, const address *a);
} fields[] = {
    {"family", push_family},
    {"ip", push_ip},
    {"port", push_port},
    {"path", push_path},
    {"scope", push_scope},
    {"cid", push_cid},
    {NULL, NULL},
};

static int l_index(lua_State *L) {
  const address *a = self(L);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (const struct field *f = fields; f->name != NULL; f++) {
    if (strcmp(f->name, name) == 0 && strlen(name) == lua_rawlen(L, 2)) {
      f->push(L, a);
      return 1;
    }
  }
  return 0;
}

static int l_newindex(lua_State *L) {
  self(L);
  return luaL_error(L, "an Address is immutable");
}

static int l_tostring(lua_State *L) {
  char text[ADDRESS_TEXT];
  size_t n = address_print(host_of(L), self(L), text, sizeof text);
  lua_pushlstring(L, text, n);
  return 1;
}

static int l_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static int l_eq(lua_State *L) {
  const address *a = address_test(L, 1), *b = address_test(L, 2);
  lua_pushboolean(L, a != NULL && b != NULL && address_equal(a, b));
  return 1;
}

static int compare(lua_State *L) {
  return address_compare(luaL_checkudata(L, 1, CLASS),
                         luaL_checkudata(L, 2, CLASS));
}

static int l_lt(lua_State *L) {
  lua_pushboolean(L, compare(L) < 0);
  return 1;
}

static int l_le(lua_State *L) {
  lua_pushboolean(L, compare(L) <= 0);
  return 1;
}

static const luaL_Reg methods[] = {
    {"__index", l_index},
    {"__newindex", l_newindex},
    {"__tostring", l_tostring},
    {"__concat", l_concat},
    {"__eq", l_eq},
    {"__lt", l_lt},
    {"__le", l_le},
    {NULL, NULL},
};

static const char interned = 0; /* its address: the key in the registry */

/* An Address; it ends with host_mark(&interned). */
typedef struct object {
  address a;
  uint32_t mark;
} object;

/* Push the table of all addresses that the script holds. */
static void push_interned(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &interned) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  if (luaL_newmetatable(L, CLASS))
    luaL_setfuncs(L, methods, 0);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &interned);
  lua_remove(L, -2);
}

void address_push(lua_State *L, const address *given) {
  address a = *given;
  address_normalise(&a);
  luaL_checkstack(L, 6, NULL);
  push_interned(L);
  lua_pushlstring(L, (const char *)&a.u, a.length);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TNIL) {
    object *made;
    lua_pop(L, 1);
    made = lua_newuserdatauv(L, sizeof *made, 0);
    *made = (object){a, host_mark(&interned)};
    luaL_setmetatable(L, CLASS);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
}

const address *address_test(lua_State *L, int arg) {
  return host_marked(L, arg, sizeof(object), &interned);
}

const address *address_read(lua_State *L, int index) {
  const address *a = address_test(L, index);
  const char *text, *why = "";
  char quoted[ADDRESS_QUOTE];
  address parsed;
  size_t n;
  if (a != NULL)
    return a;
  index = lua_absindex(L, index);
  if (lua_type(L, index) != LUA_TSTRING) {
    lua_pushfstring(L, "%s or string expected, got %s", CLASS,
                    luaL_typename(L, index));
    return NULL;
  }
  text = lua_tolstring(L, index, &n);
  if (address_parse(L, text, n, &parsed, &why) < 0) {
    address_quote(quoted, text, n);
    lua_pushfstring(L,
                    "an address such as 127.0.0.1:80, [::1]:80, /path, "
                    "@name or vsock:2:80 expected, got '%s': %s",
                    quoted, why);
    return NULL;
  }
  address_push(L, &parsed);
  lua_replace(L, index);
  return address_test(L, index);
}

const address *address_check(lua_State *L, int arg) {
  const address *a = address_test(L, arg);
  if (a == NULL && (a = address_read(L, arg)) == NULL)
    luaL_argerror(L, arg, lua_tostring(L, -1));
  return a;
}

/* ==} */
