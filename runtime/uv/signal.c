/*
** Signals, by handlers of our own.
**
** What a signal does is the process's, so this is the one place with state that is
** not a host's: the station.  It belongs to one host at a time.  The handler only
** sets the signal's bit and makes an eventfd readable; the loop then takes all bits
** at once.  A burst so becomes one, and the last of it is never lost.
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
#include <unistd.h>

#include "net/round.h"
#include "sched/task.h"
#include "uv/nudge.h"
#include "uv/process.h"
#include "uv/terminal.h"
#include "uv/world.h"

enum { SIGNALS = 64 };

/* What the handler touches. */
static atomic_uint_least64_t noted;  /* come, not delivered yet */
static atomic_uint_least64_t ending; /* those that end the program */
static atomic_bool asked;            /* one of them has come */
static atomic_uint unheard;          /* SIGINTs since the last delivery */
static atomic_int bell = -1;         /* the eventfd */
static pthread_t keeper;             /* the owner's thread ... */
static atomic_bool has_keeper;       /* if there is one */
static _Thread_local volatile sig_atomic_t quiet; /* a stream writes */
static _Thread_local volatile sig_atomic_t home;  /* the owner's thread */

/* Whose the station is; the rest of it is touched by that host only. */
static _Atomic(host *) owner;

static struct station {
  watch watch; /* of the eventfd */
  subscription *list;
  uint64_t missed; /* came while nobody watched */
  uint64_t ends;   /* SIGINT and SIGTERM, where they end the program */
  uint64_t ours;   /* those that we have set */
  uint64_t taken;  /* of these, those that a watch has wanted */
  struct sigaction before[SIGNALS];
} station;


/*
** The end
*/

static int fatal; /* the signal that ended the program, or 0 */


/* Die of a signal.  Process 1 of a container does not: then by a status that says
 * the same.  Callable from a handler. */
static _Noreturn void die(int n) {
  sigset_t one;
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
  die(fatal);
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
    terminal_restore();
    die(SIGINT);
  }
}


/* Does it end what runs: the program, or at the prompt what that runs? */
static bool interrupts(int n) {
  return (atomic_load(&ending) & signal_bit(n)) != 0 ||
         (n == SIGINT && sched_is_prompt(owner));
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
      info->si_code == SI_QUEUE && info->si_value.sival_int == KNOCK_INTERRUPT;
  return n == SIGATTACH && (is_knock || info->si_code == POLL_HUP);
}


/* Something else moves at a guarded connection (terminal.c): the loop sees it. */
static bool is_motion(int n, const siginfo_t *info) {
  return n == SIGATTACH && info->si_code > 0 && info->si_code != POLL_HUP;
}


static void on_signal(int n, siginfo_t *info, void *context) {
  int kept = errno;
  uint64_t one = 1;
  (void)context;
  if (is_motion(n, info) || is_forwarded(n, info)) /* neither sets errno */
    return;
  bool ends = (atomic_load(&ending) & signal_bit(n)) != 0;
  if (ends && atomic_exchange(&asked, true)) {
    terminal_restore();
    die(n);
  }
  atomic_fetch_or(&noted, signal_bit(n));
  if (home && (n == SIGINT || n == SIGTERM || is_impatient(n, info)))
    nudge_press(interrupts(n));
  if (home && n == SIGINT && sched_is_prompt(owner))
    on_impatience();
  ssize_t told = write(atomic_load(&bell), &one, sizeof one);
  (void)told; /* it fails only when it rings already, or no more */
  errno = kept;
}


static bool is_output_gone(void) {
  struct pollfd output = {.fd = STDOUT_FILENO};
  return poll(&output, 1, 0) == 1 &&
         (output.revents & (POLLERR | POLLHUP)) != 0;
}


/* An ignored SIGPIPE would stay so in children; a handled one does not.  What
 * is raised here comes when the handler has returned. */
static void on_pipe(int n, siginfo_t *info, void *context) {
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


/* Set what a signal does; what it did before neap is kept. */
static int set_action(int n, struct sigaction action) {
  struct sigaction old;
  sigfillset(&action.sa_mask);
  if (sigaction(n, &action, &old) < 0)
    return -errno;
  if ((station.ours & signal_bit(n)) == 0)
    station.before[n - 1] = old;
  station.ours |= signal_bit(n);
  return 0;
}


typedef void handler(int n, siginfo_t *info, void *context);

static int set(int n, handler *f) {
  return set_action(n, (struct sigaction){.sa_sigaction = f,
                                          .sa_flags = SA_RESTART | SA_SIGINFO});
}


static uint64_t watched(void) {
  uint64_t all = 0;
  for (const subscription *w = station.list; w != NULL; w = w->next)
    all |= w->wanted;
  return all;
}


static void update_ending(void) {
  atomic_store(&ending, station.ends & ~watched());
}


static void deliver_unwatched(host *h, int n) {
  if ((station.ends & signal_bit(n)) != 0)
    sched_interrupt(h, -n, n == SIGINT ? "interrupted" : "terminated");
  else
    station.missed |= signal_bit(n);
}


static void deliver(host *h, int n) {
  bool taken = n == SIGINT && sched_preempt_foreground(h);
  if (taken)
    return;
  if (n == SIGATTACH) {
    sched_summon(h);
    return;
  }
  for (subscription *w = station.list; w != NULL; w = w->next) {
    if ((w->wanted & signal_bit(n)) != 0) {
      w->caught |= signal_bit(n);
      wait_wake_all(&w->waiters, 0);
      taken = true;
    }
  }
  if (!taken)
    deliver_unwatched(h, n);
  else if ((station.ends & signal_bit(n)) != 0)
    atomic_store(&asked, false);
}


static void deliver_all(host *h) {
  uint64_t bits = atomic_exchange(&noted, 0);
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
  sched_heard(owner);
  deliver_all(owner);
  round_run(owner);
}


void signals_hear(host *h) {
  if (owner == h)
    deliver_all(h);
}


static int hang_bell(host *h) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    return -errno;
  station.watch = (watch){.fd = fd, .ready = on_bell};
  int status = watch_set(loop_of(h), &station.watch, EPOLLIN);
  if (status < 0)
    close(fd);
  else
    atomic_store(&bell, fd);
  return status;
}


static int station_open(host *h) {
  host *before = NULL;
  if (!atomic_compare_exchange_strong(&owner, &before, h))
    return before == h ? 0 : -EBUSY;
  int status = hang_bell(h);
  home = status == 0;
  if (home)
    nudge_home(h);
  keeper = pthread_self();
  atomic_store(&has_keeper, home);
  if (status < 0)
    atomic_store(&owner, NULL);
  return status;
}


/* One that came behind the last task, while what was printed went out. */
static void die_late(host *h) {
  uint64_t late = atomic_load(&noted) & atomic_load(&ending);
  for (int n = 1; late != 0 && n <= SIGNALS; n++)
    if ((late & signal_bit(n)) != 0)
      h->exit_status = -n;
}


/* What a script has taken may come until the process has ended, and must not end
 * it before. */
void signals_close(host *h) {
  if (owner != h)
    return;
  uint64_t given_back = station.ours & ~station.taken;
  die_late(h);
  for (int n = 1; n <= SIGNALS; n++)
    if ((given_back & signal_bit(n)) != 0)
      sigaction(n, &station.before[n - 1], NULL);
  atomic_store(&bell, -1);
  atomic_store(&ending, 0);
  atomic_store(&noted, 0);
  atomic_store(&asked, false);
  watch_drop(loop_of(h), &station.watch);
  close(station.watch.fd);
  memset(&station, 0, sizeof station);
  home = 0;
  atomic_store(&has_keeper, false);
  atomic_store(&owner, NULL);
}


/* What it did before neap began.  Where it was ignored (nohup, a shell's
 * background job) who started neap wants that. */
static bool is_ignored(int n) {
  struct sigaction now = station.before[n - 1];
  bool ours = (station.ours & signal_bit(n)) != 0;
  return (ours || sigaction(n, NULL, &now) == 0) && now.sa_handler == SIG_IGN;
}


/* Unless it is ignored: to find that out and to set it is one system call. */
static int catch_first(int n, handler *f) {
  int status = set(n, f);
  if (status == 0 && is_ignored(n))
    sigaction(n, &station.before[n - 1], NULL);
  return status;
}


int uv_world_attach(host *h) {
  int status = station_open(h);
  return status < 0 ? status : set(SIGATTACH, on_signal);
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
    status = catch_first(SIGPIPE, on_pipe);
  for (size_t i = 0; i < sizeof ends / sizeof *ends && status == 0; i++) {
    atomic_fetch_or(&ending, signal_bit(ends[i]));
    status = catch_first(ends[i], on_signal);
    if (!is_ignored(ends[i]))
      station.ends |= signal_bit(ends[i]);
  }
  update_ending();
  unblock_all();
  return status;
}


/* Handle all the wanted; what did not work is undone by nobody: a handler that
 * nobody needs only notes. */
static int handle(uint64_t wanted) {
  int status = 0;
  for (int n = 1; n <= SIGNALS && status == 0; n++)
    if ((wanted & signal_bit(n)) != 0)
      status = set(n, on_signal);
  return status;
}


int signals_watch(host *h, subscription *w) {
  int status = station_open(h);
  if (status == 0)
    status = handle(w->wanted);
  if (status < 0)
    return status;
  w->next = station.list;
  station.list = w;
  station.taken |= w->wanted;
  update_ending();
  return 0;
}


void signals_unwatch(host *h, subscription *w) {
  subscription **at = &station.list;
  if (owner != h)
    return;
  while (*at != NULL && *at != w)
    at = &(*at)->next;
  if (*at == NULL)
    return;
  *at = w->next;
  update_ending();
  uint64_t left = w->caught & ~watched();
  w->caught = 0;
  for (int n = 1; left != 0 && n <= SIGNALS; n++)
    if ((left & signal_bit(n)) != 0)
      deliver_unwatched(h, n);
}


int signals_missed(host *h, uint64_t wanted) {
  uint64_t found = owner == h ? station.missed & wanted : 0;
  for (int n = 1; found != 0 && n <= SIGNALS; n++) {
    if ((found & signal_bit(n)) != 0) {
      station.missed &= ~signal_bit(n);
      return n;
    }
  }
  return 0;
}


int signals_dispose(host *h, int n, bool ignore) {
  int status = station_open(h);
  if (status < 0)
    return status;
  if ((watched() & signal_bit(n)) != 0)
    return -EBUSY;
  ignore = ignore || is_ignored(n);
  bool ends = !ignore && (n == SIGINT || n == SIGTERM);
  if (ends)
    status = set(n, on_signal);
  else if (!ignore && n == SIGPIPE)
    status = set(n, on_pipe);
  else
    status = set_action(
        n, (struct sigaction){.sa_handler = ignore ? SIG_IGN : SIG_DFL});
  if (status < 0)
    return status;
  atomic_fetch_and(&noted, ~signal_bit(n));
  station.missed &= ~signal_bit(n);
  station.taken &= ~signal_bit(n);
  station.ends &= ~signal_bit(n);
  if (ends)
    station.ends |= signal_bit(n);
  update_ending();
  return 0;
}


int signals_raise(host *h, int n) {
  (void)h;
  return kill(getpid(), n) < 0 ? -errno : 0;
}
