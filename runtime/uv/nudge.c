#include "uv/nudge.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sched/task.h"
#include "sched/watchdog.h"
#include "sched/world.h"
#include "uv/note.h"
#include "uv/station.h"

/* Not one of those of uv/signal.c and uv/thread.c. */
#define SIGNUDGE (SIGRTMIN + 7)
#define SIGLOOK (SIGRTMIN + 9) /* ends no system call */

/* Before the first nudge, and between two, in ns: longer than what sched/preempt.c
 * gives a task that computes. */
#define AT_ONCE (1 * 1000 * 1000)
#define PAUSE (50 * 1000 * 1000)

enum { SECOND = 1000 * 1000 * 1000 };

enum { NO_TIMER = -1 };

/* Of this thread: whose Lua runs in it, and its timers. */
static _Thread_local host *volatile here;
static _Thread_local volatile int timer = NO_TIMER;
static _Thread_local volatile int reminder_timer = NO_TIMER;
static _Thread_local volatile int alarms[WORLD_ALARMS] = {NO_TIMER, NO_TIMER};

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
  here->nudged = false;
}


static void start(uint64_t first);


static void nudge(const void *context) {
  bool meant = here->preempt_due || here->held;
  (void)context;
  if (meant && sched_may_nudge(here))
    sched_preempt(here, true);
  else
    stop();
}


static void end_what_runs(const void *context) {
  (void)context;
  if (here->running == NULL)
    return;
  sched_preempt(here, true);
  if (sched_may_nudge(here))
    start(AT_ONCE);
}


static void let_prompts_in(const void *context) {
  (void)context;
  sched_visit(here);
}


/* It waits for nobody who reads stderr: that may be this thread. */
static void tell(const watchdog_words *words) {
  struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
  if (words->n == 0 || poll(&output, 1, 0) != 1 ||
      (output.revents & POLLOUT) == 0)
    return;
  ssize_t told = write(STDERR_FILENO, words->text, words->n);
  (void)told;
}


static void watch_over(const void *context) {
  watchdog_words words;
  bool goes_on = sched_reminded(here, note_is_still(context), &words);
  tell(&words);
  if (!goes_on)
    station_die(SIGABRT);
}


/* What timers there are.  What begins to run later is met by the next ring of those
 * that ring again, and by a visit. */
typedef struct kind {
  clockid_t clock;
  bool restarts;                     /* the system call in which it rings */
  part pause;                        /* from ring to ring; 0: there is one */
  void (*ring)(const void *context); /* the handler's */
} kind;

static const kind nudges = {CLOCK_MONOTONIC, false, PAUSE, nudge};

static const kind reminders = {CLOCK_MONOTONIC, true, 0, watch_over};

static const kind kinds[WORLD_ALARMS] = {
    [WORLD_TOO_LONG] = {CLOCK_MONOTONIC, false, PAUSE, end_what_runs},
    [WORLD_COMPUTES] = {CLOCK_THREAD_CPUTIME_ID, true, 0, let_prompts_in},
};


static void on_timer(int n, siginfo_t *info, void *context) {
  int kept = errno;
  const kind *k = info->si_value.sival_ptr;
  (void)n;
  if (here != NULL && info->si_code == SI_TIMER)
    k->ring(context);
  errno = kept;
}


/* Callable from a handler: a timer is had from the kernel, in which only this
 * thread is meant. */
static int new_timer(const kind *k) {
  struct sigaction action = {.sa_sigaction = on_timer,
                             .sa_flags =
                                 SA_SIGINFO | (k->restarts ? SA_RESTART : 0)};
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                           .sigev_signo = k->restarts ? SIGLOOK : SIGNUDGE};
  int made = NO_TIMER;
  event.sigev_value.sival_ptr = (void *)k;
  event._sigev_un._tid = gettid();
  sigfillset(&action.sa_mask);
  if (sigaction(event.sigev_signo, &action, NULL) == 0)
    syscall(SYS_timer_create, k->clock, &event, &made);
  return made;
}


static void start(uint64_t first) {
  if (timer == NO_TIMER)
    timer = new_timer(&nudges);
  here->nudged = true;
  set_timer(timer, first, PAUSE);
}


void nudge_home(host *h) {
  here = h;
}


static void delete_timer(volatile int *which) {
  if (*which != NO_TIMER)
    syscall(SYS_timer_delete, *which);
  *which = NO_TIMER;
}


void nudge_leave(host *h) {
  if (here != h)
    return;
  here = NULL;
  h->nudged = false;
  delete_timer(&timer);
  delete_timer(&reminder_timer);
  for (int i = 0; i < WORLD_ALARMS; i++)
    delete_timer(&alarms[i]);
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


static void set_kind(volatile int *t, const kind *k, uint64_t ns) {
  sigset_t before = block();
  if (*t == NO_TIMER && ns != NEVER)
    *t = new_timer(k);
  if (*t != NO_TIMER && ns == NEVER)
    set_timer(*t, 0, 0);
  else if (*t != NO_TIMER)
    set_timer(*t, ns > 0 ? ns : 1, k->pause);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}


void nudge_alarm(void *w, enum world_alarm which, uint64_t ns) {
  if (here != NULL && here->outside == w)
    set_kind(&alarms[which], &kinds[which], ns);
}


int nudge_remind(void *w, uint64_t ns) {
  if (here == NULL || here->outside != w)
    return -EBUSY;
  set_kind(&reminder_timer, &reminders, ns);
  return reminder_timer != NO_TIMER ? 0 : -EAGAIN;
}
