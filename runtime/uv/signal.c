/*
** Signals, by handlers of our own.
**
** The handler only sets the signal's bit and makes an eventfd readable; the owner's
** loop then takes all bits at once.  A burst so becomes one, and the last of it is
** never lost.
**
** A signal goes to each watch that wants it.  If there is none, SIGINT and
** SIGTERM cancel the host's root scope, and a second of them ends the process
** from inside the handler, so that it works while Lua is in an endless loop.
** Any other stays noted for the next watch.
**
** While they end the program, or what the prompt runs, these two interrupt system
** calls, too (uv/nudge.h): a task that blocks in C (io.read) gets an error, and
** sched/preempt.c raises the cancellation in its place.
**
** Who is ended by a signal dies of it in the end, having closed everything: so
** a parent can tell.
**
** SIGATTACH, a realtime signal, asks for a place to attach to (lua/neap/repl/attach.lua).
**
** SIGPIPE ends the process when print or io wrote to a standard output that
** nobody reads any more, as it ends other programs in a pipeline.  A stream's
** write gives EPIPE instead.
*/

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net/round.h"
#include "sched/drain.h"
#include "sched/task.h"
#include "uv/note.h"
#include "uv/nudge.h"
#include "uv/orphans.h"
#include "uv/owned.h"
#include "uv/process.h"
#include "uv/quiet.h"
#include "uv/sampling.h"
#include "uv/station.h"
#include "uv/terminal.h"
#include "uv/world.h"

enum { NANOSECONDS = 1000000000 };

/* Between two signals behind the end of a drain. */
enum { INSISTING = 1 /* s */ };

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* What the handler touches besides. */
static atomic_bool asked;      /* one that ends the program has come */
static atomic_uint unheard;    /* SIGINTs since the last delivery */
static atomic_uint overdue;    /* signals since a drain took too long */
static atomic_int bell = -1;   /* the eventfd */
static pthread_t keeper;       /* the owner's thread ... */
static atomic_bool has_keeper; /* if there is one */
static _Thread_local volatile sig_atomic_t quiet; /* a stream writes */
static _Thread_local volatile sig_atomic_t home;  /* the owner's thread */

struct station station = {.lock = PTHREAD_MUTEX_INITIALIZER};


/*
** The end
*/

static int fatal; /* the signal that ended the program, or 0 */


void station_die(int n) {
  sigset_t one;
  terminal_restore();
  signal(n, SIG_DFL);
  sigemptyset(&one);
  sigaddset(&one, n);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  raise(n);
  _exit(128 + n);
}


static void on_exit_of_process(void) {
  if (fatal == 0)
    return;
  fflush(NULL);
  station_die(fatal);
}


void uv_world_exit(int status, bool now) {
  if (status < 0)
    fatal = -status;
  if (!now)
    exit(status < 0 ? 128 - status : status);
  on_exit_of_process();
  _exit(status);
}


/*
** Handlers
*/

/* At the prompt SIGINT ends what runs.  If that cannot be ended (preempt.c), say
 * so, and then end the process. */
static void on_impatience(void) {
  static const char text[] =
      "\nneap: what runs now cannot be stopped; ^C once more ends neap\n";
  unsigned before = atomic_fetch_add(&unheard, 1);
  if (before == 1) {
    ssize_t told = write(STDERR_FILENO, text, sizeof text - 1);
    (void)told;
  } else if (before >= 2) {
    station_die(SIGINT);
  }
}


/* Does it end what runs: the program, or at the prompt what that runs? */
static bool interrupts(int n) {
  const host *h = station.owner;
  bool drains = h->drain > 0 && sched_may_drain(h);
  return ((atomic_load(&station.ending) & signal_bit(n)) != 0 && !drains) ||
         (n == SIGINT && sched_is_prompt(h));
}


/* The kernel may choose any thread; the owner's may block.  Values go along. */
static bool is_forwarded(int n, const siginfo_t *info) {
  if (home || !atomic_load(&has_keeper))
    return false;
  if (info->si_code == SI_QUEUE)
    return pthread_sigqueue(keeper, n, info->si_value) == 0;
  return pthread_kill(keeper, n) == 0;
}


/* An attached prompt's ^C, or its death while an input runs. */
static bool is_impatient(int n, const siginfo_t *info) {
  bool is_knock =
      info->si_code == SI_QUEUE && note_knock(info) == KNOCK_INTERRUPT;
  return n == SIGATTACH && (is_knock || info->si_code == POLL_HUP);
}


/* Somebody wants to look into the process. */
static bool is_visit(int n, const siginfo_t *info) {
  return n == SIGATTACH && !is_impatient(n, info);
}


/* Something else moves at a guarded connection (terminal.c): the loop sees it. */
static bool is_motion(int n, const siginfo_t *info) {
  return n == SIGATTACH && info->si_code > 0 && info->si_code != POLL_HUP;
}


void station_ring(void) {
  uint64_t one = 1;
  ssize_t told = write(atomic_load(&bell), &one, sizeof one);
  (void)told; /* it fails only when it rings already, or no more */
}


void station_on_signal(int n, siginfo_t *info, void *context) {
  int kept = errno;
  if (sampling_hears(n, info) || is_motion(n, info) ||
      is_forwarded(n, info)) /* none sets errno */
    return;
  bool ends = (atomic_load(&station.ending) & signal_bit(n)) != 0;
  bool late = info->si_code == SI_TIMER; /* see time_drain */
  atomic_fetch_add(&overdue, late);
  if (ends && !late && atomic_exchange(&asked, true)) {
    station_die(n);
  }
  atomic_fetch_or(&station.noted, signal_bit(n));
  if (home && (n == SIGINT || n == SIGTERM || is_impatient(n, info)))
    nudge_press(interrupts(n));
  if (home && is_visit(n, info)) {
    note_ask(info);
    note_answer(station.owner, context);
    sched_visit(station.owner);
  }
  if (home && n == SIGINT && sched_is_prompt(station.owner))
    on_impatience();
  station_ring();
  errno = kept;
}


static bool is_output_gone(void) {
  struct pollfd output = {.fd = STDOUT_FILENO};
  return poll(&output, 1, 0) == 1 &&
         (output.revents & (POLLERR | POLLHUP)) != 0;
}


/* An ignored SIGPIPE would stay so in children; a handled one does not.  What
 * is raised here comes when the handler has returned. */
void station_on_pipe(int n, siginfo_t *info, void *context) {
  int kept = errno;
  (void)info, (void)context;
  if (!quiet && is_output_gone()) {
    signal(n, SIG_DFL);
    raise(n);
  }
  errno = kept;
}


void signals_quiet(bool on) {
  quiet = on;
}


int station_set_action(int n, struct sigaction action) {
  struct sigaction old;
  sigfillset(&action.sa_mask);
  pthread_mutex_lock(&station.lock);
  int status = sigaction(n, &action, &old) < 0 ? -errno : 0;
  if (status == 0 && (station.ours & signal_bit(n)) == 0) {
    station.before[n - 1] = old;
    station.ours |= signal_bit(n);
  }
  pthread_mutex_unlock(&station.lock);
  return status;
}


int station_set(int n, station_handler *f) {
  return station_set_action(
      n, (struct sigaction){.sa_sigaction = f,
                            .sa_flags = SA_RESTART | SA_SIGINFO});
}


/* When the drain takes too long the signal comes once more, which ends also what
 * computes; and again and again, for what swallows that. */
static bool time_drain(const host *h, int n) {
  struct sigevent how = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = n};
  struct itimerspec when = {
      .it_interval = {.tv_sec = INSISTING},
      .it_value = {.tv_sec = (time_t)(h->drain / NANOSECONDS),
                   .tv_nsec = (long)(h->drain % NANOSECONDS)}};
  how.sigev_notify_thread_id = gettid();
  station.timed = timer_create(CLOCK_MONOTONIC, &how, &station.drain) == 0;
  return station.timed && timer_settime(station.drain, 0, &when, NULL) == 0;
}


static void deliver_end(host *h, int n) {
  const char *reason = n == SIGINT ? "interrupted" : "terminated";
  if (h->ended)
    return;
  if (atomic_load(&overdue) > 1)
    sched_insist(h);
  else if (h->drain > 0 && sched_may_drain(h) && time_drain(h, n))
    sched_drain(h, -n, reason);
  else
    sched_interrupt(h, -n, reason);
}


void station_unwatched(host *h, int n) {
  if ((station.ends & signal_bit(n)) != 0)
    deliver_end(h, n);
  else
    atomic_fetch_or(&station.missed, signal_bit(n));
}


static void deliver(host *h, int n) {
  if (n == SIGINT && sched_preempt_foreground(h))
    atomic_store(&asked, false);
  else if (n == SIGATTACH)
    note_forget(), sched_summon(h);
  else if (n == SIGCHLD)
    orphans_reap();
  else if (!station_offer(h, n))
    station_unwatched(h, n);
  else if ((station.ends & signal_bit(n)) != 0)
    atomic_store(&asked, false);
}


static void deliver_all(host *h) {
  uint64_t bits = atomic_exchange(&station.noted, 0);
  atomic_store(&unheard, 0);
  for (int n = 1; bits != 0 && n <= SIGNALS; n++)
    if ((bits & signal_bit(n)) != 0)
      deliver(h, n);
}


static void on_bell(watch *w, uint32_t events) {
  uint64_t count;
  (void)events;
  if (read(w->fd, &count, sizeof count) < 0)
    return;
  sched_heard(station.owner);
  deliver_all(station.owner);
  round_run(station.owner);
}


void signals_hear(host *h) {
  if (station.owner == h)
    deliver_all(h);
  else
    station_hear(h);
}


static int hang_bell(host *h) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    return -errno;
  owned_add(fd);
  station.watch = (watch){.fd = fd, .ready = on_bell};
  int status = watch_set(loop_of(h), &station.watch, EPOLLIN);
  if (status < 0)
    owned_close(fd, -1);
  else
    atomic_store(&bell, fd);
  return status;
}


int station_open(host *h) {
  host *before = NULL;
  if (!atomic_compare_exchange_strong(&station.owner, &before, h))
    return before == h ? 0 : -EBUSY;
  int status = hang_bell(h);
  home = status == 0;
  if (home)
    nudge_home(h);
  keeper = pthread_self();
  atomic_store(&has_keeper, home);
  if (status < 0)
    atomic_store(&station.owner, NULL);
  return status;
}


void station_give_back(void) {
  for (int n = 1; n <= SIGNALS; n++)
    if ((station.ours & signal_bit(n)) != 0)
      sigaction(n, &station.before[n - 1], NULL);
}


/* One that came behind the last task, while what was printed went out. */
static void die_late(host *h) {
  uint64_t late = atomic_load(&station.noted) & atomic_load(&station.ending);
  for (int n = 1; late != 0 && n <= SIGNALS; n++)
    if ((late & signal_bit(n)) != 0)
      h->exit_status = -n;
}


/* What a script has taken may come until the process has ended, and must not end
 * it before. */
void signals_close(host *h) {
  if (station.owner != h) {
    station_leave(h);
    return;
  }
  uint64_t given_back = station.ours & ~station.taken;
  die_late(h);
  if (station.timed)
    timer_delete(station.drain);
  for (int n = 1; n <= SIGNALS; n++)
    if ((given_back & signal_bit(n)) != 0)
      sigaction(n, &station.before[n - 1], NULL);
  atomic_store(&bell, -1);
  atomic_store(&station.ending, 0);
  atomic_store(&station.noted, 0);
  atomic_store(&station.missed, 0);
  atomic_store(&asked, false);
  atomic_store(&overdue, 0);
  watch_drop(loop_of(h), &station.watch);
  owned_close(station.watch.fd, -1);
  station.own = (branch){0};
  station.ends = 0;
  station.ours = station.taken = 0;
  station.timed = false;
  home = 0;
  atomic_store(&has_keeper, false);
  atomic_store(&station.owner, NULL);
}


bool station_is_ignored(int n) {
  struct sigaction now;
  pthread_mutex_lock(&station.lock);
  bool ours = (station.ours & signal_bit(n)) != 0;
  if (ours)
    now = station.before[n - 1];
  pthread_mutex_unlock(&station.lock);
  return (ours || sigaction(n, NULL, &now) == 0) && now.sa_handler == SIG_IGN;
}


/* Unless it is ignored: to find that out and to set it is one system call. */
static int catch_first(int n, station_handler *f) {
  int status = station_set(n, f);
  if (status == 0 && station_is_ignored(n))
    sigaction(n, &station.before[n - 1], NULL);
  return status;
}


int uv_world_attach(host *h) {
  int status = station_open(h);
  return status < 0 ? status : station_set(SIGATTACH, station_on_signal);
}


/* The mask is inherited through execve: a parent may have left us one under
 * which no signal ends us, and no child's end is told. */
static void unblock_all(void) {
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, NULL);
}


int uv_world_signals(host *h) {
  static const int ends[] = {SIGINT, SIGTERM};
  int status = station_open(h);
  if (status == 0)
    status = atexit(on_exit_of_process) == 0 ? 0 : -ENOMEM;
  if (status == 0)
    status = catch_first(SIGPIPE, station_on_pipe);
  for (size_t i = 0; i < sizeof ends / sizeof *ends && status == 0; i++) {
    atomic_fetch_or(&station.ending, signal_bit(ends[i]));
    status = catch_first(ends[i], station_on_signal);
    if (!station_is_ignored(ends[i]))
      station.ends |= signal_bit(ends[i]);
  }
  if (status == 0 && orphans_begin())
    status = station_set(SIGCHLD, station_on_signal);
  station_update_ending();
  unblock_all();
  return status;
}
