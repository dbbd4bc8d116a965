#include "uv/nudge.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/task.h"

/* Not one of those of uv/signal.c and uv/thread.c. */
#define SIGNUDGE (SIGRTMIN + 7)

/* Before the first nudge, and between two, in ns: longer than what sched/preempt.c
 * gives a task that computes. */
#define AT_ONCE (1 * 1000 * 1000)
#define PAUSE (50 * 1000 * 1000)

enum { NO_TIMER = -1 };

/* Of this thread: whose Lua runs in it, and its timer. */
static _Thread_local host *volatile here;
static _Thread_local volatile int timer = NO_TIMER;

/* An itimerspec as the kernel's call has it: libc's may be another on 32 bit. */
#ifdef SYS_timer_settime64
enum { SET_TIME = SYS_timer_settime64 };
typedef int64_t part;
#else
enum { SET_TIME = SYS_timer_settime };
typedef long part;
#endif


static void set_timer(part first, part pause) {
  part times[] = {0, pause, 0, first};
  syscall(SET_TIME, timer, 0, times, NULL);
}


/* No handler runs during start() and stop(): all that call them block all
 * signals. */
static void stop(void) {
  set_timer(0, 0);
  if (here != NULL)
    here->nudged = false;
}


static void on_nudge(int n) {
  int kept = errno;
  (void)n;
  bool meant = here != NULL && (here->preempt_due || here->held);
  if (meant && sched_may_nudge(here))
    sched_preempt(here, true);
  else
    stop();
  errno = kept;
}


/* Callable from a handler: a timer is had from the kernel, in which only this
 * thread is meant. */
static void make_timer(void) {
  struct sigaction action = {.sa_handler = on_nudge};
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                           .sigev_signo = SIGNUDGE};
  int made = NO_TIMER;
  event._sigev_un._tid = gettid();
  sigfillset(&action.sa_mask);
  if (sigaction(SIGNUDGE, &action, NULL) == 0)
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &made);
  timer = made;
}


static void start(long first) {
  if (timer == NO_TIMER)
    make_timer();
  here->nudged = true;
  set_timer(first, PAUSE);
}


void nudge_home(host *h) {
  here = h;
}


void nudge_leave(host *h) {
  if (here != h)
    return;
  here = NULL;
  h->nudged = false;
  if (timer != NO_TIMER)
    syscall(SYS_timer_delete, timer);
  timer = NO_TIMER;
}


void nudge_press(bool interrupts) {
  if (here == NULL)
    return;
  sched_preempt(here, interrupts);
  if (interrupts && sched_may_nudge(here))
    start(AT_ONCE);
}


static sigset_t block(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  return before;
}


/* The host that a thread is home to is one of some that may live in it. */
void nudge_begin(void *w) {
  if (here == NULL || here->outside != w)
    return;
  sigset_t before = block();
  start(PAUSE);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}


void nudge_end(void *w) {
  if (here == NULL || here->outside != w)
    return;
  sigset_t before = block();
  stop();
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}
