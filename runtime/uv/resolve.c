/*
** Who is asked for a name, in this order:
**
** - nobody, for an address, and for `localhost` (RFC 6761);
** - /etc/hosts, where nsswitch.conf begins with it;
** - servers by DNS (dns.c), where that is what comes next there; what they said is kept
**   for as long as it holds;
** - the system's getaddrinfo, in a thread (getaddrinfo.c), where it has sources that
**   nobody else can ask (mdns, ldap, ...).
**
** The first two never wait for anybody.  Who asks for what others are asking for shares
** their inquiry, which ends when the last of them gives it up.
*/

#include "uv/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/error.h"
#include "host/memory.h"
#include "sched/world.h"
#include "uv/answers.h"
#include "uv/dns.h"
#include "uv/hosts.h"
#include "uv/inquiry.h"
#include "uv/prefer.h"
#include "uv/search.h"

#define SECOND UINT64_C(1000000000)

enum { LONGEST_TTL = 24 * 60 * 60 }; /* seconds */

struct resolving {
  inquiry *inquiries;
  answers answers; /* of servers */
};


/*
** Answering one who asks
*/

static int answer_with(lookup *l, int status, const address *found, size_t n) {
  l->request = NULL;
  l->status = status == 0 && n == 0 ? ERROR_EAI + EAI_NODATA : status;
  if (l->status == 0) {
    l->found = memory_new(n * sizeof *found);
    memcpy(l->found, found, n * sizeof *found);
    l->count = n;
  }
  l->done(l);
  return 0;
}


/* 127.1, 0x7f000001, 010.0.0.1: getaddrinfo takes them for addresses.  Here
 * they are nothing: who compares names must not be shown another one. */
static bool is_shorthand(const char *name) {
  struct in_addr a;
  return inet_aton(name, &a) && inet_pton(AF_INET, name, &a) != 1;
}


static bool answer_numeric(lookup *l) {
  struct addrinfo *all = NULL;
  address *found = NULL;
  size_t n = 0;
  int status = system_call(l->name, l->family, AI_NUMERICHOST, &all);
  if (status == ERROR_EAI + EAI_NONAME)
    return false;
  if (status == 0) {
    n = system_take(all, &found);
    freeaddrinfo(all);
  }
  answer_with(l, status, found, n);
  free(found);
  return true;
}


/* 1: it is answered; 0: it is not in there, or -errno. */
static int answer_from_file(lookup *l) {
  address *found;
  size_t n;
  int status = hosts_find(l->name, l->family, &found, &n);
  if (status == 0 && n > 0) {
    prefer_sort(found, n);
    answer_with(l, 0, found, n);
    status = 1;
  }
  free(found);
  return status;
}


static bool is_localhost(const char *name) {
  static const char last[] = "localhost";
  size_t n = strlen(name), m = sizeof last - 1;
  if (n > 0 && name[n - 1] == '.')
    n--;
  return n >= m && strncasecmp(name + n - m, last, m) == 0 &&
         (n == m || name[n - m - 1] == '.');
}


static int answer_loopback(lookup *l) {
  address both[2];
  size_t n = 0;
  if (l->family != AF_INET)
    address_loopback(&both[n++], AF_INET6, 0);
  if (l->family != AF_INET6)
    address_loopback(&both[n++], AF_INET, 0);
  prefer_sort(both, n);
  return answer_with(l, 0, both, n);
}


/*
** Inquiries
*/

static void take_out(inquiry *q) {
  inquiry **at = &q->loop->resolving->inquiries;
  while (*at != q)
    at = &(*at)->next;
  *at = q->next;
}


static void free_inquiry(inquiry *q) {
  take_out(q);
  free(q->found);
  free(q->name);
  free(q);
}


static uint64_t now(const loop *l) {
  return l->host->world->now(l->host->outside);
}


static void keep(const inquiry *q) {
  uint64_t ttl = q->ttl < LONGEST_TTL ? q->ttl : LONGEST_TTL;
  answer a = {.name = q->name,
              .family = q->family,
              .until = now(q->loop) + ttl * SECOND,
              .status = q->status,
              .found = q->found,
              .count = q->count};
  if (ttl > 0)
    answers_keep(&q->loop->resolving->answers, &a);
}


static bool is_missing(int status) {
  return status == ERROR_EAI + EAI_NONAME || status == ERROR_EAI + EAI_NODATA;
}


/* The system may know what the servers do not. */
static bool goes_on(inquiry *q) {
  if (!q->by_dns || !q->has_more || !is_missing(q->status))
    return false;
  free(q->found);
  q->found = NULL;
  q->by_dns = false;
  int status = system_ask(q);
  if (status < 0)
    q->status = status;
  return status == 0;
}


void inquiry_end(inquiry *q) {
  if (goes_on(q))
    return;
  if (q->by_dns)
    keep(q);
  for (lookup *l = q->askers, *next; l != NULL; l = next) {
    next = l->next;
    answer_with(l, q->status, q->found, q->count);
  }
  free_inquiry(q);
}


static inquiry *inquiry_of(const loop *l, const lookup *asker, bool by_dns) {
  inquiry *q = l->resolving->inquiries;
  while (q != NULL && (q->by_dns != by_dns || q->family != asker->family ||
                       strcasecmp(q->name, asker->name) != 0))
    q = q->next;
  return q;
}


static inquiry *inquiry_new(loop *l, const lookup *asker,
                            const name_sources *s) {
  inquiry *q = memory_new(sizeof *q);
  q->loop = l;
  q->name = memory_text(asker->name, strlen(asker->name));
  q->family = asker->family;
  q->by_dns = s->dns;
  q->has_more = s->more;
  q->next = l->resolving->inquiries;
  l->resolving->inquiries = q;
  return q;
}


static void join(inquiry *q, lookup *l) {
  lookup **last = &q->askers;
  while (*last != NULL)
    last = &(*last)->next;
  *last = l;
  l->next = NULL;
  l->request = q;
}


static int inquire(loop *l, lookup *asker, const name_sources *s) {
  inquiry *q = inquiry_of(l, asker, s->dns);
  if (q == NULL) {
    q = inquiry_new(l, asker, s);
    int status = s->dns ? dns_ask(q) : system_ask(q);
    if (status < 0) {
      free_inquiry(q);
      return status;
    }
  }
  join(q, asker);
  return 0;
}


static int ask_servers(loop *l, lookup *asker, const name_sources *s) {
  answers *kept = &l->resolving->answers;
  const answer *a;
  if (!search_is_name(asker->name))
    return ERROR_EAI + EAI_NONAME;
  int status = dns_prepare(l);
  if (status < 0)
    return status;
  if (status > 0)
    answers_forget(kept);
  if (!asker->fresh &&
      (a = answers_find(kept, asker->name, asker->family, now(l))) != NULL)
    return answer_with(asker, a->status, a->found, a->count);
  return inquire(l, asker, s);
}


/*
** For the backend's table
*/

/* What the caller chose, or the environment. */
static int choice(const lookup *l) {
  const char *word = getenv("NEAP_RESOLVER");
  if (l->resolver != RESOLVER_ANY || word == NULL)
    return l->resolver;
  return strcmp(word, "system") == 0 ? RESOLVER_SYSTEM
         : strcmp(word, "dns") == 0  ? RESOLVER_DNS
                                     : RESOLVER_ANY;
}


static int choose_sources(const lookup *l, name_sources *s) {
  int resolver = choice(l);
  *s = (name_sources){.files = true, .dns = true};
  if (resolver == RESOLVER_DNS)
    return 0;
  int status = hosts_sources(s);
  if (resolver == RESOLVER_SYSTEM)
    s->dns = false;
  return status;
}


static void open_resolving(loop *l) {
  if (l->resolving == NULL)
    l->resolving = memory_new(sizeof *l->resolving);
}


int resolve_begin(host *h, lookup *l) {
  name_sources s;
  if (is_shorthand(l->name))
    return ERROR_EAI + EAI_NONAME;
  if (answer_numeric(l))
    return 0;
  int status = choose_sources(l, &s);
  if (status == 0 && s.files)
    status = answer_from_file(l);
  if (status == -EFBIG) { /* the system reads it, but not between two tasks */
    s.files = s.dns = false;
    status = 0;
  }
  if (status != 0)
    return status < 0 ? status : 0;
  if (is_localhost(l->name))
    return answer_loopback(l);
  open_resolving(loop_of(h));
  return s.dns ? ask_servers(loop_of(h), l, &s) : inquire(loop_of(h), l, &s);
}


static void leave(inquiry *q, const lookup *l) {
  lookup **at = &q->askers;
  while (*at != l)
    at = &(*at)->next;
  *at = l->next;
}


void resolve_give_up(lookup *l) {
  inquiry *q = l->request;
  leave(q, l);
  lookup_free(l);
  if (q->askers != NULL)
    return;
  if (q->by_dns)
    dns_forget(q);
  else
    system_forget(q);
  free_inquiry(q);
}


void resolve_close(loop *l) {
  system_close(l);
  dns_close(l);
  if (l->resolving != NULL)
    answers_forget(&l->resolving->answers);
  free(l->resolving);
  l->resolving = NULL;
}
