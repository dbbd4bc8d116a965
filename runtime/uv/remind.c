/*
** The signal is one that restarts what it interrupts, and comes to the thread that has
** asked for it.
*/

#include "uv/remind.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "sched/watchdog.h"
#include "sched/world.h"
#include "uv/loop.h"
#include "uv/note.h"
#include "uv/station.h"
#include "uv/terminal.h"

/* Not one of those of uv/nudge.c and uv/thread.c. */
#define SIGREMIND (SIGRTMIN + 9)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { SECOND = 1000 * 1000 * 1000 };

/* Of this thread. */
static _Thread_local host *volatile reminded;
static _Thread_local timer_t timer;


/* It waits for nobody who reads stderr: that may be this thread. */
static void tell(const watchdog_words *words) {
  struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
  if (words->n == 0 || poll(&output, 1, 0) != 1 ||
      (output.revents & POLLOUT) == 0)
    return;
  ssize_t told = write(STDERR_FILENO, words->text, words->n);
  (void)told;
}


static void on_remind(int n, siginfo_t *info, void *context) {
  int kept = errno;
  host *h = reminded;
  watchdog_words words;
  (void)n, (void)info;
  if (h == NULL)
    return;
  bool goes_on = sched_reminded(h, note_is_still(context), &words);
  tell(&words);
  errno = kept;
  if (goes_on)
    return;
  terminal_restore();
  station_die(SIGABRT);
}


static int make(host *h) {
  struct sigaction action = {.sa_sigaction = on_remind,
                             .sa_flags = SA_RESTART | SA_SIGINFO};
  struct sigevent how = {.sigev_notify = SIGEV_THREAD_ID,
                         .sigev_signo = SIGREMIND};
  how.sigev_notify_thread_id = gettid();
  sigfillset(&action.sa_mask);
  if (sigaction(SIGREMIND, &action, NULL) < 0 ||
      timer_create(CLOCK_MONOTONIC, &how, &timer) < 0)
    return -errno;
  reminded = h;
  return 0;
}


/* Of several hosts in a thread it is the first one's. */
int remind_set(void *w, uint64_t ns) {
  host *h = ((loop *)w)->host;
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(ns / SECOND),
                                         .tv_nsec = (long)(ns % SECOND)}};
  if (reminded == NULL && ns == NEVER)
    return 0;
  int status = reminded == NULL ? make(h) : 0;
  if (status < 0 || reminded != h)
    return status < 0 ? status : -EBUSY;
  if (ns == NEVER)
    when = (struct itimerspec){0};
  else if (ns == 0)
    when.it_value.tv_nsec = 1;
  return timer_settime(timer, 0, &when, NULL) < 0 ? -errno : 0;
}


void remind_leave(host *h) {
  if (reminded != h)
    return;
  reminded = NULL;
  timer_delete(timer);
}
