/*
** Children, by uv_spawn.
**
** The pipes are ours: our ends are adopted as streams before the child is
** started, so that nothing can fail once it runs, and the child's ends are
** passed as plain descriptors.  Every other descriptor of this process is
** marked close-on-exec first, those of io.open and of C modules too.
**
** A body lives from a successful spawn until libuv has told of the child's
** end and closed the handle; the box that Lua holds may go before it.
*/

#include "uv/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/memory.h"
#include "net/stream.h"
#include "sched/world.h"
#include "uv/children.h"
#include "uv/holding.h"
#include "uv/thread.h"
#include "uv/world.h"

typedef struct child {
  uv_process_t uv;
  process *box; /* NULL once Lua has let go */
  host *host;
} child;


/*
** The limit of descriptors
*/

static struct rlimit inherited;     /* what the process was started with */
static _Thread_local bool starting; /* this thread forks in order to exec */


/* Programs that use select(2) break above 1,024.  So what is raised here is put
 * back in children, in the one place where libuv lets us. */
static void in_child(void) {
  if (starting)
    setrlimit(RLIMIT_NOFILE, &inherited);
}


int children_fork(void) {
  starting = true;
  pid_t pid = fork();
  starting = false;
  return pid;
}


void uv_world_descriptors(void) {
  if (getrlimit(RLIMIT_NOFILE, &inherited) < 0)
    return;
  struct rlimit all = {inherited.rlim_max, inherited.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &all) == 0)
    pthread_atfork(NULL, NULL, in_child);
}


/*
** Starting
*/

static void on_closed(uv_handle_t *uv) {
  child *c = uv->data;
  c->host->handles--;
  free(c);
}


static void let_go(child *c) {
  loop *l = loop_of(c->host);
  uv_close((uv_handle_t *)&c->uv, on_closed);
  loop_touch(l);
}


static void on_exit_of(uv_process_t *uv, int64_t code, int signal) {
  child *c = uv->data;
  process *p = c->box;
  if (p != NULL) {
    p->child = NULL;
    p->ended = true;
    p->signal = signal;
    p->code = signal != 0 ? 128 + signal : (int)code;
    wait_wake_all(&p->waiters, 0);
  }
  let_go(c);
}


static int adopt(host *h, int fd, stream **out) {
  int status = h->world->net->adopt(h, fd, out, NULL);
  if (status < 0)
    close(fd);
  return status;
}


/* A pipe between the child's descriptor i and a stream of ours. */
static int open_pipe(host *h, int i, stream **ours, int *theirs) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -errno;
  int mine = i == 0 ? ends[1] : ends[0];
  *theirs = i == 0 ? ends[0] : ends[1];
  return adopt(h, mine, ours);
}


static int open_pipes(host *h, const spawnspec *spec, process *p,
                      int theirs[3]) {
  int status = 0;
  for (int i = 0; i < 3 && status == 0; i++)
    if (spec->io[i].kind == SPAWN_PIPE)
      status = open_pipe(h, i, &p->io[i], &theirs[i]);
  return status;
}


static void drop_pipes(process *p) {
  for (int i = 0; i < 3; i++) {
    if (p->io[i] != NULL)
      stream_close(p->io[i], true);
    p->io[i] = NULL;
  }
}


/* What the child's descriptor i is made of; -1: nothing. */
static int source(const spawnspec *spec, const int theirs[3], int i) {
  if (i == 2 && spec->merge)
    i = 1;
  switch (spec->io[i].kind) {
  case SPAWN_NULL:
    return -1;
  case SPAWN_PIPE:
    return theirs[i];
  case SPAWN_FD:
    return spec->io[i].fd;
  default:
    return i;
  }
}


/* What the child's descriptors are to be, as libuv wants it told.  One that an
 * earlier one would take the place of is moved away here: in the child, with its
 * lower limit, there may be no place for it.  It is no pipe of ours, which is
 * above those. */
static int fill_stdio(uv_stdio_container_t io[3], const spawnspec *spec,
                      int theirs[3]) {
  for (int i = 0; i < 3; i++) {
    int fd = source(spec, theirs, i);
    io[i].flags = fd < 0 ? UV_IGNORE : UV_INHERIT_FD;
    if (fd >= 0 && fd < i) {
      assert(theirs[i] < 0);
      fd = theirs[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
      if (fd < 0)
        return -errno;
    }
    io[i].data.fd = fd;
  }
  return 0;
}


static void fill_options(uv_process_options_t *o, const spawnspec *spec) {
  o->exit_cb = on_exit_of;
  o->file = spec->argv[0];
  o->args = spec->argv;
  o->env = spec->env;
  o->cwd = spec->cwd;
  o->stdio_count = 3;
  if (spec->uid >= 0) {
    o->flags |= UV_PROCESS_SETUID;
    o->uid = (uv_uid_t)spec->uid;
  }
  if (spec->gid >= 0) {
    o->flags |= UV_PROCESS_SETGID;
    o->gid = (uv_gid_t)spec->gid;
  }
  if (spec->detached)
    o->flags |= UV_PROCESS_DETACHED;
}


/* execvp and chdir fail alike; a message should name the right one. */
static const char *find_culprit(const spawnspec *spec) {
  struct stat found;
  if (spec->cwd != NULL &&
      (stat(spec->cwd, &found) < 0 || !S_ISDIR(found.st_mode) ||
       access(spec->cwd, X_OK) < 0))
    return spec->cwd;
  return spec->argv[0];
}


/* After a failure too, the handle must be closed: uv_spawn leaves it in the
 * loop's list. */
static int start(host *h, const spawnspec *spec, process *p, int theirs[3]) {
  uv_stdio_container_t io[3];
  uv_process_options_t options = {.stdio = io};
  int status = fill_stdio(io, spec, theirs);
  if (status < 0)
    return status;
  child *c = memory_new(sizeof *c);
  c->uv.data = c;
  c->host = h;
  fill_options(&options, spec);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  starting = true;
  status = uv_spawn(&loop_of(h)->uv, &c->uv, &options);
  starting = false;
  h->handles++;
  if (status < 0) {
    let_go(c);
    return status;
  }
  loop_touch(loop_of(h));
  c->box = p;
  p->child = c;
  p->pid = uv_process_get_pid(&c->uv);
  return 0;
}


static int spawn(host *h, spawnspec *spec, process *p) {
  int theirs[3] = {-1, -1, -1};
  int status = open_pipes(h, spec, p, theirs);
  if (status == 0)
    status = start(h, spec, p, theirs);
  for (int i = 0; i < 3; i++)
    if (theirs[i] >= 0)
      close(theirs[i]);
  if (status < 0) {
    drop_pipes(p);
    spec->culprit = find_culprit(spec);
  }
  return status;
}


/* Until the loop has reaped the child its pid is nobody else's. */
static int kill_child(process *p, int signal) {
  child *c = p->child;
  return c == NULL ? -ESRCH : uv_process_kill(&c->uv, signal);
}


static void forget(process *p) {
  child *c = p->child;
  if (c != NULL)
    c->box = NULL;
  p->child = NULL;
  drop_pipes(p);
}


static int self(host *h) {
  (void)h;
  return (int)getpid();
}


/*
** Those that nobody waits for
*/

static void *reap(void *pid) {
  pid_t got;
  do
    got = waitpid((pid_t)(intptr_t)pid, NULL, 0);
  while (got < 0 && errno == EINTR);
  return NULL;
}


void children_leave(int pid) {
  if (waitpid(pid, NULL, WNOHANG) == 0)
    thread_detach(reap, (void *)(intptr_t)pid);
}


/*
** The end
*/

static void close_child(uv_handle_t *uv, void *unused) {
  (void)unused;
  if (uv->type == UV_PROCESS && !uv_is_closing(uv)) {
    child *c = uv->data;
    if (c->box != NULL)
      c->box->child = NULL;
    children_leave(uv_process_get_pid(&c->uv));
    uv_close(uv, on_closed);
  }
}


void children_close(loop *l) {
  uv_walk(&l->uv, close_child, NULL);
}


const processes uv_processes = {
    .spawn = spawn,
    .kill = kill_child,
    .forget = forget,
    .self = self,
    .restart = holding_restart,
    .restarted = holding_restarted,
    .copy = holding_copy,
    .shell = shell_start,
    .open = shell_open,
    .reap = shell_wait,
};
