/*
** Names of hosts, services and interfaces, as the system knows them.
**
** A host is looked up by getaddrinfo on libuv's pool, where nothing can stop
** it once it runs.  So a request owns its lookup until it has ended: a task
** that no longer waits leaves the lookup behind, marked, and the request frees
** it when it comes back.  libuv lets half of the pool's threads do lookups;
** hence sixteen threads instead of four, and lookups that nobody waits for are
** taken from the queue when they have not begun.
*/

#include "uv/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/error.h"
#include "host/memory.h"
#include "uv/loop.h"
#include "uv/world.h"

#define POOL_SIZE "UV_THREADPOOL_SIZE"

typedef struct request {
  uv_getaddrinfo_t uv;
  lookup *lookup;
} request;


int pool_begin(void) {
  static atomic_bool begun;
  bool first = !atomic_exchange(&begun, true);
  return first && getenv(POOL_SIZE) == NULL && setenv(POOL_SIZE, "16", 1) == 0;
}


void pool_end(int mine) {
  if (mine)
    unsetenv(POOL_SIZE);
}


/* libuv numbers the resolver's errors by itself; here they are glibc's. */
static const struct {
  int uv, resolver;
} codes[] = {
    {UV_EAI_ADDRFAMILY, EAI_ADDRFAMILY}, {UV_EAI_AGAIN, EAI_AGAIN},
    {UV_EAI_BADFLAGS, EAI_BADFLAGS},     {UV_EAI_FAIL, EAI_FAIL},
    {UV_EAI_FAMILY, EAI_FAMILY},         {UV_EAI_MEMORY, EAI_MEMORY},
    {UV_EAI_NODATA, EAI_NODATA},         {UV_EAI_NONAME, EAI_NONAME},
    {UV_EAI_OVERFLOW, EAI_OVERFLOW},     {UV_EAI_SERVICE, EAI_SERVICE},
    {UV_EAI_SOCKTYPE, EAI_SOCKTYPE},
};


static int status_of(int uv) {
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (codes[i].uv == uv)
      return ERROR_EAI + codes[i].resolver;
  return uv == UV_EAI_CANCELED ? -ECANCELED : uv;
}


static bool known(const lookup *l, const address *a) {
  for (size_t i = 0; i < l->count; i++)
    if (l->found[i].length == a->length &&
        memcmp(&l->found[i].u, &a->u, a->length) == 0)
      return true;
  return false;
}


/* Copy the answer, in its order (RFC 6724), each address once. */
static void take(lookup *l, const struct addrinfo *all) {
  size_t n = 0;
  for (const struct addrinfo *i = all; i != NULL; i = i->ai_next)
    n++;
  l->found = memory_new((n + 1) * sizeof *l->found);
  l->count = 0;
  for (const struct addrinfo *i = all; i != NULL; i = i->ai_next) {
    address *a = &l->found[l->count];
    if (i->ai_addrlen > sizeof a->u)
      continue;
    memset(a, 0, sizeof *a);
    a->length = i->ai_addrlen;
    memcpy(&a->u, i->ai_addr, i->ai_addrlen);
    if (!known(l, a))
      l->count++;
  }
}


static void on_resolved(uv_getaddrinfo_t *uv, int status,
                        struct addrinfo *found) {
  request *r = uv->data;
  lookup *l = r->lookup;
  free(r);
  l->request = NULL;
  if (l->cancelled) {
    lookup_free(l);
  } else {
    l->status = status_of(status);
    if (status == 0)
      take(l, found);
    if (l->status == 0 && l->count == 0)
      l->status = ERROR_EAI + EAI_NODATA;
    l->done(l);
  }
  uv_freeaddrinfo(found);
}


/* 127.1, 0x7f000001, 010.0.0.1: getaddrinfo takes them for addresses.  Here
 * they are nothing: who compares names must not be shown another one. */
static bool is_shorthand(const char *name) {
  struct in_addr a;
  return inet_aton(name, &a) && inet_pton(AF_INET, name, &a) != 1;
}


int names_resolve(host *h, lookup *l) {
  struct addrinfo hints = {.ai_family = l->family, .ai_socktype = SOCK_STREAM};
  if (is_shorthand(l->name))
    return ERROR_EAI + EAI_NONAME;
  loop *lp = loop_of(h);
  request *r = memory_new(sizeof *r);
  r->lookup = l;
  r->uv.data = r;
  int mine = pool_begin();
  int status =
      uv_getaddrinfo(&lp->uv, &r->uv, on_resolved, l->name, NULL, &hints);
  pool_end(mine);
  if (status < 0) {
    free(r);
    return status_of(status);
  }
  l->request = r;
  loop_touch(lp);
  return 0;
}


void names_unresolve(lookup *l) {
  l->cancelled = true;
  if (l->request != NULL) {
    request *r = l->request;
    uv_cancel((uv_req_t *)&r->uv); /* EBUSY when it runs: then it ends alone */
    loop_touch(loop_of(l->host));
  }
}


bool uv_world_busy(host *h) {
  loop *l = loop_of(h);
  return l != NULL && (l->uv.active_reqs.count > 0 || l->threads > 0);
}


/* /etc/services, by the reentrant functions; `room` holds the strings. */

int names_service_port(host *h, const char *name, const char *proto) {
  struct servent entry, *found = NULL;
  char room[2048];
  (void)h;
  if (getservbyname_r(name, proto, &entry, room, sizeof room, &found) != 0 ||
      found == NULL)
    return -1;
  return ntohs((uint16_t)found->s_port);
}


int names_service_name(host *h, int port, const char *proto, char *out,
                       size_t size) {
  struct servent entry, *found = NULL;
  char room[2048];
  (void)h;
  if (port < 0 || port > UINT16_MAX ||
      getservbyport_r(htons((uint16_t)port), proto, &entry, room, sizeof room,
                      &found) != 0 ||
      found == NULL)
    return -ENOENT;
  size_t n = strlen(found->s_name);
  if (n >= size)
    return -ENAMETOOLONG;
  memcpy(out, found->s_name, n + 1);
  return 0;
}


/* The usual ones are known without /etc/protocols, which small systems lack. */
int names_protocol(host *h, const char *name) {
  static const struct {
    const char *name;
    int number;
  } usual[] = {{"ip", IPPROTO_IP},
               {"icmp", IPPROTO_ICMP},
               {"igmp", IPPROTO_IGMP},
               {"tcp", IPPROTO_TCP},
               {"udp", IPPROTO_UDP},
               {"gre", IPPROTO_GRE},
               {"esp", IPPROTO_ESP},
               {"ah", IPPROTO_AH},
               {"ospf", 89},
               {"vrrp", 112},
               {"sctp", IPPROTO_SCTP},
               {"ipv6-icmp", IPPROTO_ICMPV6},
               {"icmpv6", IPPROTO_ICMPV6},
               {"raw", IPPROTO_RAW}};
  struct protoent entry, *found = NULL;
  char room[1024];
  (void)h;
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
    if (strcmp(usual[i].name, name) == 0)
      return usual[i].number;
  if (getprotobyname_r(name, &entry, room, sizeof room, &found) != 0 ||
      found == NULL)
    return -1;
  return found->p_proto;
}


/* The C library's functions for these hide why there was no socket to ask. */
static int ask_interface(unsigned long what, struct ifreq *r) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  int status = ioctl(fd, what, r) == 0 ? 0 : -errno;
  close(fd);
  return status;
}


int names_ifindex(host *h, const char *name) {
  struct ifreq r = {.ifr_ifindex = 0};
  (void)h;
  if (strlen(name) >= sizeof r.ifr_name)
    return -ENODEV;
  memcpy(r.ifr_name, name, strlen(name));
  int status = ask_interface(SIOCGIFINDEX, &r);
  return status < 0 ? status : r.ifr_ifindex;
}


int names_ifname(host *h, unsigned index, char out[16]) {
  struct ifreq r = {.ifr_ifindex = (int)index};
  (void)h;
  int status = ask_interface(SIOCGIFNAME, &r);
  memcpy(out, r.ifr_name, sizeof r.ifr_name);
  return status;
}
