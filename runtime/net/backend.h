/*
** The seam between sockets as Lua sees them and what moves their bytes.
**
** Above it: net/, which knows no descriptor and makes no system call.  Below:
** a backend (uv/, later sim/), which knows no lua_State: its callbacks note
** what happened in the stream or listener, wake its waiters, and return.
**
** A *transport* moves the bytes of one kind of stream.  The backend allocates
** the stream (stream_new of net/stream.h, with room for its own part behind
** it) and hands it up open; net/ calls the functions of its transport; the
** transport calls stream_data, stream_eof, stream_error, stream_writable.
**
** All functions return 0 or a count, or a negative errno.
*/

#ifndef NET_BACKEND_H
#define NET_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "host/host.h"
#include "net/address.h"

typedef struct stream stream;
typedef struct listener listener;
typedef struct transport transport;

/* One socket option, ready for setsockopt. */
typedef struct sockopt {
  int level, name;
  socklen_t length;
  unsigned char value[32];
} sockopt;

enum { SOCKSPEC_OPTIONS = 24 };

/* What to make a socket of: all that is set before bind or connect. */
typedef struct sockspec {
  int family, type, protocol;  /* as socket(2) wants them */
  address addr;                /* to bind and listen at, or to connect to */
  address local;               /* connect: bind here first; length 0: do not */
  int backlog;                 /* listen */
  int mode;                    /* unix listener: permission bits; -1: umask's */
  bool unlink_stale;           /* unix listener: replace a dead one's file */
  unsigned option_count;
  sockopt options[SOCKSPEC_OPTIONS];
} sockspec;

struct transport {
  const char *name; /* "tcp", "unix", "pipe", "file", "mem", ... */
  size_t size;      /* of the transport's own part of a stream */
  bool outside;     /* the world, not only this host's tasks, ends its waits */

  /* Deliver arriving bytes from now on / stop it.  Both are idempotent, cheap
   * when nothing changes, and called by net/ only while the stream is open. */
  int (*start_read)(stream *s);
  void (*stop_read)(stream *s);

  /* Give the bytes to the kernel: the count it took, -EAGAIN for none. */
  ssize_t (*try_write)(stream *s, const struct iovec *v, int n);

  /* Call stream_writable(s) once, when try_write may get on. */
  int (*want_write)(stream *s);

  int (*shutdown)(stream *s); /* half close, after all was written */

  /* Give the resources back.  `reset`: abortively.  The transport calls
   * stream_closed(s) when no callback can come any more, which frees the
   * stream: at once or later, never from inside this call. */
  void (*close)(stream *s, bool reset);

  int (*set)(stream *s, const sockopt *o);
  int (*get)(stream *s, sockopt *o); /* o->length: in the room, out the size */
  int (*localaddr)(stream *s, address *a);
  int (*remoteaddr)(stream *s, address *a);
  int (*fd)(stream *s); /* or -EBADF where there is none */
};

/* A lookup of a name.  The backend owns it until it calls `done`, and after
 * `cancelled` was set it frees it by itself, without `done`. */
typedef struct lookup lookup;
struct lookup {
  host *host;
  char *name;                  /* a host's name */
  int family;                  /* AF_UNSPEC, AF_INET, AF_INET6 */
  int status;                  /* 0, ERROR_EAI + EAI_x (host/error.h), -errno */
  address *found;              /* malloc'ed; ports are 0 */
  size_t count;
  void (*done)(lookup *l);     /* from the loop; the owner frees it by
                                  lookup_free */
  void *owner;
  void *request;               /* the backend's, while it runs */
  bool cancelled;
};

void lookup_free(lookup *l); /* in net/ */

/* What a backend gives the sockets of a host.  `w` is host.outside. */
typedef struct backend backend;
struct backend {
  /* socket, options, bind, listen: whole, so that every failure shows here. */
  int (*listen)(host *h, const sockspec *spec, listener **out);

  /* One connection of the queue: a stream that is open, -EAGAIN when none is
   * there.  Aborted connections are skipped.  *peer is filled. */
  int (*accept)(listener *l, stream **out);

  /* Call listener_ready(l) when accept may succeed; once armed it stays so
   * until listener_rest. */
  int (*watch)(listener *l);
  void (*rest)(listener *l);
  void (*close_listener)(listener *l); /* calls listener_closed(l) later */
  int (*set_listener)(listener *l, const sockopt *o);
  int (*get_listener)(listener *l, sockopt *o);
  int (*fd_of_listener)(listener *l);

  /* Begin to connect.  *out is a stream in state connecting, whose end is told
   * by stream_connected(s, status); or it is open already, and then nothing is
   * told.  An immediate failure is returned. */
  int (*connect)(host *h, const sockspec *spec, stream **out);

  /* Adopt a descriptor: a stream (socket, pipe, tty, file, device) or a
   * listening socket.  The out of what is not wanted is NULL, and such a
   * descriptor is -EINVAL.  It is the backend's from success on. */
  int (*adopt)(host *h, int fd, stream **s, listener **l);

  /* Adopt without taking over: fd 0, 1, 2 stay open for C's stdio. */
  int (*borrow)(host *h, int fd, bool reading, stream **s);

  int (*pair)(host *h, int type, stream **a, stream **b); /* socketpair(2) */

  /* Count a stream from when the kernel refuses bytes of it until they are
   * out: world.drain waits for none to be left. */
  void (*hold)(host *h);
  void (*release)(host *h);

  int (*resolve)(host *h, lookup *l); /* on failure l stays the caller's */
  void (*unresolve)(lookup *l);       /* sets cancelled, and tries to stop it */
  int (*service_port)(host *h, const char *name, const char *proto); /* or -1 */
  int (*service_name)(host *h, int port, const char *proto, char *out,
                      size_t size);
  unsigned (*ifindex)(host *h, const char *name); /* 0: no such interface */
  int (*ifname)(host *h, unsigned index, char out[16]);

  /* Move bytes both ways between two open streams until both directions have
   * ended, one failed, or relay_stop.  Calls done(owner) once, from the loop;
   * counts and status are then filled in.  NULL when these two cannot be
   * joined below net/, which then copies. */
  struct relay *(*relay)(host *h, stream *a, stream *b, void (*done)(void *),
                         void *owner);
  void (*relay_stop)(struct relay *r); /* frees it; no done after this; before
                                          either stream is closed; what is
                                          under way goes by stream_send */
  int (*relay_result)(struct relay *r, uint64_t counts[2]); /* its status */
  bool (*may_flow)(stream *from, stream *to); /* a pipe goes one way only */

  const struct processes *processes; /* net/process.h; NULL: there are none */
};

#endif
