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
** transport calls round_hand and its like (net/round.h), stream_eof, stream_error,
** stream_writable.
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
typedef struct datagram datagram;
typedef struct datagram_transport datagram_transport;

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* One socket option, ready for setsockopt. */
typedef struct sockopt {
  int level, name;
  socklen_t length;
  unsigned char value[40];
} sockopt;

enum { SOCKSPEC_OPTIONS = 32 };

/* What to make a socket of: all that is set before bind or connect. */
typedef struct sockspec {
  int family, type, protocol; /* as socket(2) wants them */
  address addr;               /* to bind and listen at, or to connect to */
  address local;              /* connect: bind here first; length 0: do not */
  int backlog;                /* listen */
  bool public_only;           /* connect: not to private addresses */
  int mode;                   /* unix listener: permission bits; -1: umask's */
  bool unlink_stale;          /* unix listener: replace a dead one's file */
  const struct bpf_instruction *filter; /* classic BPF, set before bind */
  unsigned filter_count;
  char interface[16]; /* of packet sockets; "": all of them */
  unsigned option_count;
  sockopt options[SOCKSPEC_OPTIONS];
} sockspec;

/* Is a socket one of two that were made at once?  Their serial numbers follow each
 * other. */
enum pair_end { ALONE, FIRST_OF_TWO, SECOND_OF_TWO };

/* One instruction of a filter (linux/filter.h). */
typedef struct bpf_instruction {
  uint16_t code;
  uint8_t jt, jf;
  uint32_t k;
} bpf_instruction;

enum { PASSED_MAX = 253 }; /* descriptors in one message: SCM_MAX_FD */

/* What came with the bytes of one read. */
typedef struct passed {
  bool cut; /* there were more, which the process may not have */
  int count;
  int fds[PASSED_MAX]; /* the stream's, to be closed */
} passed;

/* What a stream is to its script. */
typedef struct stream_kind {
  const char *name;   /* "tcp", "unix", "pipe", "file", "mem", ... */
  const char *scheme; /* of its endpoints, or NULL: its name */
  int protocol;       /* whose options it has: IPPROTO_x; 0: none to speak of */
  bool outside; /* the world, not only this host's tasks, ends its waits */
} stream_kind;

struct transport {
  /* Of its streams; those of a layer ask what is below them for the protocol, and
   * whether the world ends their waits. */
  stream_kind kind;
  size_t size; /* of the transport's own part of a stream */

  /* Deliver arriving bytes from now on / stop it.  Both are idempotent, cheap
   * when nothing changes, and called by net/ only while the stream is open. */
  int (*start_read)(stream *s);
  void (*stop_read)(stream *s);

  /* Give the bytes to the kernel: the count it took, -EAGAIN for none. */
  ssize_t (*try_write)(stream *s, const struct iovec *v, int n);

  bool tells_writes; /* try_write has told the trace, before it delivered */

  /* Call stream_writable(s) once, when try_write may get on. */
  int (*want_write)(stream *s);

  int (*shutdown)(stream *s); /* half close, after all was written */

  /* As try_write of one piece, and with its first byte go copies of n
   * descriptors.  NULL where none can. */
  ssize_t (*pass)(stream *s, const struct iovec *v, const int *fds, int n);

  /* From now on tell stream_passed what comes with each read, before
   * its bytes; until then what arrives is closed.  NULL as pass. */
  void (*collect)(stream *s);

  /* Read and forget what has arrived; false if there was nothing, or the peer
   * has ended.  NULL where closing with unread bytes costs the peer nothing. */
  bool (*discard)(stream *s);

  /* May closing take back what was sent, if the peer sends more?  NULL: no. */
  bool (*takes_back)(stream *s);

  /* What was sent and may still be taken back so: bytes that the peer's system
   * is not known to have.  NULL: none. */
  int (*unacknowledged)(stream *s);

  /* Give the resources back.  `reset`: abortively.  The transport calls
   * stream_closed(s) when no callback can come any more, which frees the
   * stream: later (stream_gone), never from inside this call. */
  void (*close)(stream *s, bool reset);

  /* As close, but that the descriptor stays open, and becomes the caller's: it is
   * returned.  NULL where there is none, or none that others could use. */
  int (*detach)(stream *s);

  /* Go to where the next read and write begin (lseek(2)'s whence), and forget what
   * was read ahead: the new position.  -EAGAIN: stream_writable tells when to try
   * again.  All that was accepted is out, and the stream does not read.  NULL: it has
   * no position. */
  int64_t (*seek)(stream *s, int whence, int64_t offset);

  int (*set)(stream *s, const sockopt *o);
  int (*get)(stream *s, sockopt *o); /* o->length: in the room, out the size */
  int (*localaddr)(stream *s, address *a);
  int (*remoteaddr)(stream *s, address *a);
  int (*fd)(stream *s); /* or -EBADF where there is none */

  /* A terminal has so many rows and columns from now on.  NULL where none is one. */
  int (*resize)(stream *s, unsigned rows, unsigned columns);
};

/* What is known of a message besides its bytes: what the socket was asked to
 * tell, and the descriptors that came with it. */
typedef struct extras {
  bool has_to, has_ttl, has_tos, has_time, has_cred, has_link;
  bool to_us;         /* `to` is an address of ours: an answer leaves by it */
  struct in_addr us;  /* where it is not, as of IPv4's groups; 0: unknown */
  bool cut;           /* descriptors were lost: the process may not have more */
  address to;         /* it was sent to this address of ours */
  unsigned interface; /* it came in here; 0: unknown */
  int ttl, tos;
  int64_t time;      /* by the kernel's wall clock, ns */
  int pid, uid, gid; /* of the sender */
  int *fds;          /* ours to close; NULL where fd_count is 0 */
  int fd_count;
  uint16_t ethertype; /* of a packet socket's */
  uint8_t packet_kind, hw_size;
  unsigned char hw[8]; /* the sender's hardware address */
} extras;

/* A message that has arrived. */
typedef struct arrival {
  char *bytes;
  uint32_t size; /* of the bytes that are here */
  uint32_t full; /* of the message as it was sent; more: it was cut */
  const struct sockaddr *from; /* NULL: the family has none */
  socklen_t from_size;         /* 0: from a socket without a name */
  extras *extras;              /* NULL: nothing */
} arrival;

/* What became of an earlier message, as ICMP or this host tells. */
typedef struct failure {
  int status; /* a negative errno */
  address to; /* whom it was sent to; length 0: unknown */
  address by; /* who tells; length 0: this host */
  bool icmp;  /* type and code are ICMP's */
  uint8_t type, code;
  uint32_t mtu; /* of -EMSGSIZE: what fits; 0: unknown */
} failure;

/* A message to be sent. */
typedef struct outgoing {
  const char *bytes;
  size_t size;
  const address *to;  /* NULL: to whom the socket is connected; of messages in
                        one batch to the same destination the same pointer */
  const address *via; /* it leaves by this address of ours; NULL: any.  Also the
                         same pointer for the same */
  unsigned interface; /* it leaves by this one; 0: any */
  const int *fds;     /* copies of these go with it */
  int fd_count;
} outgoing;

enum { DATAGRAM_BATCH = 64 }; /* messages in one call, in or out */

/* Messages: UDP, unix datagrams and seqpackets, ICMP, raw IP, packets.  It
 * calls datagram_messages, datagram_error, datagram_writable and, at the end,
 * datagram_closed (net/datagram.h). */
struct datagram_transport {
  bool outside; /* as a transport's */
  size_t size;

  /* Deliver what arrives / stop it.  As of streams: idempotent, cheap. */
  int (*recv_start)(datagram *d);
  void (*recv_stop)(datagram *d);

  /* Give up to DATAGRAM_BATCH messages to the kernel: how many it took, at
   * least one; or why not the first: -EAGAIN for no room now. */
  int (*send)(datagram *d, const outgoing *v, int n);

  /* Call datagram_writable(d) once, when it makes sense to try again to send
   * there (NULL: to whom it is connected). */
  void (*want_send)(datagram *d, const address *to);

  int (*connect)(datagram *d, const address *to); /* NULL: to nobody */
  int (*join)(datagram *d, bool leave, const address *group,
              const address *source, unsigned interface); /* NULL: any source */
  int (*shutdown)(datagram *d);
  void (*close)(datagram *d); /* datagram_closed follows, later */
  int (*set)(datagram *d, const sockopt *o);
  int (*get)(datagram *d, sockopt *o);
  int (*localaddr)(datagram *d, address *a);
  int (*remoteaddr)(datagram *d, address *a);
  int (*fd)(datagram *d);

  /* Others may receive by its descriptor from now on. */
  void (*share)(datagram *d);
};

/* A lookup of a name.  The backend owns it until it calls `done`, once, from the
 * loop or from inside `resolve`; or until it is given up. */
typedef struct lookup lookup;
struct lookup {
  lookup *next; /* the backend's, as `request` */
  host *host;
  char *name; /* a host's name */
  int family; /* AF_UNSPEC, AF_INET, AF_INET6 */
  enum { RESOLVER_ANY, RESOLVER_SYSTEM, RESOLVER_DNS } resolver; /* who knows */
  bool fresh;     /* not what was answered to others before */
  int status;     /* 0, ERROR_EAI + EAI_x (host/error.h), -errno */
  address *found; /* malloc'ed; ports are 0 */
  size_t count;
  void (*done)(lookup *l); /* the owner frees it by lookup_free */
  void *owner;
  void *request; /* the backend's, while it runs */
};

void lookup_free(lookup *l); /* in net/ */

/* A network interface, and each of its addresses. */
typedef struct netif_address {
  address addr;
  address broadcast, peer; /* length 0: none */
  uint8_t prefix;          /* bits that are the network's */
  const char *scope;       /* "host", "link", "site", "global" */
} netif_address;

typedef struct netif {
  char name[16];
  unsigned index, flags; /* IFF_x */
  int mtu;               /* bytes; 0: unknown */
  uint16_t hw_type;      /* ARPHRD_x */
  uint8_t hw_size, hw[32];
  netif_address *addresses; /* malloc'ed */
  size_t address_count;
} netif;

typedef struct netifs {
  netif *list; /* malloc'ed */
  size_t count;
} netifs;

/* What is waited for without taking anything. */
enum { READABLE = 1, WRITABLE = 2 };

/* A task's wait for a descriptor that is not ours. */
typedef struct attention attention;
struct attention {
  attention *next; /* the backend's */
  void *watched;   /* the backend's, while it is attended to */
  int fd;
  unsigned events;                       /* what for */
  void (*done)(attention *a, int ready); /* from the loop */
  void *owner;
};

/* What a backend gives the sockets of a host.  No function is NULL, which net_open
 * checks; of a transport's some may be. */
typedef struct backend backend;
struct backend {
  /* socket, options, bind, listen: whole, so that every failure shows here. */
  int (*listen)(host *h, const sockspec *spec, listener **out);

  /* One connection of the queue: a stream that is open or, of seqpacket, a
   * message socket, and the other is NULL; -EAGAIN when none is there.
   * Aborted connections are skipped. */
  int (*accept)(listener *l, stream **out, datagram **message_socket);

  /* Would accept not wait? */
  bool (*acceptable)(listener *l);

  /* Call listener_ready(l) when accept may succeed; once armed it stays so
   * until rest. */
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
   * descriptor is -EINVAL; one that is ours already is -EBUSY.  It is the
   * backend's from success on. */
  int (*adopt)(host *h, int fd, stream **s, listener **l);

  /* May a descriptor be adopted, by the rules of guard/guard.h?  0 or a status. */
  int (*permits)(host *h, int fd);

  /* Adopt without taking over: fd 0, 1, 2 stay open for C's stdio. */
  int (*borrow)(host *h, int fd, bool reading, stream **s);

  int (*pair)(host *h, int type, stream **a, stream **b); /* socketpair(2) */

  /* A message socket: socket, options, filter, bind (where spec->addr has a
   * length, or `local` when connecting), connect.  Whole, as listen. */
  int (*bind)(host *h, const sockspec *spec, datagram **out);
  int (*connect_datagram)(host *h, const sockspec *spec, datagram **out);
  int (*adopt_datagram)(host *h, int fd, datagram **out);
  int (*pair_datagram)(host *h, int type, datagram **a, datagram **b);

  /* A descriptor that was passed is the script's from now on; or close it. */
  void (*disown)(host *h, int fd);
  void (*discard)(host *h, int fd);

  /* Of a descriptor that is not ours: which of these events it has now, all of them
   * at its end or an error; or -EBADF; -EBUSY: it is ours. */
  int (*look)(host *h, int fd, unsigned events);

  /* Call a->done with those of a->events that it has, as soon as there are any; with
   * -EBADF when its number is found to be another's, which need not be found.  It may
   * be called again, until unattend. */
  int (*attend)(host *h, attention *a);
  void (*unattend)(host *h, attention *a);

  int (*resolve)(host *h, lookup *l); /* on failure l stays the caller's */
  void (*unresolve)(lookup *l);       /* gives it up, and frees it */
  int (*service_port)(host *h, const char *name, const char *proto); /* or -1 */
  int (*service_name)(host *h, int port, const char *proto, char *out,
                      size_t size);
  int (*protocol)(host *h, const char *name); /* "icmp" is 1; or -1 */
  int (*ifindex)(host *h, const char *name);  /* -ENODEV: none such */
  int (*ifname)(host *h, unsigned index, char out[16]);
  int (*interfaces)(host *h, netifs *all); /* empty; by index */

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
  bool (*may_relay)(stream *from, stream *to); /* a pipe goes one way only */

  /* A copy of the descriptor of a socket that takes files, the caller's to close;
   * -EOPNOTSUPP: it takes what is written only.  NULL where none does. */
  int (*file_target)(stream *to);

  /* In any thread: give it n bytes of a file, from there: how many it took, fewer at the
   * file's end, and where it has no room soon; -EAGAIN: none now; -EOPNOTSUPP: not of
   * such a file. */
  ssize_t (*send_file)(int file, int64_t from, int to, size_t n);

  /* That failed so: the system tells a reset once, and the reader is to hear of it,
   * too. */
  void (*file_failed)(stream *to, int status);
};

#endif
