/*
** Addresses by DNS, on the loop.
**
** c-ares does what is of one question: servers in turn, until one answers; EDNS; TCP
** where an answer is cut; which answers are none.  What is of a name is here: the names
** that the search list makes of it, A and AAAA side by side, what two answers mean
** together, and how long that holds (RFC 2308), which c-ares tells nobody.
**
** An inquiry has a channel of its own (cares.h), so that it has a port of its own, and
** can be cancelled.  Some channels are kept for the next, for to make one takes a quarter
** of a lookup.
**
** Nothing is asked before the loop's next turn, so that c-ares calls nobody who was
** called from Lua.
*/

#include "uv/dns.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "host/memory.h"
#include "uv/cares.h"
#include "uv/inquiry.h"
#include "uv/nothing.h"
#include "uv/prefer.h"
#include "uv/search.h"

enum {
  ABREAST = 256, /* inquiries under way; others wait */
  KEPT = 8,      /* channels that nobody asks by */
  MOST = 64      /* addresses of a family that are taken of an answer */
};

/* ns that one family is waited for when the other has addresses: there are servers that
 * are silent when they are asked for AAAA. */
#define PATIENCE UINT64_C(1000000000)

typedef struct question question;

struct dns {
  resolv_conf conf;
  loop_timer begin; /* runs: there are some to begin */
  question *waiting, **last;
  unsigned abreast;
  unsigned turn; /* of the servers, where they rotate */
  cares *kept;   /* channels of the same conf */
  unsigned kept_count;
  unsigned confs; /* resolv.conf was read so often */
  loop *loop;
};

/* The answer to one of the two. */
typedef struct part {
  question *of;
  int type;   /* T_A, T_AAAA */
  int status; /* ARES_x */
} part;

struct question {
  question *next; /* among those that wait */
  inquiry *inquiry;
  cares *cares; /* NULL: it waits */
  loop_timer patience;
  unsigned confs; /* its cares is of this one */
  char *names;    /* what to ask for: each ended by \0, the last by one more */
  const char *name;
  part parts[2];
  unsigned open;  /* answers that are awaited */
  int missing;    /* ARES_x of the names so far, which are not there */
  uint32_t ttl;   /* of all that was answered so far */
  bool forgotten; /* what comes is nobody's */
};


/*
** {== Channels
*/

/* One that is kept, or a new one; NULL, and why. */
static cares *find_channel(struct dns *d, int *status) {
  cares *c = d->kept;
  *status = ARES_SUCCESS;
  if (c != NULL) {
    d->kept = c->next;
    d->kept_count--;
  } else if ((*status = cares_open(&c, d->loop, &d->conf)) != ARES_SUCCESS) {
    return NULL;
  }
  *status = cares_set_servers(c, &d->conf, d->turn);
  d->turn += d->conf.rotate;
  if (*status == ARES_SUCCESS)
    return c;
  cares_close(c);
  return NULL;
}


static int take_channel(question *q, struct dns *d) {
  int status;
  q->cares = find_channel(d, &status);
  if (q->cares == NULL)
    return status;
  q->cares->of = q;
  q->confs = d->confs;
  d->abreast++;
  return status;
}


/* One by which all is answered may be asked by again. */
static void leave_channel(question *q, struct dns *d) {
  cares *c = q->cares;
  if (c == NULL)
    return;
  d->abreast--;
  if (q->open > 0 || c->lack < 0 || q->confs != d->confs ||
      d->kept_count == KEPT) {
    cares_close(c);
    return;
  }
  cares_rest(c);
  c->next = d->kept;
  d->kept = c;
  d->kept_count++;
}


static void close_kept(struct dns *d) {
  for (cares *c = d->kept, *next; c != NULL; c = next) {
    next = c->next;
    cares_close(c);
  }
  d->kept = NULL;
  d->kept_count = 0;
}

/* ==} */


static void free_question(question *q, struct dns *d) {
  q->forgotten = true;
  loop_timer_stop(d->loop, &q->patience);
  leave_channel(q, d);
  free(q->names);
  free(q);
}


/*
** {== Answers
*/

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}


static void add(inquiry *i, const address *a) {
  for (size_t n = 0; n < i->count; n++)
    if (address_equal(&i->found[n], a))
      return;
  i->found[i->count++] = *a;
}


static int take_four(question *q, const unsigned char *message, int size) {
  struct ares_addrttl all[MOST];
  int n = MOST;
  int status = ares_parse_a_reply(message, size, NULL, all, &n);
  for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
    address a = {.length = sizeof a.u.in4};
    a.u.in4 =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = all[i].ipaddr};
    q->ttl = all[i].ttl < 0 ? 0 : least(q->ttl, (uint32_t)all[i].ttl);
    add(q->inquiry, &a);
  }
  return status;
}


static int take_six(question *q, const unsigned char *message, int size) {
  struct ares_addr6ttl all[MOST];
  int n = MOST;
  int status = ares_parse_aaaa_reply(message, size, NULL, all, &n);
  for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
    address a = {.length = sizeof a.u.in6};
    a.u.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
    memcpy(&a.u.in6.sin6_addr, &all[i].ip6addr, sizeof a.u.in6.sin6_addr);
    address_normalise(&a);
    q->ttl = all[i].ttl < 0 ? 0 : least(q->ttl, (uint32_t)all[i].ttl);
    add(q->inquiry, &a);
  }
  return status;
}


static bool is_nothing(int status) {
  return status == ARES_ENOTFOUND || status == ARES_ENODATA;
}


static void on_answer(void *of, int status, int timeouts,
                      unsigned char *message, int size) {
  part *p = of;
  question *q = p->of;
  (void)timeouts;
  if (q->forgotten)
    return;
  q->open--;
  if (status == ARES_SUCCESS)
    status = p->type == ns_t_a ? take_four(q, message, size)
                               : take_six(q, message, size);
  p->status = status;
  if (is_nothing(status))
    q->ttl = least(q->ttl, nothing_holds(message, message ? size : 0));
  else if (status != ARES_SUCCESS)
    q->ttl = 0;
}

/* ==} */


/*
** {== What they mean
*/

static int status_of(int ares) {
  switch (ares) {
  case ARES_ENOTFOUND:
    return ERROR_EAI + EAI_NONAME;
  case ARES_ENODATA:
    return ERROR_EAI + EAI_NODATA;
  case ARES_ETIMEOUT:
    return -ETIMEDOUT;
  case ARES_ENOMEM:
    return -ENOMEM;
  case ARES_EFORMERR:
  case ARES_ENOTIMP:
  case ARES_EBADNAME:
  case ARES_EBADQUERY:
  case ARES_EBADRESP:
    return ERROR_EAI + EAI_FAIL;
  default:
    return ERROR_EAI + EAI_AGAIN;
  }
}


static int rank(int status) {
  return status == ARES_SUCCESS     ? 0
         : status == ARES_ENOTFOUND ? 1
         : status == ARES_ENODATA   ? 2
                                    : 3;
}


/* The one that says more: no name, no address, a failure. */
static int worse(int a, int b) {
  return rank(a) >= rank(b) ? a : b;
}


static void conclude(question *q, int status) {
  inquiry *i = q->inquiry;
  struct dns *d = i->loop->dns;
  i->status = status;
  i->ttl = q->ttl;
  i->work = NULL;
  prefer_sort(i->found, i->count);
  free_question(q, d);
  inquiry_end(i);
}


static void ask(question *q) {
  q->open = 0;
  for (size_t i = 0; i < 2; i++)
    q->open += q->parts[i].type != 0;
  for (size_t i = 0; i < 2; i++)
    if (q->parts[i].type != 0)
      ares_query(q->cares->channel, q->name, ns_c_in, q->parts[i].type,
                 on_answer, &q->parts[i]);
}


/* All that was asked is answered: is that the end?  Who fails to say whether there is
 * such a name is not asked for the next, which would be another one's. */
static bool judge(question *q) {
  int status = worse(q->parts[0].status, q->parts[1].status);
  if (q->inquiry->count > 0) {
    conclude(q, 0);
    return true;
  }
  q->name += strlen(q->name) + 1;
  if (is_nothing(status)) {
    q->missing = worse(q->missing, status);
    if (*q->name != '\0')
      return false;
    status = q->missing;
  }
  conclude(q, status_of(status));
  return true;
}


static void begin_waiting(struct dns *d);


static void on_impatient(loop_timer *t) {
  question *q = (question *)((char *)t - offsetof(question, patience));
  struct dns *d = q->inquiry->loop->dns;
  q->ttl = 0;
  conclude(q, 0);
  begin_waiting(d);
}


/* c-ares has done what there was: go on, or end. */
static void on_moved(cares *c) {
  question *q = c->of;
  struct dns *d = q->inquiry->loop->dns;
  bool ended = false;
  while (!ended && c->lack == 0 && q->open == 0)
    if (!(ended = judge(q)))
      ask(q);
  if (!ended && c->lack < 0) {
    q->ttl = 0;
    conclude(q, c->lack);
    ended = true;
  }
  if (ended) {
    begin_waiting(d);
    return;
  }
  cares_wait(c);
  if (q->inquiry->count > 0 && !loop_timer_runs(&q->patience))
    loop_timer_start(d->loop, &q->patience, PATIENCE, on_impatient);
}

/* ==} */


/*
** Those that wait for their turn
*/

static void on_begin(loop_timer *t) {
  struct dns *d = (struct dns *)((char *)t - offsetof(struct dns, begin));
  question *q = d->waiting;
  if (q == NULL || d->abreast == ABREAST)
    return;
  if ((d->waiting = q->next) == NULL)
    d->last = &d->waiting;
  begin_waiting(d);
  int status = take_channel(q, d);
  if (status != ARES_SUCCESS) {
    conclude(q, status == ARES_EFILE ? -EMFILE : status_of(status));
    return;
  }
  q->cares->moved = on_moved;
  ask(q);
  on_moved(q->cares);
}


static void begin_waiting(struct dns *d) {
  if (d->waiting != NULL && !loop_timer_runs(&d->begin))
    loop_timer_start(d->loop, &d->begin, 0, on_begin);
}


static void add_part(question *q, part *p, int type) {
  *p = (part){q, type, ARES_SUCCESS};
}


int dns_ask(inquiry *i) {
  struct dns *d = i->loop->dns;
  question *q = memory_new(sizeof *q);
  q->inquiry = i;
  q->names = search_names(i->name, &d->conf);
  q->name = q->names;
  q->ttl = UINT32_MAX;
  q->missing = ARES_ENOTFOUND;
  if (i->family != AF_INET6)
    add_part(q, &q->parts[0], ns_t_a);
  if (i->family == AF_INET6 || (i->family == AF_UNSPEC && !d->conf.no_aaaa))
    add_part(q, &q->parts[1], ns_t_aaaa);
  i->found = memory_new(sizeof *i->found * 2 * MOST);
  i->work = q;
  *d->last = q;
  d->last = &q->next;
  begin_waiting(d);
  return 0;
}


static void stop_waiting(struct dns *d, const question *q) {
  question **at = &d->waiting;
  while (*at != q)
    at = &(*at)->next;
  if ((*at = q->next) == NULL)
    d->last = at;
}


void dns_forget(inquiry *i) {
  question *q = i->work;
  struct dns *d = i->loop->dns;
  if (q->cares == NULL)
    stop_waiting(d, q);
  free_question(q, d);
  begin_waiting(d);
}


/*
** Of a loop
*/

int dns_prepare(loop *l) {
  if (l->dns == NULL) {
    l->dns = memory_new(sizeof *l->dns);
    l->dns->loop = l;
    l->dns->last = &l->dns->waiting;
  }
  int status = resolv_conf_read(&l->dns->conf);
  if (status > 0) {
    close_kept(l->dns);
    l->dns->confs++;
  }
  return status;
}


void dns_close(loop *l) {
  if (l->dns == NULL)
    return;
  loop_timer_stop(l, &l->dns->begin);
  close_kept(l->dns);
  resolv_conf_free(&l->dns->conf);
  free(l->dns);
  l->dns = NULL;
}
