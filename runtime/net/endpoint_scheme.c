/*
** Endpoints: the schemes, one parser and one printer.
**
** A scheme is a row of `schemes`, and names its form; a form is a row of
** `endpoint_forms`, a parser and a printer of what follows the scheme's name.
*/

#include "net/endpoint_forms.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/quote.h"

static const endpoint_scheme schemes[] = {
    {"tcp", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_UNSPEC, SOCK_STREAM,
     IPPROTO_TCP, false},
    {"tcp4", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_INET, SOCK_STREAM,
     IPPROTO_TCP, false},
    {"tcp6", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_INET6, SOCK_STREAM,
     IPPROTO_TCP, false},
    {"tls", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_UNSPEC, SOCK_STREAM,
     IPPROTO_TCP, true},
    {"tls4", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_INET, SOCK_STREAM,
     IPPROTO_TCP, true},
    {"tls6", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_INET6, SOCK_STREAM,
     IPPROTO_TCP, true},
    {"sctp", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_UNSPEC, SOCK_STREAM,
     IPPROTO_SCTP, false},
    {"sctp4", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_INET, SOCK_STREAM,
     IPPROTO_SCTP, false},
    {"sctp6", ENDPOINT_HOST_PORT, ENDPOINT_STREAM, AF_INET6, SOCK_STREAM,
     IPPROTO_SCTP, false},
    {"udp", ENDPOINT_HOST_PORT, ENDPOINT_DATAGRAM, AF_UNSPEC, SOCK_DGRAM,
     IPPROTO_UDP, false},
    {"udp4", ENDPOINT_HOST_PORT, ENDPOINT_DATAGRAM, AF_INET, SOCK_DGRAM,
     IPPROTO_UDP, false},
    {"udp6", ENDPOINT_HOST_PORT, ENDPOINT_DATAGRAM, AF_INET6, SOCK_DGRAM,
     IPPROTO_UDP, false},
    {"unix", ENDPOINT_PATH, ENDPOINT_STREAM, AF_UNIX, SOCK_STREAM, 0, false},
    {"unixgram", ENDPOINT_PATH, ENDPOINT_DATAGRAM, AF_UNIX, SOCK_DGRAM, 0,
     false},
    {"seqpacket", ENDPOINT_PATH, ENDPOINT_SEQPACKET, AF_UNIX, SOCK_SEQPACKET, 0,
     false},
    {"vsock", ENDPOINT_CID_PORT, ENDPOINT_STREAM, AF_VSOCK, SOCK_STREAM, 0,
     false},
    {"icmp", ENDPOINT_HOST, ENDPOINT_DATAGRAM, AF_UNSPEC, SOCK_DGRAM, 0, false},
    {"icmp4", ENDPOINT_HOST, ENDPOINT_DATAGRAM, AF_INET, SOCK_DGRAM, 0, false},
    {"icmp6", ENDPOINT_HOST, ENDPOINT_DATAGRAM, AF_INET6, SOCK_DGRAM, 0, false},
    {"raw", ENDPOINT_HOST, ENDPOINT_DATAGRAM, AF_UNSPEC, SOCK_RAW, 0, false},
    {"raw4", ENDPOINT_HOST, ENDPOINT_DATAGRAM, AF_INET, SOCK_RAW, 0, false},
    {"raw6", ENDPOINT_HOST, ENDPOINT_DATAGRAM, AF_INET6, SOCK_RAW, 0, false},
    {"packet", ENDPOINT_INTERFACE, ENDPOINT_DATAGRAM, AF_PACKET, SOCK_RAW, 0,
     false},
    {"mem", ENDPOINT_NAME, ENDPOINT_STREAM, AF_UNSPEC, SOCK_STREAM, 0, false},
    {"fd", ENDPOINT_FD, ENDPOINT_ADOPTED, AF_UNSPEC, 0, 0, false},
};

enum { SCHEMES = sizeof schemes / sizeof *schemes };

const endpoint_scheme *endpoint_scheme_find(const char *name, size_t n) {
  for (size_t i = 0; i < SCHEMES; i++) {
    if (strlen(schemes[i].name) == n && memcmp(schemes[i].name, name, n) == 0)
      return &schemes[i];
  }
  return NULL;
}

static int refuse_scheme(char *why, const char *name, size_t n) {
  char quoted[QUOTE];
  size_t used;
  quote(quoted, name, n);
  snprintf(why, ENDPOINT_WHY, "unknown scheme '%s' (known: ", quoted);
  for (size_t i = 0; i < SCHEMES; i++) {
    used = strlen(why);
    snprintf(why + used, ENDPOINT_WHY - used, "%s%s", schemes[i].name,
             i + 1 < SCHEMES ? ", " : ")");
  }
  return -EINVAL;
}

/* What was meant, where a text is an endpoint but for its scheme. */
static int refuse_bare(lua_State *L, char *why, const char *text, size_t n) {
  char whole[ENDPOINT_TEXT], quoted[QUOTE], ignored[ENDPOINT_WHY];
  const char *scheme =
      n > 0 && (text[0] == '/' || text[0] == '@') ? "unix:" : "tcp://";
  size_t used = strlen(scheme);
  endpoint e;
  if (used + n > sizeof whole)
    return 0;
  memcpy(whole, scheme, used);
  memcpy(whole + used, text, n);
  if (endpoint_parse(L, whole, used + n, &e, ignored) != 0)
    return 0;
  quote(quoted, whole, used + n);
  snprintf(why, ENDPOINT_WHY, "did you mean %s?", quoted);
  return -EINVAL;
}

int endpoint_parse(lua_State *L, const char *text, size_t n, endpoint *out,
                   char why[ENDPOINT_WHY]) {
  const char *colon = memchr(text, ':', n);
  rest r = {L, NULL, 0, why};
  size_t length;
  memset(out, 0, sizeof *out);
  out->port = out->fd = out->protocol = -1;
  why[0] = '\0';
  length = colon != NULL ? (size_t)(colon - text) : 0;
  out->scheme = colon != NULL ? endpoint_scheme_find(text, length) : NULL;
  if (out->scheme == NULL && refuse_bare(L, why, text, n) < 0)
    return -EINVAL;
  if (colon == NULL) {
    strcpy(why, "expected scheme:..., such as tcp://127.0.0.1:80");
    return -EINVAL;
  }
  if (out->scheme == NULL)
    return refuse_scheme(why, text, length);
  r.text = colon + 1;
  r.n = n - length - 1;
  return endpoint_forms[out->scheme->form].parse(&r, out);
}

size_t endpoint_print(host *h, const endpoint *e, char *out, size_t size) {
  int n = snprintf(out, size, "%s:", e->scheme->name);
  size_t used = n < (int)size ? (size_t)n : size - 1;
  n = endpoint_forms[e->scheme->form].print(h, e, out + used, size - used);
  return n < (int)(size - used) ? used + (size_t)n : size - 1;
}

void endpoint_set_address(host *h, endpoint *e, const address *a) {
  e->addr = *a;
  address_normalise(&e->addr);
  e->numeric = true;
  e->autobind = false;
  e->port = address_port(&e->addr);
  if (!endpoint_has_host(e) && e->scheme->form != ENDPOINT_CID_PORT)
    return;
  if (e->scheme->form == ENDPOINT_HOST)
    address_set_port(&e->addr, 0);
  if (e->any && address_is_any(&e->addr))
    return;
  e->any = false;
  address_print_host(h, &e->addr, e->host, sizeof e->host);
}

int endpoint_protocol(const endpoint *e, int family) {
  if (e->protocol >= 0)
    return e->protocol;
  return family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}
