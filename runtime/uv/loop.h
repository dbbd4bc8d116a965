/*
** The loop of a host: descriptors by an epoll of our own, everything else by
** libuv, whose backend descriptor is one more descriptor in that epoll.
**
** Sockets do not go through uv_poll_t or uv_tcp_t: uv_poll_init and
** uv_poll_start cost five system calls a connection and two a change of
** interest, uv__io_poll aborts the process when epoll_ctl fails, and splice or
** an own accept need the bare descriptor.  What other threads send is libuv's.  Nothing here uses its pool of threads: it aborts
** where it cannot have them.
*/

#ifndef UV_LOOP_H
#define UV_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

#include "host/heap.h"
#include "host/host.h"
#include "sched/world.h"
#include "uv/watch.h"

struct epoll_event;

enum { LOOP_BATCH = 256 };

typedef struct loop loop;

/* How its time goes, in ticks: struct load of sched/world.h. */
typedef struct loop_time {
  uint64_t woke; /* the last wait ended then */
  uint64_t busy, longest[LOAD_READERS];
  uint64_t born, born_ns; /* when the loop was opened, and that in ns */
} loop_time;

struct loop {
  host *host;
  uv_loop_t uv;
  uv_prepare_t anchor; /* does nothing; without an active handle that is
                          referenced uv_run would do nothing either */
  int epoll;
  bool touched;   /* libuv has news: run it before the next wait */
  bool coarse;    /* the kernel has no epoll_pwait2 */
  bool doubt;     /* an event of the last batch had no watch */
  bool cautious;  /* descriptors do live on elsewhere: watch_forget */
  uint32_t turn;  /* counts the batches */
  watch uv_watch; /* libuv's own backend descriptor */
  watch ***pages; /* what is in the epoll, by descriptor */
  unsigned page_count;
  unsigned births;  /* the last watch.birth given */
  heap timers;      /* calls due at a time: timer.c */
  unsigned threads; /* that run for this host */
  uv_async_t *bell; /* for other threads to ring; NULL: not hung */
  void (*rang)(host *h);
  struct branch *branch;      /* station.h; NULL: it waits for no signals */
  pthread_t home;             /* the thread that hung it */
  atomic_bool gently;         /* as it was preempted last */
  struct epoll_event *events; /* LOOP_BATCH of them */
  struct child *children;     /* process.c's */
  struct recv_ring
      *recv_ring; /* what messages are read into; NULL: not yet used */
  struct resolving
      *resolving; /* resolve.c's; NULL: not yet used, as the next */
  struct system_names *system_names; /* getaddrinfo.c's */
  struct dns *dns;                   /* dns.c's */
  loop_time time;
};

static inline loop *loop_of(host *h) {
  return h->outside;
}

/* Call after every libuv function that starts, stops or closes something. */
void loop_touch(loop *l);

/* The ready of uv_watch. */
void loop_on_uv(watch *w, uint32_t events);

/* For the world (sched/world.h): fill host.outside, 0 or -errno. */
int loop_open(host *h);
uint64_t loop_poll(void *w, uint64_t deadline);
void loop_load(void *w, enum load_reader who, struct load *out);
void loop_close(host *h);

#endif
