/*
** The timer counts processor time of its thread.  So it wakes nobody who sleeps, and
** interrupts no system call that waits.
*/

#include "uv/sampling.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "sched/profile.h"
#include "uv/loop.h"
#include "uv/station.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { SECOND = 1000000000 };

/* Of this thread. */
static _Thread_local host *volatile sampled;
static _Thread_local timer_t timer;


/* The timer's own only: profile_sample is for what runs in this thread. */
bool sampling_hears(int n, const siginfo_t *info) {
  host *h = sampled;
  if (n != SIGPROF || info->si_code != SI_TIMER)
    return false;
  if (h != NULL)
    profile_sample(h, 1 + (size_t)info->si_overrun);
  return true;
}


static void on_sample(int n, siginfo_t *info, void *context) {
  int kept = errno;
  (void)context;
  sampling_hears(n, info);
  errno = kept;
}


static int start(host *h, unsigned rate) {
  struct sigevent how = {.sigev_notify = SIGEV_THREAD_ID,
                         .sigev_signo = SIGPROF};
  struct itimerspec when = {.it_interval = {.tv_nsec = SECOND / (long)rate},
                            .it_value = {.tv_nsec = SECOND / (long)rate}};
  how.sigev_notify_thread_id = gettid();
  if ((station.taken & signal_bit(SIGPROF)) != 0)
    return -EBUSY; /* the script's */
  int status = station_set(SIGPROF, on_sample);
  if (status < 0)
    return status;
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &how, &timer) < 0)
    return -errno;
  sampled = h;
  timer_settime(timer, 0, &when, NULL);
  return 0;
}


/* Behind timer_delete no signal of it comes any more; the handler stays, for who knows
 * better. */
static void stop(const host *h) {
  if (sampled != h)
    return;
  timer_delete(timer);
  sampled = NULL;
}


int sampling_set(void *w, unsigned rate) {
  host *h = ((loop *)w)->host;
  if (rate == 0 || sampled != NULL) {
    bool ours = rate == 0;
    if (ours)
      stop(h);
    return ours ? 0 : -EBUSY;
  }
  return start(h, rate);
}
