#include "uv/holding.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/memory.h"
#include "uv/given.h"
#include "uv/owned.h"
#include "uv/quiet.h"
#include "uv/sockopt.h"
#include "uv/world.h"

#define VARIABLE "NEAP_HOLDINGS"

enum { MADE = -1, COPY = -2 };

/* How a socket is known again. */
typedef struct key {
  int slot, type, protocol;
  int number; /* of a descriptor that somebody else made; or these */
  address asked;
} key;

struct holding {
  holding *next;
  key key;
  int fd;
  const host *host;   /* NULL: the predecessor's process had it */
  holding *successor; /* in this process, which has a copy */
  bool came;          /* it is a predecessor's */
  bool serves;
  atomic_bool passed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static holding *all;         /* under the lock, in the order of their making */
static int predecessor = -1; /* the pipe to it */
static const host nobody;    /* has what the service's manager gave */


static key key_of(const host *h, const sockspec *spec, int fd) {
  key k = {.slot = h->slot, .number = MADE};
  if (spec == NULL) {
    k.number = fd;
    return k;
  }
  k.type = spec->type;
  k.protocol = spec->protocol;
  k.asked = spec->addr;
  return k;
}


static bool is_same(const key *a, const key *b) {
  return a->slot == b->slot && a->number == b->number && a->type == b->type &&
         a->protocol == b->protocol && a->asked.length == b->asked.length &&
         memcmp(&a->asked.u, &b->asked.u, a->asked.length) == 0;
}


static void put(holding *x) {
  holding **at = &all;
  while (*at != NULL)
    at = &(*at)->next;
  *at = x;
}


static void cut(const holding *x) {
  holding **at = &all;
  while (*at != x)
    at = &(*at)->next;
  *at = x->next;
}


/* May this host have it?  That of another worker only in whose place it is. */
static bool is_due(const holding *x, const host *h) {
  if (x->host == NULL)
    return x->key.slot == h->slot;
  return h->slot > 0 && x->host != h && x->key.slot == h->slot &&
         x->successor == NULL;
}


/* What the manager gave and nobody has asked for is still as it came; a successor may
 * ask for it. */
static bool is_unasked(int fd) {
  int flags = fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0 && given_is(fd);
}


/*
** Taking
*/

/* The file of a unix socket goes along. */
static void take_path(const key *k, bound_path *path) {
  struct stat st;
  const struct sockaddr_un *un = &k->asked.u.un;
  bool has_file = k->asked.u.any.sa_family == AF_UNIX &&
                  k->asked.length > offsetof(struct sockaddr_un, sun_path) &&
                  un->sun_path[0] != '\0';
  if (has_file && lstat(un->sun_path, &st) == 0)
    *path = (bound_path){st.st_dev, st.st_ino, true};
}


static holding *find(const host *h, const key *k) {
  holding *x = all;
  while (x != NULL && !(is_due(x, h) && is_same(&x->key, k)))
    x = x->next;
  return x;
}


/* What this host is to have is noted at once: holding_add makes it whole. */
static int take(holding *x, host *h) {
  if (x->host == NULL) {
    x->host = h;
    return x->fd;
  }
  int fd = fcntl(x->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (fd < 0)
    return -errno;
  holding *mine = memory_new(sizeof *mine);
  *mine = (holding){.key = x->key, .fd = fd, .host = h, .came = true};
  x->successor = mine;
  atomic_store(&x->passed, true);
  put(mine);
  return fd;
}


int holding_take(host *h, const sockspec *spec, bound_path *path) {
  key k = key_of(h, spec, -1);
  pthread_mutex_lock(&lock);
  holding *x = all != NULL ? find(h, &k) : NULL;
  int fd = x != NULL ? take(x, h) : -ENOENT;
  pthread_mutex_unlock(&lock);
  if (fd >= 0)
    take_path(&k, path);
  return fd;
}


static holding *find_taken(const host *h, int fd) {
  holding *x = all;
  while (x != NULL && (x->host != h || x->fd != fd))
    x = x->next;
  return x;
}


/* Is it another descriptor of what the service's manager has made? */
static bool is_copy(int fd) {
  struct stat st, given;
  if (fstat(fd, &st) != 0)
    return false;
  for (const holding *x = all; x != NULL; x = x->next)
    if (x->host == &nobody && fstat(x->fd, &given) == 0 &&
        st.st_dev == given.st_dev && st.st_ino == given.st_ino)
      return true;
  return false;
}


holding *holding_add(host *h, int fd, const sockspec *spec) {
  pthread_mutex_lock(&lock);
  holding *x = find_taken(h, fd);
  if (x == NULL) {
    bool copy = spec == NULL && is_copy(fd);
    x = memory_new(sizeof *x);
    *x = (holding){.key = copy ? (key){.number = COPY} : key_of(h, spec, fd),
                   .fd = fd,
                   .host = h};
    put(x);
  }
  pthread_mutex_unlock(&lock);
  return x;
}


/* A successor that goes away gives the socket back, or has one of its own by then, which
 * so is also that of who was there before. */
static void forget(const holding *x) {
  for (holding *y = all; y != NULL; y = y->next) {
    if (y->successor == x) {
      y->successor = x->successor;
      atomic_store(&y->passed, holding_is_passed(x));
    }
  }
}


bool holding_drop(holding *x) {
  pthread_mutex_lock(&lock);
  bool is_passed = holding_is_passed(x);
  cut(x);
  forget(x);
  pthread_mutex_unlock(&lock);
  free(x);
  return is_passed;
}


void holding_serves(holding *x) {
  if (x->serves)
    return;
  pthread_mutex_lock(&lock);
  x->serves = true;
  pthread_mutex_unlock(&lock);
}


bool holding_is_passed(const holding *x) {
  return atomic_load(&x->passed);
}


/*
** Settling
*/

/* Without a slot it is the whole process that settles. */
static bool is_settled(const host *h) {
  for (const holding *x = all; x != NULL; x = x->next) {
    bool mine = h->slot == 0 || x->host == h;
    bool lacks = h->slot == 0 ? x->host == NULL : is_due(x, h);
    if (lacks || (mine && x->came && !x->serves))
      return false;
  }
  return true;
}


void holding_look(host *h) {
  pthread_mutex_lock(&lock);
  bool settled = is_settled(h);
  pthread_mutex_unlock(&lock);
  void (*call)(host * h) = h->settled;
  if (!settled)
    return;
  h->settled = NULL;
  call(h);
}


/* What it has left of its predecessor's by then it does not want. */
static void tell_predecessor(host *h) {
  (void)h;
  pthread_mutex_lock(&lock);
  for (holding *x = all, *next; x != NULL; x = next) {
    next = x->next;
    if (x->host == NULL) {
      cut(x);
      owned_remove(x->fd);
      close(x->fd);
      free(x);
    }
  }
  pthread_mutex_unlock(&lock);
  signals_quiet(true);
  ssize_t told = write(predecessor, "1", 1);
  signals_quiet(false);
  (void)told; /* it has gone */
  close(predecessor);
  predecessor = -1;
}


/*
** Handing on to another process, by a variable of the environment: "pid former-pid
** pipe", and for each socket " fd,slot,type,protocol,number,hexadecimal address"
*/

enum { TEXT = 64 + 2 * sizeof(address) };


static size_t print(char *at, const holding *x) {
  const unsigned char *bytes = (const void *)&x->key.asked.u;
  int n = sprintf(at, " %d,%d,%d,%d,%d,", x->fd, x->key.slot, x->key.type,
                  x->key.protocol, x->key.number);
  for (socklen_t i = 0; i < x->key.asked.length; i++)
    n += sprintf(at + n, "%02x", bytes[i]);
  return (size_t)n;
}


static bool goes_on(const holding *x) {
  return x->host != NULL && x->successor == NULL && x->key.number != COPY &&
         !given_was(x->key.number);
}


static void add(int **fds, size_t *n, int fd) {
  *fds = memory_grow(*fds, (*n + 1) * sizeof **fds);
  (*fds)[(*n)++] = fd;
}


char *holding_hand(int pipe, int **fds) {
  size_t count = 1, n = 0;
  pthread_mutex_lock(&lock);
  for (const holding *x = all; x != NULL; x = x->next)
    count++;
  char *text = memory_grow(NULL, count * TEXT);
  *fds = NULL;
  size_t at = (size_t)sprintf(text, VARIABLE "=%*s %d %d", HOLDING_PID, "",
                              (int)getpid(), pipe);
  add(fds, &n, pipe);
  for (const holding *x = all; x != NULL; x = x->next) {
    if (goes_on(x)) {
      at += print(text + at, x);
      add(fds, &n, x->fd);
    }
  }
  for (int fd = given_next(-1); fd >= 0; fd = given_next(fd))
    if (is_unasked(fd))
      add(fds, &n, fd);
  add(fds, &n, -1);
  return text;
}


void holding_handed(char *text, int *fds) {
  pthread_mutex_unlock(&lock);
  free(text);
  free(fds);
}


static bool parse(const char *text, key *k, int *fd, int *used) {
  unsigned char *bytes = (void *)&k->asked.u;
  int n = 0;
  *k = (key){0};
  if (sscanf(text, " %d,%d,%d,%d,%d,%n", fd, &k->slot, &k->type, &k->protocol,
             &k->number, &n) != 5)
    return false;
  for (unsigned byte; k->asked.length < sizeof k->asked.u &&
                      sscanf(text + n, "%2x", &byte) == 1 && text[n] != ' ';
       n += 2)
    bytes[k->asked.length++] = (unsigned char)byte;
  *used = n;
  return true;
}


/* It keeps its number, by which nobody gets it, and is nobody's until it is asked for: but
 * what came as a number is asked for by that. */
static void inherit_one(const key *k, int fd) {
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0 || option_int(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
    return;
  if (k->number >= 0)
    return;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  owned_add(fd);
  holding *x = memory_new(sizeof *x);
  *x = (holding){.key = *k, .fd = fd, .came = true};
  put(x);
}


/* Who the predecessor was by its number, such as to the manager, this process is now. */
static void be(const char *variable, int before) {
  char pid[16];
  const char *whose = getenv(variable);
  if (whose == NULL || atoi(whose) != before)
    return;
  snprintf(pid, sizeof pid, "%d", (int)getpid());
  setenv(variable, pid, 1);
}


/* The predecessor may have gone by now. */
static void inherit(host *h, const char *text) {
  int self, before, pipe, n = 0, fd;
  key k;
  if (sscanf(text, "%d %d %d%n", &self, &before, &pipe, &n) != 3 ||
      self != getpid())
    return;
  text += n;
  while (parse(text, &k, &fd, &n)) {
    inherit_one(&k, fd);
    text += n;
  }
  fcntl(pipe, F_SETFD, FD_CLOEXEC);
  predecessor = pipe;
  h->settled = tell_predecessor;
  be("LISTEN_PID", before);
  be("WATCHDOG_PID", before);
}


void uv_world_inherit(host *h) {
  const char *text = getenv(VARIABLE);
  if (text != NULL)
    inherit(h, text);
  unsetenv(VARIABLE);
  given_note();
}


void holding_passed(bool well) {
  pthread_mutex_lock(&lock);
  for (holding *x = all; x != NULL; x = x->next)
    atomic_store(&x->passed, well || x->successor != NULL);
  pthread_mutex_unlock(&lock);
}


/*
** Copies of what the service's manager has made
*/

/* A successor gets the one of that number, and makes copies by itself.  False: this
 * process has opened it, for what came by exec was not close-on-exec. */
static bool note_given(int fd) {
  pthread_mutex_lock(&lock);
  bool noted = find_taken(&nobody, fd) != NULL;
  bool given = noted || is_unasked(fd);
  if (given && !noted) {
    holding *x = memory_new(sizeof *x);
    *x = (holding){.key = {.number = fd}, .fd = fd, .host = &nobody};
    put(x);
  }
  pthread_mutex_unlock(&lock);
  return given;
}


int holding_copy(host *h, int fd) {
  (void)h;
  int mine = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (mine < 0)
    return -errno;
  if (!note_given(fd)) {
    close(mine);
    return -EBADF;
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  owned_add(fd);
  return mine;
}
