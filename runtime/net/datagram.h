/*
** Message sockets: UDP, unix datagrams and seqpackets, ICMP, raw IP, packets.
**
** Box and body as of streams.  A transport hands up what one system call
** received, a batch in its own receive ring; tasks take the messages one by one, and
** what they leave is copied (kept), and nothing more is asked for until it is
** taken: the kernel's buffer is the queue, and its bound is the bound.
**
** What a run of a task sends gathers in a *batch* until the task and perhaps a few
** others have suspended, and leaves by one system call.  But the first message to
** a destination goes out at once, so that what is wrong with a destination (no
** route, no permission) is told by the call that named it; later ones, and
** replies, gather.
*/

#ifndef NET_DATAGRAM_H
#define NET_DATAGRAM_H

#include <lauxlib.h>
#include <lua.h>

#include "net/backend.h"
#include "sched/wait.h"

#define DATAGRAM_CLASS "neap.Datagram"

typedef struct send_batch send_batch;
typedef struct jam jam;
typedef struct kept kept;

typedef struct datagram_box {
  datagram *datagram; /* NULL: closed */
  unsigned serial;
  uint32_t mark; /* host_mark(&datagram_mark) */
} datagram_box;

enum {
  KNOWN = 32,  /* destinations remembered */
  SENDERS = 64 /* places for senders remembered */
};

/* As the kernel gave it; size 0: none. */
typedef struct sender {
  socklen_t size;
  unsigned char bytes[sizeof(struct sockaddr_in6)];
} sender;

struct datagram {
  host *host;
  datagram *next, **at; /* in the list of all of this host; what points to it */
  uint64_t received, sent; /* bytes */
  uint64_t messages_in, messages_out;
  const datagram_transport *transport;
  datagram_box *box;
  waitq readers, writers;
  const arrival *fresh; /* in the transport's ring, during its delivery */
  unsigned fresh_count;
  kept *first, *last; /* copies of those that nobody took then */
  unsigned kept_count;
  size_t kept_bytes;
  send_batch *batch; /* gathered, or not yet taken by the kernel */
  datagram *link;    /* of those with a batch to be emptied */
  jam *jams;         /* destinations without room, where apart */
  unsigned jam_count;
  const char *where;          /* malloc'ed endpoint; may be NULL */
  uint64_t timeout;           /* of each suspension, ns; 0: none */
  int family, type, protocol; /* as of socket(2) */
  int recv_error;             /* to be told once */
  failure *failure;           /* details of recv_error; NULL: none */
  int send_error;             /* of a gathered message, to be told once */
  sender recent;              /* whose Address the box has */
  sender *senders;       /* SENDERS of them, for the box's table; may be NULL */
  uint64_t known[KNOWN]; /* hashes of destinations that take messages */
  unsigned last_interface; /* whose name the box has */
  bool receiving;          /* the transport delivers */
  bool both;    /* a task among the readers may wait to send, too (ready.c) */
  bool blocked; /* the kernel has no room: wait for datagram_writable */
  bool apart;   /* room is each receiver's own: blocked is a matter of jams */
  bool linked;
  bool connected;
  bool gathers; /* messages may wait for others; else each goes out */
  bool ended;   /* of seqpacket: the peer has closed or shut down */
  bool closed;
  bool taking;     /* a message is becoming Lua values: what a finalizer closes
                  meanwhile keeps its messages until that is done */
  bool hidden;     /* no trace sees it */
  uint8_t pair;    /* an enum pair_end */
  unsigned serial; /* what it is called instead of by its pointer */
};

/* Do addresses of such sockets have ports?  The kernel speaks of some anyway. */
static inline bool datagram_has_ports(int type, int protocol) {
  return type != SOCK_RAW && protocol != IPPROTO_ICMP &&
         protocol != IPPROTO_ICMPV6;
}

/* What it is called: "udp", "icmp", "raw", "packet", "unixgram", "seqpacket". */
const char *datagram_kind(const datagram *d);

static inline void *datagram_part(datagram *d) {
  return d + 1;
}

/* Allocate a body, with the transport's part zeroed. */
datagram *datagram_new(host *h, const datagram_transport *t, int family,
                       int type, int protocol);

/* A batch has arrived.  The transport then runs a round, and calls
 * datagram_keep, which copies what was not taken:
 *   datagram_messages(d, list, n); sched_round(h); datagram_keep(d);
 * as often as that returns true: readers wait for what others left. */
void datagram_messages(datagram *d, const arrival *list, unsigned n);
bool datagram_keep(datagram *d);

/* Leave out messages that are not from this peer, as getpeername names him: of a
 * batch, where it tells how many there are then; and of those that nobody has
 * taken yet. */
unsigned datagram_sift(datagram *d, const address *peer, arrival *list,
                       unsigned n);
void datagram_sift_kept(datagram *d, const address *peer);
void datagram_error(datagram *d, int status); /* of receiving: told once */
void datagram_failed(datagram *d,
                     const failure *f); /* the same, with details */
void datagram_forgive(datagram *d);     /* forget such an error */
void datagram_ended(datagram *d);       /* seqpacket: the peer sends no more */
void datagram_writable(datagram *d);

/* Wake those who wait to send. */
void datagram_room(datagram *d);

/* The transport is done with it: free the body.  The only free. */
void datagram_closed(datagram *d);

/* Close as the script does.  0, or the error of a message that was not sent
 * and that nobody was told of.  The body stays until the task suspends. */
int datagram_close(datagram *d);

extern const char datagram_mark; /* host_marked's */

/* The box at argument 1; raises for anything else. */
static inline datagram_box *datagram_box_of(lua_State *L) {
  datagram_box *b = host_marked(L, 1, sizeof *b, &datagram_mark);
  return b != NULL ? b : luaL_checkudata(L, 1, DATAGRAM_CLASS);
}

/* Push the Datagram of a new body. */
void datagram_push(lua_State *L, datagram *d);
bool datagram_try_push(lua_State *L, datagram *d); /* as stream_try_push */

int datagram_fail(lua_State *L, const datagram *d, int status, const char *op);

/* The absolute deadline of an operation: chosen when it waits first, and then
 * on the stack, behind its arguments, at `slot`.  To wait once more is not to
 * have more time. */
uint64_t datagram_deadline(lua_State *L, const datagram *d, int slot);

/* The oldest message that waits to be taken, or NULL; and take it off: what is
 * left of its descriptors is closed. */
const arrival *datagram_first(const datagram *d);
void datagram_skip(datagram *d);
void datagram_empty(datagram *d); /* forget all */

/* The methods and fields, each file its own. */
extern const luaL_Reg datagram_recv_methods[], datagram_send_methods[],
    datagram_option_methods[];
void datagram_open(lua_State *L);

#endif
