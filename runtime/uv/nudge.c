#include "uv/nudge.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/task.h"
#include "sched/world.h"

/* Not one of those of uv/signal.c and uv/thread.c. */
#define SIGNUDGE (SIGRTMIN + 7)

/* Before the first nudge, and between two, in ns: longer than what sched/preempt.c
 * gives a task that computes. */
#define AT_ONCE (1 * 1000 * 1000)
#define PAUSE (50 * 1000 * 1000)

enum { SECOND = 1000 * 1000 * 1000 };

enum { NO_TIMER = -1 };

/* Of this thread: whose Lua runs in it, and its timers. */
static _Thread_local host *volatile here;
static _Thread_local volatile int timer = NO_TIMER;
static _Thread_local volatile int alarm_timer = NO_TIMER;

/* An itimerspec as the kernel's call has it: libc's may be another on 32 bit. */
#ifdef SYS_timer_settime64
enum { SET_TIME = SYS_timer_settime64 };
typedef int64_t part;
#else
enum { SET_TIME = SYS_timer_settime };
typedef long part;
#endif


static void set_timer(int which, uint64_t first, part pause) {
  part times[] = {0, pause, (part)(first / SECOND), (part)(first % SECOND)};
  syscall(SET_TIME, which, 0, times, NULL);
}


/* No handler runs during start() and stop(): all that call them block all
 * signals. */
static void stop(void) {
  set_timer(timer, 0, 0);
  if (here != NULL)
    here->nudged = false;
}


static void start(uint64_t first);


/* What begins to run later is met by the next one. */
static void on_alarm(void) {
  if (here == NULL || here->running == NULL)
    return;
  sched_preempt(here, true);
  if (sched_may_nudge(here))
    start(AT_ONCE);
}


static void on_nudge(int n, siginfo_t *info, void *context) {
  int kept = errno;
  (void)n, (void)context;
  if (info->si_value.sival_ptr == &alarm_timer) {
    on_alarm();
    errno = kept;
    return;
  }
  bool meant = here != NULL && (here->preempt_due || here->held);
  if (meant && sched_may_nudge(here))
    sched_preempt(here, true);
  else
    stop();
  errno = kept;
}


/* Callable from a handler: a timer is had from the kernel, in which only this
 * thread is meant. */
static int new_timer(const volatile int *which) {
  struct sigaction action = {.sa_sigaction = on_nudge, .sa_flags = SA_SIGINFO};
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                           .sigev_signo = SIGNUDGE};
  int made = NO_TIMER;
  event.sigev_value.sival_ptr = (void *)which;
  event._sigev_un._tid = gettid();
  sigfillset(&action.sa_mask);
  if (sigaction(SIGNUDGE, &action, NULL) == 0)
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &made);
  return made;
}


static void start(uint64_t first) {
  if (timer == NO_TIMER)
    timer = new_timer(&timer);
  here->nudged = true;
  set_timer(timer, first, PAUSE);
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
  if (alarm_timer != NO_TIMER)
    syscall(SYS_timer_delete, alarm_timer);
  timer = alarm_timer = NO_TIMER;
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


void nudge_alarm(void *w, uint64_t ns) {
  if (here == NULL || here->outside != w)
    return;
  sigset_t before = block();
  if (alarm_timer == NO_TIMER && ns != NEVER)
    alarm_timer = new_timer(&alarm_timer);
  if (alarm_timer != NO_TIMER)
    set_timer(alarm_timer,
              ns == NEVER ? 0
              : ns > 0    ? ns
                          : 1,
              ns == NEVER ? 0 : PAUSE);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}
