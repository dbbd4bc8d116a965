/*
** The system's names, in threads.
**
** getaddrinfo takes as long as it takes, and nothing can stop it.  So each inquiry
** has a thread of its own, and a *request* which is that thread's: who gives it up
** takes it off the request, and is done with it.
**
** There is an end to threads.  What is given up leaves its place to the next at
** once, for the servers that do not answer him may be not those of others; only
** very many of these make others wait.
*/

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/error.h"
#include "host/memory.h"
#include "uv/inquiry.h"
#include "uv/thread.h"

enum {
  ABREAST = 64, /* that go on while somebody waits for them */
  THREADS = 256 /* in all */
};

typedef struct request {
  struct request *next; /* in one of the lists */
  enum { WAITING, RUNNING, ENDED } state;
  inquiry *inquiry; /* NULL: given up */
  loop *loop;       /* the inquiry's: not there any longer than that */
  char *name;
  int family;
  int status;
  struct addrinfo *found;
} request;

typedef struct requests {
  request *first, **end;
} requests;

/* Where a loop hears of what has ended. */
struct system_names {
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
int system_call(const char *name, int family, int flags,
                struct addrinfo **found) {
  struct addrinfo hints = {
      .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
  int code = getaddrinfo(name, NULL, &hints, found);
  if (code == EAI_SYSTEM)
    return errno != 0 ? -errno : ERROR_EAI + EAI_FAIL;
  int status = code != 0 && (flags & AI_NUMERICHOST) == 0 ? lack() : 0;
  return code != 0 && status == 0 ? ERROR_EAI + code : status;
}


static bool known(const address *all, size_t n, const address *a) {
  for (size_t i = 0; i < n; i++)
    if (all[i].length == a->length && memcmp(&all[i].u, &a->u, a->length) == 0)
      return true;
  return false;
}


/* In its order, which is that of RFC 6724. */
size_t system_take(const struct addrinfo *all, address **found) {
  size_t n = 0, count = 0;
  for (const struct addrinfo *i = all; i != NULL; i = i->ai_next)
    n++;
  *found = memory_new((n + 1) * sizeof **found);
  for (const struct addrinfo *i = all; i != NULL; i = i->ai_next) {
    address *a = &(*found)[count];
    if (i->ai_addrlen > sizeof a->u)
      continue;
    memset(a, 0, sizeof *a);
    a->length = i->ai_addrlen;
    memcpy(&a->u, i->ai_addr, i->ai_addrlen);
    if (!known(*found, count, a))
      count++;
  }
  return count;
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
  struct system_names *place = r->loop->system_names;
  r->state = ENDED;
  abreast--;
  append(&place->ended, r);
  uv_async_send(&place->bell);
}


static request *end_request(request *r) {
  pthread_mutex_lock(&lock);
  bool given_up = r->inquiry == NULL;
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
    r->status = system_call(r->name, r->family, 0, &r->found);
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

static void answer(inquiry *q, const request *r) {
  q->work = NULL;
  q->status = r->status;
  if (r->status == 0)
    q->count = system_take(r->found, &q->found);
  inquiry_end(q);
}


static void on_bell(uv_async_t *bell) {
  struct system_names *place = bell->data;
  for (;;) {
    pthread_mutex_lock(&lock);
    request *r = take_first(&place->ended);
    pthread_mutex_unlock(&lock);
    if (r == NULL)
      return;
    answer(r->inquiry, r);
    free_request(r);
  }
}


static int open_place(loop *l) {
  if (l->system_names != NULL)
    return 0;
  struct system_names *place = memory_new(sizeof *place);
  int status = uv_async_init(&l->uv, &place->bell, on_bell);
  if (status < 0) {
    free(place);
    return status;
  }
  place->bell.data = place;
  place->ended.end = &place->ended.first;
  l->system_names = place;
  loop_touch(l);
  return 0;
}


static void on_place_closed(uv_handle_t *bell) {
  free(bell->data);
}


void system_close(loop *l) {
  if (l->system_names != NULL)
    uv_close((uv_handle_t *)&l->system_names->bell, on_place_closed);
  l->system_names = NULL;
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


int system_ask(inquiry *q) {
  int status = open_place(q->loop);
  if (status < 0)
    return status;
  request *r = memory_new(sizeof *r);
  r->inquiry = q;
  r->loop = q->loop;
  r->name = memory_text(q->name, strlen(q->name));
  r->family = q->family;
  status = enter(r);
  if (status < 0)
    free_request(r);
  else
    q->work = r;
  return status;
}


/* Its place is the next one's; if there is no thread for him now, one that ends
 * takes him. */
static void leave_place(request *r) {
  abreast--;
  r->inquiry = NULL;
  if (waiting.first != NULL && has_place() && run(waiting.first) == 0)
    take_first(&waiting);
}


void system_forget(inquiry *q) {
  request *r = q->work;
  pthread_mutex_lock(&lock);
  bool running = r->state == RUNNING;
  if (running)
    leave_place(r);
  else
    take_out(r->state == WAITING ? &waiting : &r->loop->system_names->ended, r);
  pthread_mutex_unlock(&lock);
  if (!running)
    free_request(r);
}


bool system_busy(void) {
  pthread_mutex_lock(&lock);
  bool busy = threads > 0;
  pthread_mutex_unlock(&lock);
  return busy;
}
