/*
** Which addresses the rules mean.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "guard/path.h"
#include "guard/rules.h"

/* An IP address in its one form. */
typedef struct ip {
  int family;
  unsigned char bytes[16];
  uint32_t port;
} ip;

/* Over what names were found to be. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;


static bool read_ip(const struct sockaddr *a, ip *out) {
  const struct sockaddr_in *in4 = (const void *)a;
  const struct sockaddr_in6 *in6 = (const void *)a;
  memset(out, 0, sizeof *out);
  out->family = a->sa_family;
  if (a->sa_family == AF_INET) {
    memcpy(out->bytes, &in4->sin_addr, 4);
    out->port = ntohs(in4->sin_port);
    return true;
  }
  if (a->sa_family != AF_INET6)
    return false;
  out->port = ntohs(in6->sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
    out->family = AF_INET;
    memcpy(out->bytes, in6->sin6_addr.s6_addr + 12, 4);
  } else {
    memcpy(out->bytes, &in6->sin6_addr, 16);
  }
  return true;
}


static bool begins(const unsigned char *a, const unsigned char *b,
                   unsigned bits) {
  unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(a, b, whole) != 0)
    return false;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}


/*
** Private addresses
*/

/* Of IPv4, and of IPv6: IANA's registries of special purposes, and what is no single
 * host's. */
static const struct {
  unsigned char ip[4], bits;
} special4[] = {{{0}, 8},
                {{10}, 8},
                {{100, 64}, 10},
                {{127}, 8},
                {{169, 254}, 16},
                {{172, 16}, 12},
                {{192, 0, 0}, 24},
                {{192, 0, 2}, 24},
                {{192, 88, 99}, 24},
                {{192, 168}, 16},
                {{198, 18}, 15},
                {{198, 51, 100}, 24},
                {{203, 0, 113}, 24},
                {{224}, 4},
                {{240}, 4}};

/* Beyond the global unicast addresses, 2000::/3: all; of these: */
static const struct {
  unsigned char ip[4], bits;
} special6[] = {{{0x20, 0x01, 0x00}, 23},       /* protocols, and Teredo */
                {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* examples */
                {{0x20, 0x02}, 16},             /* 6to4: any IPv4 address */
                {{0x3f, 0xff}, 20}};            /* examples */


static bool is_private_ip(const ip *x) {
  if (x->family == AF_INET) {
    for (size_t i = 0; i < sizeof special4 / sizeof *special4; i++)
      if (begins(x->bytes, special4[i].ip, special4[i].bits))
        return true;
    return false;
  }
  if ((x->bytes[0] & 0xe0) != 0x20)
    return true;
  for (size_t i = 0; i < sizeof special6 / sizeof *special6; i++)
    if (begins(x->bytes, special6[i].ip, special6[i].bits))
      return true;
  return false;
}


bool guard_is_private(const struct sockaddr *a) {
  ip x;
  return !read_ip(a, &x) || is_private_ip(&x);
}


/*
** Names
*/

static bool is_same_name(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  n -= n > 0 && a[n - 1] == '.';
  m -= m > 0 && b[m - 1] == '.';
  return n == m && strncasecmp(a, b, n) == 0;
}


static bool is_numeric(const char *name) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, name, bytes) == 1 ||
         inet_pton(AF_INET6, name, bytes) == 1;
}


/* Who may connect to anybody may ask anybody for names. */
static bool means_all(const rule *r) {
  return r->kind == RULE_ALL || (r->kind == RULE_NET && r->bits == 0);
}


int guard_name(const char *name) {
  const rule *r = NULL;
  if (!guard_on || is_same_name(name, "localhost") || is_numeric(name))
    return 0;
  while ((r = rule_next(r, GUARD_CONNECT)) != NULL)
    if (means_all(r) || (r->kind == RULE_NAME && is_same_name(r->text, name)))
      return 0;
  return guard_refusal(GUARD_NAME);
}


static bool has_learned(const rule *r, const ip *x) {
  size_t n = r->found < LEARNED ? r->found : LEARNED;
  for (size_t i = 0; i < n; i++)
    if (r->learned[i].family == x->family &&
        memcmp(r->learned[i].ip, x->bytes, sizeof x->bytes) == 0)
      return true;
  return false;
}


static void learn(rule *r, const ip *x) {
  if (has_learned(r, x))
    return;
  learned *l = &r->learned[r->found++ % LEARNED];
  l->family = x->family;
  memcpy(l->ip, x->bytes, sizeof x->bytes);
}


void guard_found(const char *name, const struct sockaddr *a) {
  ip x;
  if (!read_ip(a, &x))
    return;
  pthread_mutex_lock(&lock);
  for (rule *r = rule_first(); r != NULL && r < rule_first() + rule_count();
       r++)
    if (r->kind == RULE_NAME && is_same_name(r->text, name))
      learn(r, &x);
  pthread_mutex_unlock(&lock);
}


/* Whose names are somebody else's to choose; where they lead within is not. */
static bool is_found(const rule *r, const ip *x) {
  pthread_mutex_lock(&lock);
  bool found = has_learned(r, x);
  pthread_mutex_unlock(&lock);
  return found && !is_private_ip(x);
}


/*
** Matching
*/

static bool has_port(const rule *r, uint32_t port) {
  for (int i = 0; i < r->port_count; i++)
    if (port >= r->ports[i].first && port <= r->ports[i].last)
      return true;
  return r->port_count == 0;
}


static bool means_ip(const rule *r, const ip *x, bool ports) {
  if (r->kind == RULE_ALL)
    return true;
  if (ports ? !has_port(r, x->port) : r->port_count > 0)
    return false;
  if (r->kind == RULE_NAME)
    return is_found(r, x);
  return r->kind == RULE_NET && (r->bits == 0 || r->family == x->family) &&
         (r->family == 0 || r->family == x->family) &&
         begins(r->ip, x->bytes, r->bits);
}


static bool means_unix(const rule *r, const char *text, size_t n) {
  return r->kind == RULE_ALL || (r->kind == RULE_UNIX && r->length == n &&
                                 memcmp(r->text, text, n) == 0);
}


static bool means_vsock(const rule *r, const struct sockaddr_vm *a) {
  return r->kind == RULE_ALL ||
         (r->kind == RULE_VSOCK && (r->every_cid || r->cid == a->svm_cid) &&
          has_port(r, a->svm_port));
}


static int check_ip(guard_deed deed, const struct sockaddr *a, bool ports) {
  ip x;
  const rule *r = NULL;
  if (!read_ip(a, &x))
    return guard_refusal(deed);
  while ((r = rule_next(r, deed)) != NULL)
    if (means_ip(r, &x, ports))
      return 0;
  return guard_refusal(deed);
}


/* A path is where it really is, and its last name no link. */
static int check_unix(guard_deed deed, const struct sockaddr_un *a,
                      socklen_t n) {
  char text[PATH_ROOM];
  size_t begin = offsetof(struct sockaddr_un, sun_path);
  const rule *r = NULL;
  if (n <= begin)
    return 0;
  size_t size = n - begin;
  if (a->sun_path[0] == '\0') {
    memcpy(text, a->sun_path, size);
  } else {
    size = path_of_socket(a->sun_path, size, text);
    if (size == 0)
      return guard_refusal(GUARD_UNIX + deed);
  }
  while ((r = rule_next(r, deed)) != NULL)
    if (means_unix(r, text, size))
      return 0;
  return guard_refusal(GUARD_UNIX + deed);
}


int guard_pin(struct sockaddr *a, socklen_t *n, int *held) {
  struct sockaddr_un *un = (void *)a;
  size_t begin = offsetof(struct sockaddr_un, sun_path);
  char text[PATH_ROOM];
  *held = -1;
  if (!guard_on || a->sa_family != AF_UNIX || *n <= begin ||
      un->sun_path[0] == '\0')
    return 0;
  size_t size = path_pin(un->sun_path, *n - begin, text, held);
  if (*held < 0)
    return (int)-errno;
  const rule *r = NULL;
  while (size > 0 && (r = rule_next(r, GUARD_CONNECT)) != NULL)
    if (means_unix(r, text, size)) {
      path_of_descriptor(*held, un->sun_path);
      *n = (socklen_t)(begin + strlen(un->sun_path) + 1);
      return 0;
    }
  close(*held);
  *held = -1;
  return guard_refusal(GUARD_UNIX + GUARD_CONNECT);
}


static int check_vsock(guard_deed deed, const struct sockaddr_vm *a) {
  const rule *r = NULL;
  while ((r = rule_next(r, deed)) != NULL)
    if (means_vsock(r, a))
      return 0;
  return guard_refusal(deed);
}


int guard_address(guard_deed deed, const struct sockaddr *a, socklen_t n) {
  if (!guard_on)
    return 0;
  if (n < sizeof a->sa_family)
    return guard_refusal(deed);
  switch (a->sa_family) {
  case AF_UNIX:
    return check_unix(deed, (const void *)a, n);
  case AF_VSOCK:
    return check_vsock(deed, (const void *)a);
  default:
    return check_ip(deed, a, true);
  }
}


int guard_host(guard_deed deed, const struct sockaddr *a, socklen_t n) {
  (void)n;
  return guard_on ? check_ip(deed, a, false) : 0;
}


int guard_raw(void) {
  const rule *r = NULL;
  if (!guard_on)
    return 0;
  while ((r = rule_next(r, GUARD_BIND)) != NULL)
    if (r->kind == RULE_ALL || r->kind == RULE_RAW)
      return 0;
  return guard_refusal(GUARD_BIND);
}
