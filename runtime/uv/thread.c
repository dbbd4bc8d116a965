#include "uv/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "host/memory.h"
#include "sched/drain.h"
#include "sched/task.h"
#include "sched/world.h"
#include "uv/note.h"
#include "uv/nudge.h"

/* Lua's nesting of C calls needs half a MiB (200 levels), and C modules may
 * want as much as a program's main thread has. */
enum { STACK = 8 * 1024 * 1024 };

typedef struct thread {
  pthread_t id;
  uv_async_t ended; /* sent by the thread's last instruction */
  loop *loop;       /* of the host that started it */
  void (*run)(void *);
  void (*done)(void *);
  void *arg;
} thread;


static void on_thread_closed(uv_handle_t *h) {
  free(h->data);
}


static void on_ended(uv_async_t *ended) {
  thread *t = ended->data;
  pthread_join(t->id, NULL);
  t->loop->threads--;
  uv_close((uv_handle_t *)ended, on_thread_closed);
  t->done(t->arg);
}


static void *live(void *arg) {
  thread *t = arg;
  t->run(t->arg);
  uv_async_send(&t->ended);
  return NULL;
}


static int create(thread *t) {
  pthread_attr_t how;
  pthread_attr_init(&how);
  pthread_attr_setstacksize(&how, STACK);
  int error = pthread_create(&t->id, &how, live, t);
  pthread_attr_destroy(&how);
  return -error;
}


int thread_run(void *w, void (*run)(void *), void (*done)(void *), void *arg) {
  loop *l = w;
  thread *t = memory_new(sizeof *t);
  *t = (thread){.loop = l, .run = run, .done = done, .arg = arg};
  t->ended.data = t;
  int status = uv_async_init(&l->uv, &t->ended, on_ended);
  if (status < 0) {
    free(t);
    return status;
  }
  loop_touch(l);
  status = create(t);
  if (status < 0)
    uv_close((uv_handle_t *)&t->ended, on_thread_closed);
  else
    l->threads++;
  return status;
}


int thread_detach(void *(*run)(void *), void *arg) {
  enum { ENOUGH = 512 * 1024 }; /* modules of the system's (nss) run on it */
  pthread_t id;
  pthread_attr_t how;
  sigset_t all, before;
  pthread_attr_init(&how);
  pthread_attr_setstacksize(&how, ENOUGH);
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&id, &how, run, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&how);
  return -error;
}


/*
** Ringing and preempting
*/

/* By it a thread is preempted, for that must happen in the thread itself.  Not
 * one of those of uv/signal.c. */
#define SIGPREEMPT (SIGRTMIN + 8)


static _Thread_local loop *volatile own;

static void on_preempt(int n, siginfo_t *info, void *context) {
  int kept = errno;
  const loop *l = own;
  (void)n;
  bool spares =
      l != NULL && atomic_load(&l->gently) && sched_may_drain(l->host);
  if (info->si_code != SI_QUEUE)
    nudge_press(!spares);
  else if (l != NULL) {
    note_answer(l->host, context);
    sched_visit(l->host);
  }
  errno = kept;
}


static int catch_preempt(void) {
  struct sigaction action = {.sa_sigaction = on_preempt,
                             .sa_flags = SA_RESTART | SA_SIGINFO};
  sigfillset(&action.sa_mask);
  return sigaction(SIGPREEMPT, &action, NULL) < 0 ? -errno : 0;
}


void thread_hear(loop *l) {
  note_forget();
  if (l->bell != NULL)
    l->rang(l->host);
}


/* What is to be heard is heard here: no need to look at what runs next. */
static void on_rung(uv_async_t *bell) {
  loop *l = bell->data;
  sched_heard(l->host);
  l->host->world->hear(l);
}


static void on_bell_closed(uv_handle_t *bell) {
  free(bell);
}


int thread_bell(void *w, void (*rang)(host *h)) {
  loop *l = w;
  uv_async_t *bell = memory_new(sizeof *bell);
  int status = catch_preempt();
  if (status == 0)
    status = uv_async_init(&l->uv, bell, on_rung);
  if (status < 0) {
    free(bell);
    return status;
  }
  bell->data = l;
  l->rang = rang;
  l->bell = bell;
  l->home = pthread_self();
  own = l;
  nudge_home(l->host);
  loop_touch(l);
  return 0;
}


void thread_ring(void *w) {
  uv_async_send(((loop *)w)->bell);
}


/* In this order, what was waiting hears the ring before anything runs that the
 * signal would have looked at. */
void thread_preempt(void *w, bool gently) {
  loop *l = w;
  atomic_store(&l->gently, gently);
  pthread_kill(l->home, SIGPREEMPT);
  thread_ring(l);
}


void thread_visit(void *w) {
  loop *l = w;
  pthread_sigqueue(l->home, SIGPREEMPT, (union sigval){0});
  thread_ring(l);
}


void thread_close(loop *l) {
  if (l->bell == NULL)
    return;
  own = NULL;
  note_forget();
  uv_close((uv_handle_t *)l->bell, on_bell_closed);
  l->bell = NULL;
}
