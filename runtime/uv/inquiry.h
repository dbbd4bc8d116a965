/*
** A name whose addresses somebody is asked for, and all who want to know.
**
** resolve.c makes one for each name, and hands it to who is to answer: the system's
** getaddrinfo in a thread, or servers by c-ares (dns.c).  That one fills the answer
** in and calls inquiry_end, from the loop, or is told to forget it.
*/

#ifndef UV_INQUIRY_H
#define UV_INQUIRY_H

#include "net/backend.h"
#include "uv/loop.h"

typedef struct inquiry inquiry;

struct inquiry {
  inquiry *next; /* of the loop's */
  loop *loop;
  lookup *askers; /* by their `next` */
  char *name;
  int family;
  bool by_dns;   /* servers are asked, not the system */
  bool has_more; /* where they know no such name, the system may */
  void *work;    /* of who is to answer; NULL: nobody */

  int status;     /* 0, ERROR_EAI + EAI_x, -errno */
  address *found; /* malloc'ed, each address once, the best first */
  size_t count;
  uint32_t ttl; /* seconds that this holds; 0: is not known to */
};

/* It is answered: everyone is told, and it is freed. */
void inquiry_end(inquiry *q);

/* getaddrinfo.c: have it answered; 0 or -errno.  Or do not. */
int system_ask(inquiry *q);
void system_forget(inquiry *q);
bool system_busy(void);     /* does a thread of this process run? */
void system_close(loop *l); /* when all inquiries of the loop have ended */

/* What getaddrinfo itself says: 0, ERROR_EAI + EAI_x, or -errno. */
struct addrinfo;
int system_call(const char *name, int family, int flags,
                struct addrinfo **found);

/* Copy its answer into malloc'ed addresses, each once: how many. */
size_t system_take(const struct addrinfo *all, address **found);

/* dns.c: the same. */
int dns_ask(inquiry *q);
void dns_forget(inquiry *q);

#endif
