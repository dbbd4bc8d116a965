/*
** Children and signals: the seam below neap.process and neap.signal.
**
** A backend fills the table `processes` and names it in its struct backend
** (net/backend.h).  As with sockets, its callbacks note what happened in the
** structures below and wake the tasks that wait there; they touch no
** lua_State.  Functions return 0 or a negative errno.
*/

#ifndef NET_PROCESS_H
#define NET_PROCESS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "host/host.h"
#include "net/backend.h"
#include "sched/wait.h"

/* A child, as Lua holds it: the box itself.  The backend's body points to it
 * until it was told of the child's end, or to forget it. */
typedef struct process {
  host *host;
  void *child;   /* the backend's body; NULL before, and once it has ended */
  stream *io[3]; /* our ends of its pipes, until Lua has taken them */
  waitq waiters;
  int pid;
  int code;   /* of its exit; 128 + signal when a signal ended it */
  int signal; /* that ended it, or 0 */
  bool ended, detached;
} process;

/* What a child's descriptor 0, 1 or 2 is to be. */
enum { SPAWN_NULL, SPAWN_INHERIT, SPAWN_FD, SPAWN_PIPE };

typedef struct spawnspec {
  char **argv;      /* [0] is also what is looked up in PATH; ends with NULL */
  char **env;       /* "NAME=value"; NULL: as ours */
  const char *cwd;  /* NULL: as ours */
  int64_t uid, gid; /* -1: as ours */
  bool detached;    /* in a session of its own */
  bool merge;       /* 2 is what 1 is */
  struct {
    int kind;
    int fd; /* for SPAWN_FD */
  } io[3];
  const char *culprit; /* out: what a failure is about, argv[0] or cwd */
} spawnspec;

/* The spec in the table at 1, the only argument; raises for a bad one.  What it
 * points to lives as long as the value that this leaves at 2. */
spawnspec spawnspec_check(lua_State *L);

extern const char *const spawn_io_names[3]; /* "stdin", ... */

/* Interest in signals: one bit for each, see signal_bit.  Its memory is the
 * owner's, who calls unwatch before it goes. */
typedef struct sigwatch {
  struct sigwatch *next;
  uint64_t wanted;
  uint64_t caught; /* have come, and were not taken yet */
  waitq waiters;
} sigwatch;

static inline uint64_t signal_bit(int n) {
  return UINT64_C(1) << (n - 1);
}

typedef struct processes {
  /* Start a child for a zeroed box: fills child, pid and io.  On
   * failure nothing is left, and spec->culprit says what it is about. */
  int (*spawn)(host *h, spawnspec *spec, process *p);

  /* -ESRCH once it has ended: the pid may be another's by then. */
  int (*kill)(process *p, int signal);

  /* The box goes.  The child runs on, and is reaped when it ends. */
  void (*forget)(process *p);

  int (*self)(host *h); /* the pid of this process */

  /* Collect the wanted signals in w->caught from now on, and wake its waiters.
   * Watching SIGINT or SIGTERM suspends neap's own answer to it. */
  int (*watch)(host *h, sigwatch *w);

  /* Stop.  What w->caught still holds passes on: to the next watch of that
   * signal, or to neap's own answer. */
  void (*unwatch)(host *h, sigwatch *w);

  /* A signal of the wanted that came after its last watch had ended, and is
   * taken by this; 0 when there is none. */
  int (*missed)(host *h, uint64_t wanted);

  /* What a signal does while nobody watches it: nothing (ignore), or what it
   * did when neap began.  -EBUSY while it is watched. */
  int (*dispose)(host *h, int signal, bool ignore);

  int (*raise)(host *h, int signal); /* at this process itself */

  /* Start a command of the shell: its pid, or a negative errno.  With open, *f
   * is what it reads (writes) or what it writes, for the caller to fclose. */
  int (*shell)(host *h, const char *command);
  int (*open)(host *h, const char *command, bool writes, FILE **f);

  /* Wait for it, in this thread, which does nothing else: its pid and *status,
   * as of waitpid(2), or a negative errno; -EINTR when a signal has come that
   * ends what runs, or (hurry) when it does not end very soon. */
  int (*reap)(host *h, int pid, bool hurry, int *status);
} processes;

/* Put os.execute and io.popen by these in the place of Lua's own. */
void shell_replace(lua_State *L);

/* Push "SIGHUP" for 1; false, and nothing, for a number without a name. */
bool signal_push(lua_State *L, int n);

/* The signal named by the string at arg.  Raises an argument error. */
int signal_check(lua_State *L, int arg);

int luaopen_neap_signal(lua_State *L);
int luaopen_neap_process_core(lua_State *L);

#endif
