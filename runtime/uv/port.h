/*
** Ports within: what the files of message sockets share.  How they are made is in
** datagram_open.c, receiving in datagram_recv.c, errors in datagram_error.c, peers
** and groups in datagram_peer.c, and the rest of the transport in datagram.c.
*/

#ifndef UV_PORT_H
#define UV_PORT_H

#include <assert.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "net/datagram.h"
#include "net/state.h"
#include "uv/bound_path.h"
#include "uv/gso.h"
#include "uv/loop.h"
#include "uv/timer.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { PAUSE_FIRST = 1, PAUSE_LAST = 50 }; /* ms */

enum { FEWEST = 4 }; /* messages to ask for, mostly at least */

/* Does the kernel join messages (UDP_GRO)?  Whoever else receives by the same
 * descriptor, as a child does, could not tell them apart: so where nobody
 * asked for it it is not begun before there is a gain, and ended when the
 * descriptor's number is asked for. */
enum { AS_ASKED, IF_MANY, BY_ITSELF };

/* What came before the socket was connected may be anybody's.  The kernel leaves
 * it in its queue: so messages are sifted, until a call has brought all that was
 * there. */
enum { NO_STRANGERS, STRANGERS, LAST_STRANGERS };

typedef struct port {
  watch watch; /* first: it is how ready finds the port */
  later later;
  bound_path path;
  address addr;     /* of a unix socket with a file */
  loop_timer timer; /* of a pause */
  uint8_t want;     /* as a wire's */
  uint8_t expected; /* messages in the next batch */
  uint8_t singles;  /* batches of late that brought one */
  uint8_t pause;    /* the next one, ms */
  uint8_t joining;
  uint8_t strangers;
  bool congested;     /* the last failure was of a lack of buffers */
  bool tells_cred;    /* the script asked for passcred */
  bool queues_errors; /* recverr is on */
  gso gso;
} port;

extern const datagram_transport port_transport;


static inline port *port_of(datagram *d) {
  assert(!d->closed);
  return datagram_part(d);
}


static inline datagram *port_datagram(port *p) {
  return (datagram *)(void *)p - 1;
}


static inline bool is_recverr(const sockopt *o) {
  return (o->level == IPPROTO_IP && o->name == IP_RECVERR) ||
         (o->level == IPPROTO_IPV6 && o->name == IPV6_RECVERR);
}


static inline bool is_gro(const sockopt *o) {
  return o->level == IPPROTO_UDP && o->name == UDP_GRO;
}


/* The peer of a connected descriptor; 0 or -errno. */
int port_peer(int fd, address *a);

/* Ask epoll for what the port wants, no more; want one thing more of it.  0 or
 * -errno. */
int port_settle(port *p);
int port_want(port *p, uint8_t event);

/* The ready of its watch.  An error counts as readable and writable: whoever comes
 * first is told. */
void port_ready(watch *w, uint32_t events);

/* Receive one batch, and hand it up. */
void port_receive(port *p, loop *l);

/* Let the kernel put messages of one sender together; the receive ring cuts them
 * apart again. */
int port_join(port *p, bool on);

/* Hand up one error of the queue. */
void port_take_error(port *p);

/* A call of the socket gets what ICMP told before, too: of which message, only
 * the queue of errors says.  True when it was another's, which the receiver is
 * told; the sender is told what is its own, and with a single peer all is.  The
 * queue is emptied, for each of its entries would fail one more call. */
bool port_was_anothers(port *p, int status);

/* What ICMP told of the messages to a former peer is no news of the next.  A
 * unix socket has no such queue, and would give a message. */
void port_forget_errors(port *p);

/* Where there are no ports, the protocol's number: a peer without one the kernel
 * would not tell (getpeername). */
int port_connect_to(int fd, int family, int type, int protocol,
                    const address *to);

/* For the transport's table. */
int port_set_peer(datagram *d, const address *to);
int port_change_group(datagram *d, bool leave, const address *group,
                      const address *source, unsigned interface);

#endif
