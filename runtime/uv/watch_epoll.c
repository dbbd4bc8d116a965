/*
** Watches, and how events find them.
**
** An event names its watch by descriptor and birth, not by address, so one that
** comes late finds nobody.  For the kernel forgets a descriptor only when the
** last copy of it is closed: while a child has one, or a process that it was
** passed to, or one that took it (pidfd_getfd(2)), our epoll goes on to tell of
** what we have closed.  Nobody can know of all the copies, so nothing here
** depends on it: such an event is ignored, and as it would come again for ever,
** a fresh epoll takes the place of the one that remembers (renew).
*/

#include "uv/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/round.h"
#include "uv/foreign.h"
#include "uv/loop.h"
#include "uv/owned.h"
#include "uv/socket.h"

/* Watches are kept by descriptor, so many a page. */
enum { PAGE = 512 };


static uint64_t name_of(const watch *w) {
  return (uint64_t)w->birth << 32 | (uint32_t)w->fd;
}


/* Where the watch of a descriptor is kept, or NULL. */
static watch **place_of(const loop *l, uint32_t fd) {
  uint32_t page = fd / PAGE;
  bool is_there = page < l->page_count && l->pages[page] != NULL;
  return is_there ? &l->pages[page][fd % PAGE] : NULL;
}


watch *watch_of(const loop *l, int fd) {
  watch **place = place_of(l, (uint32_t)fd);
  return place != NULL ? *place : NULL;
}


/* The watch of an event, or NULL. */
static watch *find(const loop *l, const struct epoll_event *e) {
  watch **place = place_of(l, (uint32_t)e->data.u64);
  watch *w = place != NULL ? *place : NULL;
  return w != NULL && name_of(w) == e->data.u64 ? w : NULL;
}


static void enter(loop *l, watch *w) {
  unsigned page = (unsigned)w->fd / PAGE;
  if (page >= l->page_count) {
    l->pages = memory_grow(l->pages, (page + 1) * sizeof *l->pages);
    while (l->page_count <= page)
      l->pages[l->page_count++] = NULL;
  }
  if (l->pages[page] == NULL)
    l->pages[page] = memory_new(PAGE * sizeof(watch *));
  *place_of(l, (uint32_t)w->fd) = w;
}


static void remove_watch(loop *l, watch *w) {
  if (w->events != 0)
    *place_of(l, (uint32_t)w->fd) = NULL;
  w->events = 0;
}


void watch_free_pages(loop *l) {
  for (unsigned i = 0; i < l->page_count; i++)
    free(l->pages[i]);
  free(l->pages);
}


static int control(loop *l, int op, watch *w, uint32_t events) {
  struct epoll_event e = {.events = events, .data.u64 = name_of(w)};
  return epoll_ctl(l->epoll, op, w->fd, &e) == 0 ? 0 : -errno;
}


/* The kernel's view may differ from ours where a descriptor was closed or
 * duplicated by others: then the other operation is the right one. */
static int ask(loop *l, watch *w, uint32_t events) {
  int op = w->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (w->events == 0)
    w->birth = ++l->births;
  int status = control(l, op, w, events);
  if (status == -EEXIST)
    return control(l, EPOLL_CTL_MOD, w, events);
  if (status == -ENOENT)
    return control(l, EPOLL_CTL_ADD, w, events);
  return status;
}


int watch_set(loop *l, watch *w, uint32_t events) {
  if (events == w->events)
    return 0;
  if (events == 0) {
    watch_drop(l, w);
    return 0;
  }
  int status = ask(l, w, events);
  if (status == 0) {
    enter(l, w);
    w->events = (uint8_t)events;
  }
  return status;
}


bool watch_again(loop *l, watch *w, uint32_t events) {
  if (control(l, EPOLL_CTL_MOD, w, events) < 0)
    return false;
  w->events = (uint8_t)events;
  return true;
}


void watch_drop(loop *l, watch *w) {
  if (w->events != 0)
    control(l, EPOLL_CTL_DEL, w, 0); /* fails only if it is not there */
  remove_watch(l, w);
}


void watch_forget(loop *l, watch *w) {
  if (l->cautious)
    watch_drop(l, w);
  else
    remove_watch(l, w);
}


/* Whose watch was dropped earlier in this batch is no cause for doubt, but that
 * the next batch will tell. */
static void deliver(loop *l, const struct epoll_event *e) {
  watch *w = find(l, e);
  if (w != NULL)
    w->ready(w, e->events);
  else
    l->doubt = true;
}


void watch_deliver(loop *l, int n) {
  for (int i = 0; i < n; i++)
    deliver(l, &l->events[i]);
  if (n > 0)
    round_run(l->host);
}


static bool enter_all(loop *l) {
  for (uint32_t fd = 0; fd < l->page_count * PAGE; fd++) {
    watch *w = watch_of(l, (int)fd);
    if (w != NULL && control(l, EPOLL_CTL_ADD, w, w->events) < 0)
      return false;
  }
  return true;
}


/* Only the epoll knows what others have closed. */
static void leave_out_gone(loop *l) {
  for (uint32_t fd = 0; fd < l->page_count * PAGE; fd++) {
    watch *w = watch_of(l, (int)fd);
    if (w != NULL && foreign_is(w) && !watch_again(l, w, w->events))
      foreign_gone(l, w);
  }
}


/* An epoll that knows our watches only.  If there can't be one now, there may
 * be at the next such event. */
static void renew(loop *l) {
  int before = l->epoll;
  int fresh = epoll_create1(EPOLL_CLOEXEC);
  if (fresh < 0)
    return;
  owned_add(fresh);
  leave_out_gone(l);
  l->epoll = fresh;
  if (enter_all(l)) {
    owned_close(before, -1);
  } else {
    owned_close(fresh, -1);
    l->epoll = before;
  }
}


/* Nothing was dropped since the kernel gave these events, so one that belongs to
 * nobody is of a descriptor which lives on elsewhere. */
void watch_look_closely(loop *l, int n) {
  bool strange = false;
  if (!l->doubt || n <= 0)
    return;
  for (int i = 0; i < n && !strange; i++)
    strange = find(l, &l->events[i]) == NULL;
  l->doubt = false;
  if (strange) {
    l->cautious = true;
    renew(l);
  }
}
