#include "uv/nudge.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/task.h"

/* Not one of those of uv/signal.c and uv/thread.c. */
#define SIGNUDGE (SIGRTMIN + 7)

/* Before the first nudge, and between two, in ns: longer than what sched/press.c
 * gives a task that computes. */
#define AT_ONCE (1 * 1000 * 1000)
#define PAUSE (50 * 1000 * 1000)

enum { NO_TIMER = -1 };

/* Of this thread: whose Lua runs in it, its timer, and whether that runs. */
static _Thread_local host *volatile here;
static _Thread_local volatile int timer = NO_TIMER;
static _Thread_local volatile sig_atomic_t nudging;


static void set_timer(long first, long pause) {
  struct itimerspec times = {{0, pause}, {0, first}};
  syscall(SYS_timer_settime, timer, 0, &times, NULL);
}


static void stop(void) {
  if (nudging)
    set_timer(0, 0);
  nudging = false;
}


/* Another task may run by now, which is not meant. */
static void on_nudge(int n) {
  int kept = errno;
  (void)n;
  if (here == NULL || !(here->pressed || here->held))
    stop();
  else
    sched_press(here);
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
  nudging = true;
  set_timer(first, PAUSE);
}


void nudge_home(host *h) {
  here = h;
}


void nudge_leave(host *h) {
  if (here != h)
    return;
  stop();
  here = NULL;
  if (timer != NO_TIMER)
    syscall(SYS_timer_delete, timer);
  timer = NO_TIMER;
}


void nudge_press(bool interrupts) {
  if (here == NULL)
    return;
  sched_press(here);
  if (interrupts && !sched_is_shielded(here))
    start(AT_ONCE);
}


void nudge_begin(void *w) {
  (void)w;
  if (here != NULL)
    start(PAUSE);
}


void nudge_end(void *w) {
  (void)w;
  stop();
}
