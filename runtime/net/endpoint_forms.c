/*
** The forms of endpoints: a parser and a printer each.
**
** Parsing is strict where a mistake could reach another host than the one
** meant: what looks like a number is an IP address in its full form or nothing.
*/

#include "net/endpoint_forms.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "net/backend.h"
#include "sched/world.h"

static int refuse(char *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(char *why, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(why, ENDPOINT_WHY, format, args);
  va_end(args);
  return -EINVAL;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}


/*
** {== tcp://host:port
*/

/* Does the last label look like a number?  Such a host is an address in one of
 * C's old short forms (127.1, 0x7f.1), which are not taken. */
static bool ends_in_number(const char *name, size_t n) {
  size_t begin;
  if (n > 0 && name[n - 1] == '.')
    n--;
  for (begin = n; begin > 0 && name[begin - 1] != '.'; begin--)
    ;
  name += begin;
  n -= begin;
  if (n >= 2 && name[0] == '0' && (name[1] == 'x' || name[1] == 'X'))
    return strspn(name + 2, "0123456789abcdefABCDEF") >= n - 2;
  return n > 0 && strspn(name, "0123456789") >= n;
}

/* Is it a name that a resolver may be asked for? */
static int check_name(const rest *r, const char *name, size_t n) {
  size_t label = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c == '.' && label == 0)
      return refuse(r->why, "a label of the host's name is empty");
    if (c >= 0x80)
      return refuse(r->why, "the host's name is not ASCII (write xn--...)");
    if (c != '.' && c != '-' && c != '_' && !is_digit((char)c) &&
        !is_letter((char)c))
      return refuse(r->why,
                    c > ' ' && c < 0x7f ? "%c cannot be in a host's name"
                                        : "byte %d cannot be in a host's name",
                    c);
    label = c == '.' ? 0 : label + 1;
    if (label > 63)
      return refuse(r->why, "a label of the host's name has over 63 letters");
  }
  return 0;
}

static int parse_host(const rest *r, const char *name, size_t n, endpoint *e) {
  int af = e->scheme->family;
  const char *why;
  if (n > 253)
    return refuse(r->why, "a host's name has at most 253 letters");
  memcpy(e->host, name, n);
  e->host[n] = '\0';
  e->numeric = true;
  if (n == 0) {
    address_loopback(&e->addr, af == AF_INET6 ? AF_INET6 : AF_INET, 0);
    strcpy(e->host, af == AF_INET6 ? "::1" : "127.0.0.1");
    return 0;
  }
  if (n == 1 && name[0] == '*') {
    e->any = true;
    address_any(&e->addr, af == AF_INET ? AF_INET : AF_INET6, 0);
    return 0;
  }
  if (address_parse_ip(r->L, name, n, &e->addr, &why) == 0) {
    if (af == AF_INET6)
      return refuse(r->why, "%s takes an IPv6 address", e->scheme->name);
    return 0;
  }
  e->numeric = false;
  memset(&e->addr, 0, sizeof e->addr);
  if (memchr(name, '\0', n) == NULL && ends_in_number(e->host, n))
    return refuse(r->why,
                  "the host is neither a name nor four decimal numbers");
  return check_name(r, name, n);
}

/* What stands in brackets. */
static int parse_host6(const rest *r, const char *name, size_t n, endpoint *e) {
  const char *why = "";
  int status;
  if (memchr(name, ':', n) == NULL)
    return refuse(r->why, "only an IPv6 address stands in brackets");
  status = address_parse_ip(r->L, name, n, &e->addr, &why);
  if (status < 0) {
    refuse(r->why, "%s", why);
    return status;
  }
  if (e->scheme->family != AF_UNSPEC &&
      e->scheme->family != e->addr.u.any.sa_family)
    return refuse(r->why, "%s takes an IPv%d address", e->scheme->name,
                  e->scheme->family == AF_INET ? 4 : 6);
  address_print_host(host_of(r->L), &e->addr, e->host, sizeof e->host);
  e->numeric = true;
  return 0;
}

/* Whose names of services these are (services(5)). */
static const char *protocol_name(const endpoint_scheme *scheme) {
  return scheme->protocol == IPPROTO_UDP    ? "udp"
         : scheme->protocol == IPPROTO_SCTP ? "sctp"
                                            : "tcp";
}

/* A number, or the name of a service, which begins with a letter. */
static int parse_port(const rest *r, const char *text, size_t n, endpoint *e) {
  host *h = host_of(r->L);
  const char *proto = protocol_name(e->scheme);
  char name[64];
  size_t i;
  e->port = address_parse_port(text, n);
  if (e->port >= 0)
    return 0;
  if (n == 0)
    return refuse(r->why, "a port is expected");
  for (i = 0; i < n && (is_letter(text[i]) || (i > 0 && is_digit(text[i])) ||
                        (i > 0 && strchr("-_.+", text[i]) && text[i] != '\0'));
       i++)
    ;
  if (i < n || n >= sizeof name)
    return refuse(r->why,
                  "a port is a whole number, 0 to 65535, or a service's name");
  memcpy(name, text, n);
  name[n] = '\0';
  e->port = h->world->net->service_port(h, name, proto);
  if (e->port >= 0)
    return 0;
  refuse(r->why, "no service of %s is called %s", proto, name);
  return ERROR_EAI + EAI_SERVICE;
}

static int parse_host_port(rest *r, endpoint *e) {
  const char *name, *colon, *end;
  int status;
  if (r->n < 2 || memcmp(r->text, "//", 2) != 0)
    return refuse(r->why, "expected %s://host:port", e->scheme->name);
  name = r->text + 2;
  end = r->text + r->n;
  if (name < end && name[0] == '[') {
    const char *close = memchr(name, ']', (size_t)(end - name));
    if (close == NULL)
      return refuse(r->why, "expected %s://[ipv6]:port", e->scheme->name);
    colon = close + 1;
    status = parse_host6(r, name + 1, (size_t)(close - name) - 1, e);
  } else {
    colon = memchr(name, ':', (size_t)(end - name));
    if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon) - 1))
      return refuse(r->why, "an IPv6 address stands in brackets: %s://[::1]:80",
                    e->scheme->name);
    if (colon == NULL)
      colon = end;
    status = parse_host(r, name, (size_t)(colon - name), e);
  }
  if (status == -EINVAL)
    return status;
  if (colon == end || *colon != ':')
    return refuse(r->why, "a port is expected: %s://host:port",
                  e->scheme->name);
  if (status == 0)
    status = parse_port(r, colon + 1, (size_t)(end - colon) - 1, e);
  if (e->numeric && e->port >= 0)
    address_set_port(&e->addr, e->port);
  return status;
}

static int print_host_port(host *h, const endpoint *e, char *out, size_t size) {
  bool bracketed = strchr(e->host, ':') != NULL;
  (void)h;
  return snprintf(out, size, "//%s%s%s:%" PRId64, bracketed ? "[" : "", e->host,
                  bracketed ? "]" : "", e->port);
}

/* ==} */


/*
** {== vsock://cid:port
*/

/* As with a host, none is loopback, and * is every one of this machine's. */
static int parse_cid(const rest *r, const char *text, size_t n, endpoint *e) {
  const char *why = "";
  int status =
      address_parse_cid(n > 0 ? text : "local", n > 0 ? n : 5, &e->addr, &why);
  if (status < 0)
    return refuse(r->why, "%s", why);
  e->numeric = true;
  e->any = address_is_any(&e->addr);
  address_print_host(host_of(r->L), &e->addr, e->host, sizeof e->host);
  return 0;
}

static int parse_cid_port(rest *r, endpoint *e) {
  const char *name = r->text + 2, *end = r->text + r->n;
  uint32_t port;
  if (r->n < 2 || memcmp(r->text, "//", 2) != 0)
    return refuse(r->why, "expected %s://cid:port", e->scheme->name);
  const char *colon = memchr(name, ':', (size_t)(end - name));
  if (colon == NULL)
    return refuse(r->why, "a port is expected: %s://cid:port", e->scheme->name);
  int status = parse_cid(r, name, (size_t)(colon - name), e);
  if (status < 0)
    return status;
  if (!address_parse_number(colon + 1, (size_t)(end - colon) - 1,
                            UINT32_MAX - 1, &port))
    return refuse(r->why, "a port of vsock is a whole number, 0 to 4294967294");
  e->port = port;
  address_set_port(&e->addr, port);
  return 0;
}

/* ==} */


/*
** {== icmp://host, raw://host/protocol, packet://interface
*/

/* A number, or a name. */
static int parse_protocol(const rest *r, const char *text, size_t n,
                          endpoint *e) {
  const host *h = host_of(r->L);
  char name[32];
  e->protocol = address_parse_port(text, n);
  if (e->protocol >= 0 && e->protocol <= 255)
    return 0;
  if (n == 0 || n >= sizeof name || e->protocol > 255)
    return refuse(r->why, "a protocol is its name or a number, 0 to 255");
  for (size_t i = 0; i < n; i++) {
    if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '-' &&
        text[i] != '.' && text[i] != '+')
      return refuse(r->why, "a protocol is its name or a number, 0 to 255");
  }
  memcpy(name, text, n);
  name[n] = '\0';
  e->protocol = h->world->net->protocol(host_of(r->L), name);
  if (e->protocol < 0)
    return refuse(r->why, "no protocol is called %s", name);
  return 0;
}

/* The host * is IPv4's, but for the protocol of ICMP of IPv6. */
static void choose_any(endpoint *e) {
  int family = e->scheme->family;
  if (family == AF_UNSPEC)
    family = e->protocol == IPPROTO_ICMPV6 ? AF_INET6 : AF_INET;
  if (e->any)
    address_any(&e->addr, family, 0);
}

static int parse_host_only(rest *r, endpoint *e) {
  bool raw = e->scheme->type == SOCK_RAW;
  const char *expected = raw ? "/protocol" : "";
  if (r->n < 2 || memcmp(r->text, "//", 2) != 0)
    return refuse(r->why, "expected %s://host%s", e->scheme->name, expected);
  const char *name = r->text + 2, *end = r->text + r->n;
  const char *slash = memchr(name, '/', (size_t)(end - name));
  if ((slash != NULL) != raw)
    return refuse(r->why, "expected %s://host%s", e->scheme->name, expected);
  size_t n = (size_t)((raw ? slash : end) - name);
  bool bracketed = n >= 2 && name[0] == '[' && name[n - 1] == ']';
  if (bracketed)
    name++, n -= 2;
  int status = bracketed || memchr(name, ':', n) != NULL
                   ? parse_host6(r, name, n, e)
                   : parse_host(r, name, n, e);
  if (status == 0 && raw)
    status = parse_protocol(r, slash + 1, (size_t)(end - slash) - 1, e);
  choose_any(e);
  return status;
}

static int print_host_only(host *h, const endpoint *e, char *out, size_t size) {
  const char *format = strchr(e->host, ':') ? "//[%s]" : "//%s";
  (void)h;
  int n = snprintf(out, size, format, e->host);
  if (e->protocol >= 0 && n < (int)size)
    n += snprintf(out + n, size - (size_t)n, "/%d", e->protocol);
  return n;
}

static int parse_interface(rest *r, endpoint *e) {
  if (r->n < 3 || memcmp(r->text, "//", 2) != 0)
    return refuse(r->why, "expected %s://interface", e->scheme->name);
  const char *name = r->text + 2;
  size_t n = r->n - 2;
  if (n > 15)
    return refuse(r->why, "an interface's name has at most 15 bytes");
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)name[i] <= ' ' || name[i] == '/' || name[i] == 0x7f)
      return refuse(r->why, "byte %d cannot be in an interface's name",
                    (unsigned char)name[i]);
  memcpy(e->host, name, n);
  e->host[n] = '\0';
  e->any = n == 1 && name[0] == '*';
  return 0;
}

static int print_interface(host *h, const endpoint *e, char *out, size_t size) {
  (void)h;
  return snprintf(out, size, "//%s", e->host);
}

/* ==} */


/*
** {== unix:/path, mem:name, fd:N
*/

static int parse_path(rest *r, endpoint *e) {
  const char *why = "";
  int status = address_parse_unix(r->text, r->n, &e->addr, &why);
  refuse(r->why, "%s", why);
  e->numeric = true;
  e->autobind = r->n == 1 && r->text[0] == '@';
  return status;
}

static int print_path(host *h, const endpoint *e, char *out, size_t size) {
  char path[ADDRESS_TEXT];
  address_print_host(h, &e->addr, path, sizeof path);
  return snprintf(out, size, "%s", e->autobind ? "@" : path);
}

static int parse_name(rest *r, endpoint *e) {
  if (r->n == 0)
    return refuse(r->why, "a name is expected: %s:name", e->scheme->name);
  if (r->n >= sizeof e->host)
    return refuse(r->why, "a name has at most %zu bytes", sizeof e->host - 1);
  for (size_t i = 0; i < r->n; i++) {
    if ((unsigned char)r->text[i] <= ' ' || r->text[i] == 0x7f)
      return refuse(r->why, "byte %d cannot be in a name",
                    (unsigned char)r->text[i]);
  }
  memcpy(e->host, r->text, r->n);
  e->host[r->n] = '\0';
  return 0;
}

static int print_name(host *h, const endpoint *e, char *out, size_t size) {
  (void)h;
  return snprintf(out, size, "%s", e->host);
}

static int parse_fd(rest *r, endpoint *e) {
  long long fd = 0;
  size_t i;
  for (i = 0; i < r->n && is_digit(r->text[i]) && fd <= INT_MAX; i++)
    fd = fd * 10 + (r->text[i] - '0');
  if (r->n == 0 || i < r->n || fd > INT_MAX || (r->n > 1 && r->text[0] == '0'))
    return refuse(r->why, "a descriptor is a whole number: fd:3");
  e->fd = (int)fd;
  return 0;
}

static int print_fd(host *h, const endpoint *e, char *out, size_t size) {
  (void)h;
  return snprintf(out, size, "%d", e->fd);
}

/* ==} */


const endpoint_syntax endpoint_forms[] = {
    [ENDPOINT_HOST_PORT] = {parse_host_port, print_host_port},
    [ENDPOINT_CID_PORT] = {parse_cid_port, print_host_port},
    [ENDPOINT_HOST] = {parse_host_only, print_host_only},
    [ENDPOINT_INTERFACE] = {parse_interface, print_interface},
    [ENDPOINT_PATH] = {parse_path, print_path},
    [ENDPOINT_NAME] = {parse_name, print_name},
    [ENDPOINT_FD] = {parse_fd, print_fd},
};
