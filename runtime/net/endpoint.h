/*
** Endpoints: strings that name where to listen or connect.
**
**   tcp://127.0.0.1:7000   udp6://[fe80::1%eth0]:53   tcp://:http
**   unix:/run/x.sock       unix:@abstract             mem:name      fd:3
**   icmp://127.0.0.1       raw://[::1]/ospf           packet://eth0
**   sctp://127.0.0.1:7000  vsock://host:7000
**
** One parser, one printer, and printing what was parsed gives an endpoint
** that parses to the same.  A scheme is a row of the table in endpoint_scheme.c: a
** name, the form of what follows it, and what socket(2) is to be given.
*/

#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "host/host.h"
#include "net/address.h"

/* What follows the scheme's name. */
typedef enum endpoint_form {
  ENDPOINT_HOST_PORT, /* ://host:port */
  ENDPOINT_CID_PORT,  /* ://cid:port, of vsock */
  ENDPOINT_HOST,      /* ://host, and of raw sockets /protocol */
  ENDPOINT_INTERFACE, /* ://interface, or * */
  ENDPOINT_PATH,      /* :/path or :@abstract */
  ENDPOINT_NAME,      /* :name, known in this process */
  ENDPOINT_FD         /* :N, a descriptor */
} endpoint_form;

/* Which verbs take it. */
typedef enum endpoint_kind {
  ENDPOINT_STREAM,    /* net.listen and net.connect */
  ENDPOINT_DATAGRAM,  /* net.bind */
  ENDPOINT_SEQPACKET, /* messages over a connection */
  ENDPOINT_ADOPTED    /* whatever the descriptor is */
} endpoint_kind;

typedef struct endpoint_scheme {
  const char *name;
  endpoint_form form;
  endpoint_kind kind;
  int family, type, protocol; /* AF_UNSPEC: the host's address decides */
  bool tls;                   /* over that: lua/neap/tls/sockets.lua */
} endpoint_scheme;

typedef struct endpoint {
  const endpoint_scheme *scheme;
  char host[256]; /* a host's name; the ip or cid as text; "*"; the name of
                     mem:; the interface */
  int64_t port;   /* HOST_PORT, CID_PORT; -1 otherwise */
  int fd;         /* FD; -1 otherwise */
  int protocol;   /* of raw sockets; -1 otherwise */
  bool numeric;   /* addr is complete: no lookup is needed */
  bool any;       /* the host is *.  addr is :: for AF_UNSPEC: dual-stack; where
                     there is no IPv6, address_any(&addr, AF_INET, port) */
  bool autobind;  /* unix:@ alone, a name is chosen at bind: listeners only */
  address addr;   /* where numeric; otherwise of length 0 */
} endpoint;

enum { ENDPOINT_TEXT = 600, ENDPOINT_WHY = 320 };

/* Parse n bytes at text.  Returns
 *   0          *out is filled
 *   -EINVAL    malformed, the caller's mistake; `why` says what is wrong
 *   another    the world's: -ENAMETOOLONG of a unix path or name, -ENODEV of a
 *              scope that is no interface here, ERROR_EAI + EAI_SERVICE of a
 *              port that is no service here.  out->scheme is set.
 * Raises nothing. */
int endpoint_parse(lua_State *L, const char *text, size_t n, endpoint *out,
                   char why[ENDPOINT_WHY]);

/* The endpoint at argument arg, which must be a string.  Raises an argument
 * error for a malformed one; returns 0 or a status of the world, as above. */
int endpoint_check(lua_State *L, int arg, endpoint *out);

/* Print into out, always ended by NUL; returns the length.  ENDPOINT_TEXT
 * suffices. */
size_t endpoint_print(host *h, const endpoint *e, char *out, size_t size);

/* Make e the endpoint of an address: what a socket is bound to, or one that a
 * lookup found.  The scheme stays; port 0 of `a` stays 0. */
void endpoint_set_address(host *h, endpoint *e, const address *a);

/* The row of a scheme's name, or NULL. */
const endpoint_scheme *endpoint_scheme_find(const char *name, size_t n);

/* May its host be a name, for a lookup? */
static inline bool endpoint_has_host(const endpoint *e) {
  return e->scheme->form == ENDPOINT_HOST_PORT ||
         e->scheme->form == ENDPOINT_HOST;
}

/* What socket(2) is to be given for a HOST endpoint of this family. */
int endpoint_protocol(const endpoint *e, int family);

/* The module neap.endpoint: parse and print. */
int luaopen_neap_endpoint(lua_State *L);

#endif
