#include "trace/filter.h"

#include <string.h>

static const unsigned char *ip_of(const address *a) {
  if (a->u.any.sa_family == AF_INET)
    return (const unsigned char *)&a->u.in4.sin_addr;
  return (const unsigned char *)&a->u.in6.sin6_addr;
}


static bool same_bits(const unsigned char *a, const unsigned char *b,
                      int bits) {
  int whole = bits / 8, rest = bits % 8;
  if (memcmp(a, b, (size_t)whole) != 0)
    return false;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}


static bool asks_for_ip(const filter *x) {
  return x->family != 0 || x->bits >= 0 || x->port >= 0;
}


static bool takes_ip(const filter *x, const address *a) {
  int family = a->length > 0 ? a->u.any.sa_family : AF_UNSPEC;
  if (family != AF_INET && family != AF_INET6)
    return false;
  if (x->family != 0 && family != x->family)
    return false;
  if (x->port >= 0 && address_port(a) != x->port)
    return false;
  return x->bits < 0 || same_bits(ip_of(a), x->ip, x->bits);
}


static bool takes_text(const filter *x, const char *text, size_t n) {
  size_t wanted = strlen(x->path);
  return x->is_beginning ? n >= wanted && memcmp(text, x->path, wanted) == 0
                         : n == wanted && memcmp(text, x->path, n) == 0;
}


/* An abstract name is written with @. */
static bool takes_path(const filter *x, const address *a) {
  char path[sizeof a->u.un.sun_path];
  size_t start = offsetof(struct sockaddr_un, sun_path);
  if (a->length <= start || a->u.any.sa_family != AF_UNIX)
    return false;
  size_t n = a->length - start;
  memcpy(path, a->u.un.sun_path, n);
  if (path[0] == '\0')
    path[0] = '@';
  else
    n = strnlen(path, n);
  return takes_text(x, path, n);
}


/* A name is behind "mem:". */
static bool takes_name(const filter *x, const flow *f) {
  if (f->name == NULL || strncmp(f->name, "mem:", 4) != 0)
    return false;
  return takes_text(x, f->name + 4, strlen(f->name + 4));
}


static bool takes_address(const filter *x, const address *a) {
  if (a == NULL || a->length == 0)
    return false;
  return x->path[0] != '\0' ? takes_path(x, a) : takes_ip(x, a);
}


/* Is the endpoint of that kind? */
static bool is_of(const char *endpoint, const char *kind) {
  size_t n = strlen(kind);
  return strncmp(endpoint, kind, n) == 0 &&
         (endpoint[n] == ':' || endpoint[n] == '4' || endpoint[n] == '6');
}


/* A listener is of the kind of what it accepts.  What is over something is of both
 * kinds: http is over tls, and tls:// is over tcp. */
static bool takes_kind(const filter *x, const flow *f) {
  if (x->kind[0] == '\0')
    return true;
  if (strcmp(f->kind, "listener") == 0)
    return f->name != NULL &&
           (is_of(f->name, x->kind) ||
            (is_of(f->name, "tls") && strcmp(x->kind, "tcp") == 0));
  return strcmp(f->kind, x->kind) == 0 || strcmp(f->own, x->kind) == 0 ||
         strcmp(f->below, x->kind) == 0;
}


bool filter_takes(const filter *x, const flow *f, const address *peer) {
  if (!takes_kind(x, f))
    return false;
  if (x->path[0] == '\0' && !asks_for_ip(x))
    return true;
  if (x->path[0] != '\0' && takes_name(x, f))
    return true;
  return takes_address(x, &f->local) || takes_address(x, &f->remote) ||
         takes_address(x, peer);
}
