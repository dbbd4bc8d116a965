#include "uv/orphans.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/memory.h"

/* A child that somebody waits for. */
typedef struct known known;

struct known {
  known *next;
  pid_t pid;
  bool ended;
  int status;
};

static atomic_bool first; /* this is process 1 */
static known *list;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;


bool orphans_begin(void) {
  first = getpid() == 1;
  return first;
}


static known **find(pid_t pid) {
  known **at = &list;
  while (*at != NULL && (*at)->pid != pid)
    at = &(*at)->next;
  return at;
}


static void add(pid_t pid) {
  known *k = memory_new(sizeof *k);
  k->pid = pid;
  k->next = list;
  list = k;
}


static void drop(known **at) {
  known *k = *at;
  *at = k->next;
  free(k);
}


void orphans_reap(void) {
  int status;
  pthread_mutex_lock(&lock);
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    known *k = *find(pid);
    if (k != NULL) {
      k->ended = true;
      k->status = status;
    }
  }
  pthread_mutex_unlock(&lock);
}


/* It is known before it can be reaped. */
int orphans_start(const spawning *s, spawn_failure *why) {
  if (!first)
    return spawn_start(s, why);
  pthread_mutex_lock(&lock);
  int pid = spawn_start(s, why);
  if (pid > 0)
    add(pid);
  pthread_mutex_unlock(&lock);
  return pid;
}


pid_t orphans_fork(void) {
  if (!first)
    return fork();
  pthread_mutex_lock(&lock);
  pid_t pid = fork();
  if (pid > 0)
    add(pid);
  pthread_mutex_unlock(&lock);
  return pid;
}


/* The end that was kept, after a wait that had this result. */
static pid_t take(pid_t pid, int *status, pid_t got) {
  int error = errno;
  pthread_mutex_lock(&lock);
  known **at = find(pid);
  if (got < 0 && error == ECHILD && *at != NULL && (*at)->ended) {
    *status = (*at)->status;
    got = pid;
  }
  if (got == pid && *at != NULL)
    drop(at);
  pthread_mutex_unlock(&lock);
  errno = error;
  return got;
}


pid_t orphans_wait(pid_t pid, int *status, int flags) {
  pid_t got = waitpid(pid, status, flags);
  return first && got != 0 ? take(pid, status, got) : got;
}


bool orphans_leave(pid_t pid) {
  if (!first)
    return false;
  pthread_mutex_lock(&lock);
  known **at = find(pid);
  if (*at != NULL)
    drop(at);
  pthread_mutex_unlock(&lock);
  return true;
}
