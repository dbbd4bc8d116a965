/*
** Descriptors that are not ours: those of C libraries, which tasks wait for.
**
** One is in our epoll while somebody waits for it, with one watch for all who do,
** which is found by the descriptor where the loop keeps all watches.
**
** Its owner may close it meanwhile, without a word: the epoll forgets it, and the
** number is another's next, of ours or of theirs.  So the watch is not believed to be
** of what has its number now, before the epoll says so (watch_again); and where a
** socket of ours has taken its place in the loop it touches nothing.
*/

#include "uv/foreign.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "host/memory.h"
#include "uv/owned.h"

typedef struct foreign {
  watch watch; /* first: it is how ready finds this */
  loop *loop;
  attention *first;
} foreign;


/* These are also poll's. */
static uint32_t as_epoll(unsigned events) {
  return ((events & READABLE) != 0 ? (uint32_t)EPOLLIN : 0) |
         ((events & WRITABLE) != 0 ? (uint32_t)EPOLLOUT : 0);
}


static unsigned from_epoll(uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0)
    return READABLE | WRITABLE;
  return ((events & EPOLLIN) != 0 ? (unsigned)READABLE : 0) |
         ((events & EPOLLOUT) != 0 ? (unsigned)WRITABLE : 0);
}


/* The loop has one watch only of each descriptor. */
static bool is_in_place(const loop *l, const watch *w) {
  return watch_of(l, w->fd) == w;
}


static void ready(watch *w, uint32_t events) {
  foreign *f = (foreign *)w;
  if (f->loop->host->quiet)
    watch_drop(f->loop, w);
  for (attention *a = f->first; a != NULL; a = a->next) {
    unsigned here = from_epoll(events) & a->events;
    if (here != 0)
      a->done(a, (int)here);
  }
}


bool foreign_is(const watch *w) {
  return w->ready == ready;
}


void foreign_gone(loop *l, watch *w) {
  foreign *f = (foreign *)w;
  for (attention *a = f->first; a != NULL; a = a->next) {
    a->watched = NULL;
    a->done(a, -EBADF);
  }
  watch_drop(l, w);
  free(f);
}


/*
** A look
*/

int foreign_look(host *h, int fd, unsigned events) {
  struct pollfd p = {.fd = fd, .events = (short)as_epoll(events)};
  (void)h;
  if (owned_has(fd))
    return -EBUSY;
  if (poll(&p, 1, 0) < 0)
    return errno == EINTR ? 0 : -errno;
  if ((p.revents & POLLNVAL) != 0)
    return -EBADF;
  return (int)(from_epoll((uint32_t)p.revents) & events);
}


/*
** Waiting
*/

static uint32_t wanted(const foreign *f) {
  unsigned events = 0;
  for (const attention *a = f->first; a != NULL; a = a->next)
    events |= a->events;
  return as_epoll(events);
}


/* The one that is there, which has more to watch for now; or NULL. */
static foreign *join(loop *l, attention *a) {
  watch *w = watch_of(l, a->fd);
  if (w == NULL || !foreign_is(w))
    return NULL;
  if (watch_again(l, w, w->events | as_epoll(a->events)))
    return (foreign *)w;
  foreign_gone(l, w);
  return NULL;
}


static foreign *begin(loop *l, const attention *a, int *status) {
  foreign *f = memory_new(sizeof *f);
  f->watch = (watch){.fd = a->fd, .ready = ready};
  f->loop = l;
  *status = watch_set(l, &f->watch, as_epoll(a->events));
  if (*status == 0)
    return f;
  free(f);
  return NULL;
}


int foreign_attend(host *h, attention *a) {
  loop *l = loop_of(h);
  int status = 0;
  foreign *f = join(l, a);
  if (f == NULL)
    f = begin(l, a, &status);
  if (f != NULL) {
    a->next = f->first;
    f->first = a;
  }
  a->watched = f;
  return status;
}


static void remove_from(foreign *f, const attention *a) {
  attention **at = &f->first;
  while (*at != a)
    at = &(*at)->next;
  *at = a->next;
}


void foreign_unattend(host *h, attention *a) {
  loop *l = loop_of(h);
  foreign *f = a->watched;
  a->watched = NULL;
  if (f == NULL)
    return;
  remove_from(f, a);
  bool in_place = is_in_place(l, &f->watch);
  if (f->first == NULL) {
    if (in_place)
      watch_drop(l, &f->watch);
    free(f);
  } else if (in_place && wanted(f) != f->watch.events &&
             !watch_again(l, &f->watch, wanted(f))) {
    foreign_gone(l, &f->watch);
  }
}
