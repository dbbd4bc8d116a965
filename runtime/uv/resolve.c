/*
** getaddrinfo takes as long as it takes, and nothing can stop it.  So each
** lookup has a thread of its own, and a *request* which is that thread's: who
** gives up a lookup takes it off the request, and is done with it.
**
** There is an end to threads.  What is given up leaves its place to the next at
** once, for the servers that do not answer him may be not those of others; only
** very many of these make others wait.
**
** What needs no server never waits: numeric addresses and what is in /etc/hosts.
** Of these, getaddrinfo is asked on the spot, for only it knows their order.
*/

#include "uv/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "host/memory.h"
#include "uv/hosts.h"
#include "uv/thread.h"

enum {
  ABREAST = 64, /* lookups that go on while somebody waits for them */
  THREADS = 256 /* in all */
};

typedef struct request {
  struct request *next; /* in one of the lists */
  enum { WAITING, RUNNING, ENDED } state;
  lookup *lookup; /* NULL: given up */
  loop *loop;     /* the lookup's: not there any longer than that */
  char *name;
  int family;
  int status;
  struct addrinfo *found;
} request;

typedef struct requests {
  request *first, **end;
} requests;

/* Where a loop hears of what has ended. */
struct resolving {
  uv_async_t bell;
  requests ended;
};

/* Of all the process's threads, under the lock, as all of a request's fields that
 * change. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static requests waiting = {NULL, &waiting.first};
static unsigned abreast, threads;


static void append(requests *all, request *r) {
  r->next = NULL;
  *all->end = r;
  all->end = &r->next;
}


static request *take_first(requests *all) {
  request *r = all->first;
  if (r != NULL && (all->first = r->next) == NULL)
    all->end = &all->first;
  return r;
}


static void take_out(requests *all, const request *r) {
  request **at = &all->first;
  while (*at != r)
    at = &(*at)->next;
  if ((*at = r->next) == NULL)
    all->end = at;
}


static void free_request(request *r) {
  if (r->found != NULL)
    freeaddrinfo(r->found);
  free(r->name);
  free(r);
}


/*
** What getaddrinfo says
*/

/* Without a descriptor nobody can be asked, and getaddrinfo says that there is no
 * such name. */
static int lack(void) {
  int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd < 0 && errno != EBADF)
    return -errno;
  if (fd >= 0)
    close(fd);
  return 0;
}


/* 0, ERROR_EAI + EAI_x, or -errno. */
static int ask(const char *name, int family, int flags,
               struct addrinfo **found) {
  struct addrinfo hints = {
      .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
  int code = getaddrinfo(name, NULL, &hints, found);
  if (code == EAI_SYSTEM)
    return errno != 0 ? -errno : ERROR_EAI + EAI_FAIL;
  int status = code != 0 && (flags & AI_NUMERICHOST) == 0 ? lack() : 0;
  return code != 0 && status == 0 ? ERROR_EAI + code : status;
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


static void answer(lookup *l, int status, const struct addrinfo *found) {
  l->request = NULL;
  l->status = status;
  if (status == 0)
    take(l, found);
  if (l->status == 0 && l->count == 0)
    l->status = ERROR_EAI + EAI_NODATA;
  l->done(l);
}


/*
** In the threads
*/

static bool has_place(void) {
  return abreast < ABREAST && threads < THREADS;
}


/* The next one, if this thread is to go on. */
static request *next_request(void) {
  request *r = abreast < ABREAST ? take_first(&waiting) : NULL;
  if (r == NULL)
    return NULL;
  r->state = RUNNING;
  abreast++;
  return r;
}


/* Under the lock: who gives up closes nothing meanwhile. */
static void hand_in(request *r) {
  struct resolving *place = r->loop->resolving;
  r->state = ENDED;
  abreast--;
  append(&place->ended, r);
  uv_async_send(&place->bell);
}


static request *end_request(request *r) {
  pthread_mutex_lock(&lock);
  bool given_up = r->lookup == NULL;
  if (!given_up)
    hand_in(r);
  request *next = next_request();
  if (next == NULL)
    threads--;
  pthread_mutex_unlock(&lock);
  if (given_up)
    free_request(r);
  return next;
}


static void *live(void *first) {
  for (request *r = first; r != NULL;) {
    r->status = ask(r->name, r->family, 0, &r->found);
    r = end_request(r);
  }
  return NULL;
}


/* Under the lock. */
static int run(request *r) {
  int status = thread_detach(live, r);
  if (status < 0)
    return status;
  r->state = RUNNING;
  abreast++;
  threads++;
  return 0;
}


/*
** In the loop's thread
*/

static void on_bell(uv_async_t *bell) {
  struct resolving *place = bell->data;
  for (;;) {
    pthread_mutex_lock(&lock);
    request *r = take_first(&place->ended);
    pthread_mutex_unlock(&lock);
    if (r == NULL)
      return;
    answer(r->lookup, r->status, r->found);
    free_request(r);
  }
}


static int open_place(loop *l) {
  if (l->resolving != NULL)
    return 0;
  struct resolving *place = memory_new(sizeof *place);
  int status = uv_async_init(&l->uv, &place->bell, on_bell);
  if (status < 0) {
    free(place);
    return status;
  }
  place->bell.data = place;
  place->ended.end = &place->ended.first;
  l->resolving = place;
  loop_touch(l);
  return 0;
}


static void on_place_closed(uv_handle_t *bell) {
  free(bell->data);
}


void resolve_close(loop *l) {
  if (l->resolving != NULL)
    uv_close((uv_handle_t *)&l->resolving->bell, on_place_closed);
  l->resolving = NULL;
}


/* 127.1, 0x7f000001, 010.0.0.1: getaddrinfo takes them for addresses.  Here
 * they are nothing: who compares names must not be shown another one. */
static bool is_shorthand(const char *name) {
  struct in_addr a;
  return inet_aton(name, &a) && inet_pton(AF_INET, name, &a) != 1;
}


/* Is it answered without asking a server? */
static bool answer_at_once(lookup *l) {
  struct addrinfo *found = NULL;
  int status = ask(l->name, l->family, AI_NUMERICHOST, &found);
  if (status == ERROR_EAI + EAI_NONAME) {
    if (!hosts_has(l->name, l->family))
      return false;
    status = ask(l->name, l->family, 0, &found);
  }
  answer(l, status, found);
  if (found != NULL)
    freeaddrinfo(found);
  return true;
}


static int enter(request *r) {
  int status = 0;
  pthread_mutex_lock(&lock);
  if (has_place())
    status = run(r);
  else
    append(&waiting, r);
  pthread_mutex_unlock(&lock);
  return status;
}


int resolve_begin(host *h, lookup *l) {
  if (is_shorthand(l->name))
    return ERROR_EAI + EAI_NONAME;
  if (answer_at_once(l))
    return 0;
  int status = open_place(loop_of(h));
  if (status < 0)
    return status;
  request *r = memory_new(sizeof *r);
  r->lookup = l;
  r->loop = loop_of(h);
  r->name = memory_text(l->name, strlen(l->name));
  r->family = l->family;
  l->request = r;
  status = enter(r);
  if (status < 0)
    free_request(r);
  return status;
}


/* Its place is the next one's; if there is no thread for him now, one that ends
 * takes him. */
static void leave_place(request *r) {
  abreast--;
  r->lookup = NULL;
  if (waiting.first != NULL && has_place() && run(waiting.first) == 0)
    take_first(&waiting);
}


void resolve_give_up(lookup *l) {
  request *r = l->request;
  pthread_mutex_lock(&lock);
  bool running = r->state == RUNNING;
  if (running)
    leave_place(r);
  else
    take_out(r->state == WAITING ? &waiting : &r->loop->resolving->ended, r);
  pthread_mutex_unlock(&lock);
  if (!running)
    free_request(r);
  lookup_free(l);
}


bool resolve_busy(void) {
  pthread_mutex_lock(&lock);
  bool busy = threads > 0;
  pthread_mutex_unlock(&lock);
  return busy;
}
