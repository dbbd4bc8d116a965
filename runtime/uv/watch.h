/*
** Interest in descriptors: the epoll of a loop, and who is told of its events.
*/

#ifndef UV_WATCH_H
#define UV_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
typedef struct watch watch;

/* Interest in a descriptor.  Embedded in what it serves. */
struct watch {
  int fd;
  unsigned events : 8; /* what epoll was asked for; 0: not in the epoll */
  unsigned birth : 24; /* what tells it from others on this descriptor */
  void (*ready)(watch *w, uint32_t events); /* EPOLLIN, EPOLLOUT, ... */
};

/* The watch of a descriptor, or NULL. */
watch *watch_of(const struct loop *l, int fd);

/* Ask for events on w->fd (0: none).  Level-triggered.  0 or -errno. */
int watch_set(struct loop *l, watch *w, uint32_t events);

/* The same, of a watch in the epoll whose descriptor others may have closed: false
 * if what has its number now is not what was watched. */
bool watch_again(struct loop *l, watch *w, uint32_t events);

/* Forget w before its descriptor is closed: no event of the current batch
 * reaches it any more.  Its memory must outlive that batch (round_later). */
void watch_drop(struct loop *l, watch *w);

/* The same, when the descriptor is closed next.  That takes it out of the epoll
 * too, without a system call, unless it lives on elsewhere. */
void watch_forget(struct loop *l, watch *w);

/* For the loop: tell of the n events of a batch, and run what that woke; before
 * that, if there is a doubt, see whether they are all ours; and the end. */
void watch_deliver(struct loop *l, int n);
void watch_look_closely(struct loop *l, int n);
void watch_free_pages(struct loop *l);

#endif
