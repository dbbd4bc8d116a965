#include "sim/options.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"

enum {
  SNDBUF = 256 * 1024, /* of a new socket, bytes */
  RCVBUF = 128 * 1024,
  UNIX_BUF = 212992,
  BUF_MOST = 2 * 212992, /* net.core.wmem_max, doubled as all are */
  SNDBUF_LEAST = 4608,
  RCVBUF_LEAST = 2304
};


void options_open(options *o, int family, int type) {
  bool is_unix = family == AF_UNIX;
  (void)type;
  *o = (options){.sndbuf = is_unix ? UNIX_BUF : SNDBUF,
                 .rcvbuf = is_unix ? UNIX_BUF : RCVBUF,
                 .idle = 7200,
                 .interval = 75,
                 .probes = 9,
                 .linger = -1};
}


void options_close(options *o) {
  free(o->kept);
  o->kept = NULL;
  o->count = 0;
}


void options_copy(options *to, const options *from) {
  *to = *from;
  to->kept = NULL;
  if (from->count == 0)
    return;
  to->kept = memory_grow(NULL, from->count * sizeof *to->kept);
  memcpy(to->kept, from->kept, from->count * sizeof *to->kept);
}


/*
** Those with a meaning
*/

static int number_of(const sockopt *x) {
  int n = 0;
  memcpy(&n, x->value, x->length < sizeof n ? x->length : sizeof n);
  return n;
}


/* The kernel counts its own memory, too, and so doubles what it is asked for. */
static unsigned size_of(const sockopt *x, unsigned least) {
  int n = number_of(x);
  unsigned size = n > BUF_MOST / 2 || n < 0 ? BUF_MOST : (unsigned)n * 2;
  return size < least ? least : size;
}


static void set_linger(options *o, const sockopt *x) {
  struct linger l = {0};
  memcpy(&l, x->value, x->length < sizeof l ? x->length : sizeof l);
  o->linger = l.l_onoff != 0 ? l.l_linger : -1;
}


static void set_socket(options *o, const sockopt *x) {
  switch (x->name) {
  case SO_SNDBUF:
    o->sndbuf = size_of(x, SNDBUF_LEAST);
    break;
  case SO_RCVBUF:
    o->rcvbuf = size_of(x, RCVBUF_LEAST);
    break;
  case SO_REUSEADDR:
    o->reuseaddr = number_of(x) != 0;
    break;
  case SO_REUSEPORT:
    o->reuseport = number_of(x) != 0;
    break;
  case SO_KEEPALIVE:
    o->keepalive = number_of(x) != 0;
    break;
  case SO_LINGER:
    set_linger(o, x);
    break;
  }
}


static void set_tcp(options *o, const sockopt *x) {
  unsigned n = (unsigned)number_of(x);
  switch (x->name) {
  case TCP_USER_TIMEOUT:
    o->user_timeout = n;
    break;
  case TCP_KEEPIDLE:
    o->idle = n;
    break;
  case TCP_KEEPINTVL:
    o->interval = n;
    break;
  case TCP_KEEPCNT:
    o->probes = n;
    break;
  }
}


static void keep(options *o, const sockopt *x) {
  unsigned i = 0;
  while (i < o->count &&
         (o->kept[i].level != x->level || o->kept[i].name != x->name))
    i++;
  if (i == o->count)
    o->kept = memory_grow(o->kept, ++o->count * sizeof *o->kept);
  o->kept[i] = *x;
}


static int check(int family, const sockopt *x) {
  if (x->level != SOL_SOCKET && family == AF_UNIX)
    return -EOPNOTSUPP;
  if (x->level == IPPROTO_IPV6 && family != AF_INET6)
    return -ENOPROTOOPT;
  return 0;
}


int options_set(options *o, int family, int type, const sockopt *x) {
  int status = check(family, x);
  (void)type;
  if (status < 0)
    return status;
  if (x->level == SOL_SOCKET)
    set_socket(o, x);
  else if (x->level == IPPROTO_TCP)
    set_tcp(o, x);
  else if (x->level == IPPROTO_IPV6 && x->name == IPV6_V6ONLY)
    o->v6only = number_of(x) != 0;
  keep(o, x);
  return 0;
}


int options_set_all(options *o, const sockspec *spec) {
  int status = 0;
  for (unsigned i = 0; i < spec->option_count && status == 0; i++)
    status = options_set(o, spec->family, spec->type, &spec->options[i]);
  return status;
}


/*
** Asking
*/

int options_answer(sockopt *x, int n) {
  memcpy(x->value, &n, sizeof n);
  x->length = sizeof n;
  return 0;
}


static int get_linger(const options *o, sockopt *x) {
  struct linger l = {.l_onoff = o->linger >= 0,
                     .l_linger = o->linger >= 0 ? o->linger : 0};
  memcpy(x->value, &l, sizeof l);
  x->length = sizeof l;
  return 0;
}


static int get_socket(const options *o, int family, int type, sockopt *x) {
  switch (x->name) {
  case SO_SNDBUF:
    return options_answer(x, (int)o->sndbuf);
  case SO_RCVBUF:
    return options_answer(x, (int)o->rcvbuf);
  case SO_REUSEADDR:
    return options_answer(x, o->reuseaddr);
  case SO_LINGER:
    return get_linger(o, x);
  case SO_DOMAIN:
    return options_answer(x, family);
  case SO_TYPE:
    return options_answer(x, type);
  case SO_PROTOCOL:
    return options_answer(x, family == AF_UNIX ? 0 : IPPROTO_TCP);
  default:
    return -ENOENT;
  }
}


static int get_tcp(const options *o, sockopt *x) {
  switch (x->name) {
  case TCP_NODELAY:
    return options_answer(x, 1); /* by neap */
  case TCP_KEEPIDLE:
    return options_answer(x, (int)o->idle);
  case TCP_KEEPINTVL:
    return options_answer(x, (int)o->interval);
  case TCP_KEEPCNT:
    return options_answer(x, (int)o->probes);
  case TCP_MAXSEG:
    return options_answer(x, 1448);
  case TCP_QUICKACK:
    return options_answer(x, 1);
  case TCP_CONGESTION:
    memcpy(x->value, "cubic", sizeof "cubic");
    x->length = 16;
    return 0;
  default:
    return -ENOENT;
  }
}


static int get_ip(sockopt *x) {
  bool hops =
      x->level == IPPROTO_IP ? x->name == IP_TTL : x->name == IPV6_UNICAST_HOPS;
  return hops ? options_answer(x, 64) : -ENOENT;
}


static const sockopt *find(const options *o, const sockopt *x) {
  for (unsigned i = 0; i < o->count; i++)
    if (o->kept[i].level == x->level && o->kept[i].name == x->name)
      return &o->kept[i];
  return NULL;
}


/* Whether it counts its own memory decides: those sizes are not as they were set. */
static bool is_ours(const sockopt *x) {
  return x->level == SOL_SOCKET &&
         (x->name == SO_SNDBUF || x->name == SO_RCVBUF);
}


int options_get(const options *o, int family, int type, sockopt *x) {
  int status = check(family, x);
  const sockopt *kept = find(o, x);
  if (status < 0)
    return status;
  if (kept != NULL && !is_ours(x)) {
    *x = *kept;
    return 0;
  }
  status = x->level == SOL_SOCKET    ? get_socket(o, family, type, x)
           : x->level == IPPROTO_TCP ? get_tcp(o, x)
                                     : get_ip(x);
  return status == -ENOENT ? options_answer(x, 0) : status;
}
