/*
** Addresses: what a socket reports.
**
** In C an address is a socket address and its exact length.  In Lua it is an
** immutable object of class neap.Address, interned: equal addresses of one
** host are one object, so they are equal and serve as keys of tables.
**
** One form a meaning.  An IPv4 address in IPv6's clothes (::ffff:127.0.0.1,
** what a dual-stack socket reports of an IPv4 peer) becomes the IPv4 address
** (family "inet") wherever an address is parsed or pushed, and so an
** allow-list that names 127.0.0.1 sees it.  A scope is kept only where it has
** a meaning (link-local addresses), the flow label never.
*/

#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <lua.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h> /* wants sys/socket.h before it */

#include "host/host.h"

/* A socket address of any family, and its exact length (abstract unix names
 * may hold zeros, so the length counts). */
typedef struct address {
  socklen_t length;
  union {
    struct sockaddr any;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
  } u;
} address;

enum {
  ADDRESS_TEXT = 512, /* room for any printed address and its NUL */
  ADDRESS_PATH = 107  /* the longest unix path, and the longest abstract name */
};

/* Parse the socket address of n bytes at text (which may hold zeros):
 *   127.0.0.1:80  [::1]:80  [fe80::1%eth0]:80     an IP address and a port
 *   127.0.0.1     ::1       fe80::1%eth0          port 0
 *   /run/x.sock   @name     unix:...              a unix path, abstract name
 *   vsock:2:1024  vsock:2   vsock:host:1024       of a virtual machine
 * Numbers are decimal, whole and in range: no shorthand such as 127.1, no
 * leading + or blank.  In an abstract name \xNN is a byte.
 * Returns 0, or a negative errno and in *why a static text that says what is
 * wrong: -EINVAL for a malformed text, -ENAMETOOLONG, -ENODEV for a scope that
 * is no interface.  Raises nothing. */
int address_parse(lua_State *L, const char *text, size_t n, address *out,
                  const char **why);

/* The same for the ip alone: 127.0.0.1, ::1 or fe80::1%eth0, without brackets
 * or port. */
int address_parse_ip(lua_State *L, const char *text, size_t n, address *out,
                     const char **why);

/* The same for what follows "unix:", a path or @name.  Only "@" gives the
 * address without a name, for which bind(2) chooses an abstract one. */
int address_parse_unix(const char *text, size_t n, address *out,
                       const char **why);

/* Of vsock, the cid alone: a number below 4294967295, host (2), local (1), or
 * any or * for every one; port 0. */
int address_parse_cid(const char *text, size_t n, address *out,
                      const char **why);

/* A number, strictly decimal, 0..max; false for anything else. */
bool address_parse_number(const char *text, size_t n, uint32_t max,
                          uint32_t *out);

/* A port, strictly decimal, 0..65535; -1 for anything else. */
int address_parse_port(const char *text, size_t n);

/* Print into out, always ended by NUL; returns the length.  A text that does
 * not fit is cut; ADDRESS_TEXT suffices.  address_parse reads all of them
 * back, but for "unnamed", what a unix socket without a name prints as.
 *   127.0.0.1:80  [::1]:80  [fe80::1%eth0]:80  /run/x.sock  @name  vsock:2:80
 * Port 0 is left out (127.0.0.1, ::1): such an address names a host.  Bytes of
 * an abstract name that are not printable ASCII, and \, print as \xNN; a path
 * that does not begin with / prints behind "unix:". */
size_t address_print(host *h, const address *a, char *out, size_t size);

/* The ip with its scope, without port; the path or @name; the cid or *; or
 * "". */
size_t address_print_host(host *h, const address *a, char *out, size_t size);

/* Of an ip address that alone, without scope; of one that has a scope, that with
 * its %. */
void address_print_ip(const address *a, char *out, size_t size);
void address_print_scope(host *h, const address *a, char *out, size_t size);

/* Bring an address as the kernel gave it into its one form. */
void address_normalise(address *a);

/* The same address?  Both normalised. */
bool address_equal(const address *a, const address *b);

/* <0, 0, >0: by family (inet, inet6, unix, vsock), then ip, scope and port,
 * or the bytes of the path, or cid and port.  Both normalised. */
int address_compare(const address *a, const address *b);

/* The port of an ip or vsock address, which has 32 bits of it; -1 where the
 * family has none.  Port 0 is one that bind(2) is to choose. */
int64_t address_port(const address *a);
void address_set_port(address *a, int64_t port); /* or nothing */

/* "inet", "inet6", "unix", "vsock"; "unspec" for one unknown here. */
const char *address_family_name(int family);

/* Every address of this host (0.0.0.0, ::), and loopback. */
void address_any(address *a, int family, int port);
void address_loopback(address *a, int family, int port);
bool address_is_any(const address *a);


/* Push the Address object.  Raises on lack of memory only. */
void address_push(lua_State *L, const address *a);

/* Set a field of the table on top; none for an address of no length. */
void address_set(lua_State *L, const char *key, const address *a);

/* The Address at arg, or NULL. */
const address *address_test(lua_State *L, int arg);

/* The address at index: an Address, or a string, which is parsed and replaced
 * on the stack by its Address.  Lives as long as that value.  NULL for anything
 * else, with what is wrong on top of the stack. */
const address *address_read(lua_State *L, int index);

/* The same for argument arg; raises an argument error. */
const address *address_check(lua_State *L, int arg);

#endif
