/*
** Guard rails: what a program under --restrict may reach.
**
** The rules are made from the command line before there is a second thread, and stay
** as they are: they are the process's, and hold for all of its hosts.  What is asked
** about is what the kernel is then given: a socket address, and never the text that
** led to it; a file that is open already (O_PATH), and never its path.  So there is no
** second look-up in which somebody could put another one in its place.
**
** Whoever reaches outside asks here, behind `guard_on`, and passes on the status that
** is not 0: an error with the code EACCES, whose words name the option that would
** allow it.  This folder knows neither Lua nor a host.  What the kernel can enforce
** itself is in kernel.h.
*/

#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

typedef enum guard_deed {
  GUARD_CONNECT,
  GUARD_LISTEN,
  GUARD_BIND,
  GUARD_READ,
  GUARD_WRITE,
  GUARD_RUN,
  GUARD_ENV,
  GUARD_DEEDS,
  GUARD_NAME = GUARD_DEEDS,       /* to look a name up */
  GUARD_UNIX,                     /* and two more: the first three, of unix */
  GUARD_PRIVATE = GUARD_UNIX + 3, /* where only public addresses are wanted */
  GUARD_ERRORS
} guard_deed;

/* The status of a deed that is refused: host/error.h. */
#define GUARD_STATUS (-5000)

static inline int guard_refusal(guard_deed deed) {
  return GUARD_STATUS - 1 - (int)deed;
}

/* The words of such a status; NULL: it is another. */
const char *guard_words(int status);

extern bool guard_on;

static inline bool guard_stands(void) {
  return __builtin_expect(guard_on, 0);
}

/* Does it need an address or a folder behind its option?  Add what it says to the
 * rules; NULL: all of that sort.  Returns NULL, or what was expected instead. */
const char *guard_allow(guard_deed deed, const char *value);

/* From now on only what was allowed; the script's folder (NULL: none) is where it may
 * have modules.  NULL, or why that cannot be. */
const char *guard_begin(const char *script);


/*
** Addresses
*/

/* 0, or the refusal.  An address without a name (of unix sockets) is nobody's. */
int guard_address(guard_deed deed, const struct sockaddr *a, socklen_t n);

/* What is at a unix socket's path, pinned: the address becomes a name of just that, which
 * may be connected to, and *held a descriptor to close behind that; or -1, where there
 * is nothing to pin. */
int guard_pin(struct sockaddr *a, socklen_t *n, int *held);

/* The same for what has no ports: a rule that names some does not mean it. */
int guard_host(guard_deed deed, const struct sockaddr *a, socklen_t n);

/* What can send to anybody and hear everything: raw and packet sockets. */
int guard_raw(void);

/* May the name be looked up?  And an address that it has, in any thread: it is
 * allowed as its name is, unless it is private. */
int guard_name(const char *name);
void guard_found(const char *name, const struct sockaddr *a);

/* Is it none of the public internet's, by IANA's registries of special addresses? */
bool guard_is_private(const struct sockaddr *a);


/*
** Files, processes, environment
*/

enum {
  GUARD_BENEATH = 1, /* the path does not lead out of the folder */
  GUARD_CHANGES = 2, /* what is opened is to be changed by its name */
  GUARD_CODE = 4     /* to be run, which a script's own folder allows, too */
};

/* openat(2), or openat2(2) with RESOLVE_BENEATH: a descriptor, close-on-exec, or a
 * negative errno or refusal.  In any thread. */
int guard_open(int folder, const char *path, int flags, mode_t mode, int how);

/* remove(3) and rename(2). */
int guard_remove(const char *path);
int guard_rename(const char *from, const char *to);

/* May what is in one folder be moved to another?  Not where it could be read then. */
int guard_move(int from, int to);

/* May what the descriptor is of be used as it is open?  0, or the refusal. */
int guard_descriptor(int fd);

int guard_run(void);
bool guard_env(const char *name);

#endif
