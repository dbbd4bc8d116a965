/*
** Addresses as text: one form, parsed and printed.
*/

#include "net/address_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/backend.h"
#include "sched/world.h"


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
  if (memchr(text, ':', n) != NULL) /* for the kernel eth0:1 is eth0 */
    return refuse(why, -EINVAL, "with a port, an IPv6 address is in brackets");
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

void address_print_ip(const address *a, char *out, size_t size) {
  sink s = {out, out + size - 1};
  put_ip(&s, a);
}

void address_print_scope(host *h, const address *a, char *out, size_t size) {
  sink s = {out, out + size - 1};
  put_scope(&s, h, a);
}

/* ==} */
