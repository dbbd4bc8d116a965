/*
** Children and commands of the shell: the seam below neap.process, os.execute and
** io.popen (sys/system.h).
*/

#ifndef SYS_PROCESS_H
#define SYS_PROCESS_H

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

typedef struct processes {
  /* Start a child for a zeroed box: fills child, pid and io.  On
   * failure nothing is left, and spec->culprit says what it is about. */
  int (*spawn)(host *h, spawnspec *spec, process *p);

  /* -ESRCH once it has ended: the pid may be another's by then. */
  int (*kill)(process *p, int signal);

  /* The box goes.  The child runs on, and is reaped when it ends. */
  void (*forget)(process *p);

  int (*self)(host *h); /* the pid of this process */

  /* Start this program anew, as a process to which all that listens here is handed:
   * a byte comes from *ready, which is to be owned, when it serves that.  Then, well,
   * this process takes no connection of what the other one has, and may end; or else
   * that one is ended. */
  int (*restart)(host *h, int *ready, int *pid);
  void (*restarted)(int pid, bool well);

  /* Another descriptor of one that this process was started with, which then is
   * nobody's. */
  int (*copy)(host *h, int fd);

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

int luaopen_neap_process_core(lua_State *L);
int luaopen_neap_service_core(lua_State *L); /* service.c */

#endif
