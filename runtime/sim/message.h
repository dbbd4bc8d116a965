/*
** Messages of simulated nodes: UDP, ping sockets and raw IP among them, unix datagrams
** and seqpackets within one.
**
** What is the network's goes by flights (flight.h), and arrives at the node, which finds
** the sockets that it is for; there it waits, as in the kernel's buffer, until a task
** receives.  Between sockets of unix there is no flight: what is sent is there.  Tasks
** are told by events only, never from inside of a call of theirs.
**
** message.c has the transport, open.c how sockets are made, inet.c, icmp.c, group.c,
** local.c and listen.c (each with message_ before it) what they send to whom.
*/

#ifndef SIM_MESSAGE_H
#define SIM_MESSAGE_H

#include <assert.h>

#include "net/datagram.h"
#include "net/state.h"
#include "sim/flight.h"
#include "sim/interfaces.h"
#include "sim/mails.h"

enum {
  LOOPBACK_TIME = 5000, /* ns from one socket to another of the same node */
  UNIX_QUEUE = 11,      /* messages that a unix socket has room for */
  BUFFER = 212992,      /* bytes, of sending and of receiving */
  PORT_FIRST = 32768,   /* of those that are chosen */
  PORT_COUNT = 28232,
};

typedef struct message_socket message_socket;

/* A message that waits to be received. */
typedef struct letter {
  struct letter *next;
  size_t charge;          /* of the buffer */
  message_socket *sender; /* of unix, whose buffer it is in, too; NULL */
  arrival m;
  address from;
  extras extras;
  char bytes[];
} letter;

/* What the network tells of an earlier message. */
typedef struct trouble {
  struct trouble *next;
  failure what;
} trouble;

typedef struct membership {
  struct membership *next;
  address group, source; /* source of length 0: any */
  unsigned interface;
} membership;

/* An option that was set. */
typedef struct setting {
  struct setting *next;
  sockopt option;
} setting;

/* A message socket's own part. */
struct message_socket {
  sim_event event; /* first: something is to be told */
  later later;
  message_socket *next, **at; /* in its place of the node's table */
  address local, peer;        /* of no length: none */
  address bound;              /* as it was asked for, with the port */
  letter *first, **last;
  size_t held;    /* bytes charged, of what waits */
  unsigned count; /* of it */
  unsigned drops;
  size_t sent;       /* unix: bytes charged, of what others have not received */
  trouble *troubles; /* the oldest first */
  int soft_error;    /* without details */
  membership *memberships;
  setting *settings;

  /* Of unix */
  message_socket *other;     /* its peer; NULL: there is none, or he is gone */
  message_socket *waits_for; /* room there */
  message_socket *waits;     /* the next of those that do */
  message_socket *waiting;   /* those that wait for room here */
  bool paired;               /* the connection is for good */
  bool accepted;             /* or it waits in a listener's queue */
  bool shut;                 /* it sends no more */
  bool told_gone;

  bool wants;       /* it is to be given what arrives */
  bool full;        /* it is told when there may be room to send, */
  uint64_t room_at; /* of a link */
  bool ended;       /* seqpacket: the peer sends no more */
  bool end_told;
  bool gone; /* it is closed: nothing is told any more */
};

static inline message_socket *message_of(datagram *d) {
  return datagram_part(d);
}

static inline datagram *message_datagram(message_socket *m) {
  return (datagram *)(void *)m - 1;
}

static inline node *message_node(message_socket *m) {
  return node_of(message_datagram(m)->host);
}

static inline bool address_is_ip(const address *a) {
  return a->length > 0 &&
         (a->u.any.sa_family == AF_INET || a->u.any.sa_family == AF_INET6);
}

extern const datagram_transport message_transport;

/* {== message_option.c */

/* What was set, or else that; of IP by the family of what is sent or has come. */
int message_option(message_socket *m, int level, int name, int otherwise);
int message_ip_option(message_socket *m, int family, int four, int six,
                      int otherwise);
const sockopt *message_setting(message_socket *m, int level, int name);
void message_keep_option(message_socket *m, const sockopt *o);
int message_set_option(datagram *d, const sockopt *o);
int message_get_option(datagram *d, sockopt *o);
int message_take_error(message_socket *m); /* as SO_ERROR, negative; 0: none */

/* ==} */


/* {== message.c */


/* It has arrived, sent by a socket of the same node, from inside of a call; or by
 * nobody known here, from an event.  False when there is no room. */
bool message_arrived(message_socket *m, const arrival *a, message_socket *by);
void message_failed(message_socket *m, const failure *f);
void message_soft_error(message_socket *m, int status); /* without details */
void message_tell(message_socket *m);                   /* soon */
void message_begin(message_socket *m);                  /* a new one */

/* ==} */


/* {== message_open.c: for the backend's table */

int message_bind(host *h, const sockspec *spec, datagram **out);
int message_connect(host *h, const sockspec *spec, datagram **out);
int message_pair(host *h, int type, datagram **a, datagram **b);
datagram *message_new(host *h, int family, int type, int protocol);

/* An ephemeral port, where the socket has none yet: 0 or -errno. */
int message_choose_port(message_socket *m);
int message_bind_port(message_socket *m, const address *a);
int message_connect_to(message_socket *m, const address *to);
int message_disconnect(message_socket *m);
void message_unlist(message_socket *m);
void message_list(message_socket *m);

/* ==} */


/* {== message_listen.c: seqpackets */

int message_listen(host *h, const sockspec *spec, listener **out);
int message_knock(message_socket *m, const address *to); /* connects */

/* ==} */


/* {== message_inet.c */

int message_send_ip(message_socket *m, const outgoing *o);
int message_find_route(message_socket *m, const address *to, unsigned interface,
                       route *r);
unsigned message_port(const message_socket *m); /* of its own address; or 0 */

/* The socket that a message is for, or NULL; how well one fits, -1: not at all. */
message_socket *message_find(node *n, const flight *f);
int message_score(message_socket *m, const flight *f);
message_socket *message_first_raw(node *n); /* and its `next` */

/* In the clothes that a socket of the other family sees it in. */
address message_as_seen(const datagram *d, const address *a);

/* With what it has asked for besides. */
void message_give(message_socket *m, const flight *f, const char *bytes,
                  size_t n);

/* ==} */


/* {== message_icmp.c */

/* May a ping socket send that?  0 or -errno.  Make it the socket's. */
int icmp_check(const message_socket *m, const outgoing *o);
void icmp_write(message_socket *m, flight *f);

/* Of ICMP, or for raw sockets. */
void icmp_arrived(flight *f);

/* Nobody is at that port: tell the sender.  Or nobody has the address, which his own
 * node tells later; the flight has not begun. */
void icmp_refuse(const flight *f);
void icmp_no_route(flight *f);

/* ==} */


/* {== message_group.c */

int group_change(datagram *d, bool leave, const address *group,
                 const address *source, unsigned interface);
bool group_has(message_socket *m, const address *group, const address *source);
bool group_is(const address *a);
bool node_in_group(node *n, const address *group);

/* ==} */


/* {== message_local.c: unix */

int local_bind(message_socket *m, const address *a, bool replace);
int local_connect(message_socket *m, const address *to);
int local_send(message_socket *m, const outgoing *o);
void local_close(message_socket *m);
void local_join(message_socket *a, message_socket *b);
void local_taken(message_socket *m, message_socket *by, size_t charge);
int local_shutdown(message_socket *m);

/* ==} */


/* The node has crashed, and its host is still there: its sockets are gone. */
void messages_vanish(node *n);

#endif
