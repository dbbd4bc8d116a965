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

/* The streams of a child: of its descriptors 0 to 2, and of its terminal. */
enum { PROCESS_PTY = 3, PROCESS_STREAMS };

/* A child, as Lua holds it: the box itself.  The backend's body points to it
 * until it was told of the child's end, or to forget it. */
typedef struct process {
  host *host;
  void *child; /* the backend's body; NULL before, and once it has ended */
  stream *io[PROCESS_STREAMS]; /* our ends, until Lua has taken them */
  waitq waiters;
  int pid;
  int code;   /* of its exit; 128 + signal when a signal ended it */
  int signal; /* that ended it, or 0 */
  bool ended, detached;
  bool leads; /* a process group of its own */
} process;

/* What a child's descriptor 0, 1 or 2 is to be. */
enum { SPAWN_NULL, SPAWN_INHERIT, SPAWN_FD, SPAWN_PIPE, SPAWN_PTY };

/* Is it to lead a process group?  Where it has no terminal among 0, 1 and 2. */
enum { GROUP_NO, GROUP_YES, GROUP_UNLESS_TERMINAL };

typedef struct spawn_limit {
  const char *name; /* "rlimits.nofile" */
  int resource;     /* RLIMIT_x */
  uint64_t soft, hard;
} spawn_limit;

typedef struct spawn_fd {
  int as, from;
  bool blocks; /* as programs expect it of what they read and write */
} spawn_fd;

typedef struct spawnspec {
  char **argv;      /* ends with NULL */
  char **paths;     /* where the program may be, in order; ends with NULL */
  char **script;    /* argv for a shell, if it has no format: [1] is its path */
  char **env;       /* "NAME=value"; NULL: as ours */
  const char *cwd;  /* NULL: as ours */
  int64_t uid, gid; /* -1: as ours */
  int group_count; /* supplementary groups; -1: none, where uid or gid is given */
  unsigned *groups;
  int umask; /* -1: as ours */
  unsigned limit_count;
  spawn_limit *limits;
  int group;                    /* GROUP_x */
  bool detached;                /* in a session of its own */
  bool merge;                   /* 2 is what 1 is */
  bool pty;                     /* in a session of its own, at a new terminal */
  unsigned short rows, columns; /* of that */
  uint64_t grace; /* between its SIGTERM and its SIGKILL, ns; NEVER */
  struct {
    int kind;
    int fd; /* for SPAWN_FD */
  } io[3];
  unsigned fd_count;
  spawn_fd *fds;  /* all above 2 that it gets */
  char about[24]; /* room for a culprit */
  const char
      *culprit; /* out: what a failure is about: argv[0], cwd, an option */
} spawnspec;

/* What a child is, for who asks (lists). */
typedef struct child_facts {
  int pid;
  const char *command;
  uint64_t began; /* by world.now */
  bool ended;     /* but others of its group are left */
  bool leads;
  bool ending; /* it was told to end */
  waitq *waiters;
} child_facts;

/* The spec in the table at 1, the only argument; raises for a bad one.  What it
 * points to lives as long as the value that this leaves at 2. */
spawnspec spawnspec_check(lua_State *L);

/* Take the descriptors from what they belong to, which a finalizer could close: so
 * behind the last call that can run one.  Raises as check does. */
void spawnspec_take(lua_State *L, spawnspec *spec);

extern const char *const spawn_io_names[3]; /* "stdin", ... */

typedef struct processes {
  /* Start a child for a zeroed box: fills child, pid, leads and io.  On
   * failure nothing is left, and spec->culprit says what it is about. */
  int (*spawn)(host *h, spawnspec *spec, process *p);

  /* -ESRCH once it has ended, or all its group (whole) has: the number may be
   * another's by then. */
  int (*kill)(process *p, int signal, bool whole);

  /* Let it end, and the group that it leads: by SIGTERM, and by SIGKILL when the
   * grace is over.  The host's end waits for that, as for what sockets owe. */
  void (*end)(process *p);

  /* The next child behind this one of the host, NULL: the first; false: none. */
  bool (*next)(host *h, void **at, child_facts *out);

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
  void (*discard)(host *h, int fd); /* that, where nobody wants it */

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
